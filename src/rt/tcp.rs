//! TCP on the runtimes.

use std::{io, net::SocketAddr, pin::Pin};

use futures_core::Stream;

use super::{Runtime, async_std};
use crate::connection::Socket;

/// Clients as they come.
pub(crate) type Incoming = Pin<Box<dyn Stream<Item = io::Result<(Socket, SocketAddr)>> + Send>>;

impl Runtime {
    /// Looks up a host and connects to the first of its addresses that answers.
    pub(crate) async fn connect(self, host: &str, port: u16) -> io::Result<Socket> {
        match self {
            Self::AsyncStd => async_std::connect(host, port).await,
        }
    }

    /// Listens on `HOST:PORT`; returns the address that it got.
    pub(crate) async fn listen(self, addr: &str) -> io::Result<(SocketAddr, Incoming)> {
        match self {
            Self::AsyncStd => async_std::listen(addr).await,
        }
    }
}
