//! The opening handshake, both roles: over scripted transports, and where sockets are the subject over
//! loopback TCP.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod answers;
mod client;
mod compression;
mod confused;
mod requests;
mod script;
mod server;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "runtime")]
mod tcp;
mod traits;
mod urls;
