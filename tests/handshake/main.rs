//! The opening handshake, both roles: over scripted transports, and where sockets are the subject over
//! loopback TCP.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod answers;
mod client;
mod confused;
mod requests;
#[path = "../support/rt.rs"]
#[allow(dead_code, reason = "the tests share it, and these use a part of it")]
mod rt;
mod script;
mod server;
#[cfg(feature = "runtime")]
mod tcp;
mod traits;
mod urls;
