//! The edge: who connects, and who accepts.

mod acceptor;
mod client;
#[cfg(feature = "async-std")]
mod tcp;
mod url;

#[cfg(feature = "async-std")]
pub use self::tcp::{Listener, connect, listen};
pub use self::{acceptor::Acceptor, client::Client};
