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
#[path = "../support/mod.rs"]
mod support;
mod transport;
mod trust;
mod ways;

use crate::support::rt;
