//! The opening handshake (RFC 6455, section 4), both roles, over any `AsyncRead + AsyncWrite`.
//!
//! HTTP is parsed and written by tungstenite's sans-I/O parts. Reading a whole head, the checks that
//! tungstenite lacks, and refusing politely are ours.

mod answer;
mod body;
pub(crate) mod client;
mod fields;
mod head;
mod opening;
pub(crate) mod server;
pub(crate) mod tunnel;

pub use self::answer::{Accept, Refusal};
pub(crate) use self::{answer::field, fields::is_token, opening::Opening};
