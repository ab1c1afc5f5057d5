//! [`Server`]: where to accept connections, and which; and [`Acceptor`], for any transport.

mod accepting;
mod acceptor;
mod builder;
mod listeners;
mod origins;
mod registry;
mod shutdown;
#[cfg(unix)]
mod socket_file;

pub(crate) use self::registry::Permit;
pub use self::{
    acceptor::Acceptor,
    builder::{Server, listen},
    origins::Origins,
    shutdown::{ServerHandle, Shutdown},
};
