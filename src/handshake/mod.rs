//! The opening handshake (RFC 6455, section 4) without a transport, for frameworks that read requests
//! and write answers themselves.
//!
//! Without a framework, [`Client`](crate::Client), [`Acceptor`](crate::Acceptor) and
//! [`Server`](crate::Server) do all of it.

// HTTP is parsed and written by tungstenite's sans-I/O parts. Reading a whole head, the checks that
// tungstenite lacks, and refusing politely are ours.

pub(crate) mod answer;
mod body;
pub(crate) mod client;
pub(crate) mod extensions;
mod fields;
mod head;
mod opening;
pub mod server;
pub(crate) mod tunnel;

pub(crate) use self::{
    answer::{Accept, Refusal, field},
    fields::{authority, is_token, only, sole},
    opening::Opening,
};
