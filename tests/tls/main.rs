//! TLS: whom it trusts, what it says to confused peers, and that a connection over it is one like any
//! other.

#![cfg(feature = "tls")]
#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod certificates;
mod closing;
mod confused;
mod files;
mod origins;
mod peers;
mod platform;
#[path = "../support/rt.rs"]
#[allow(dead_code, reason = "the tests share it, and these use a part of it")]
mod rt;
mod transport;
mod trust;
