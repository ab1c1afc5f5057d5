//! smol.

use std::{
    io,
    net::Shutdown,
    sync::{Arc, OnceLock},
};

use ::smol::net::TcpStream;

use super::{
    Runtime,
    async_io::{AsyncIo, ShutDown, Shutting},
};
use crate::socket::Socket;

/// smol has one global executor, which is there in any context.
pub(super) fn global() -> Option<Arc<dyn Runtime>> {
    static RUNTIME: OnceLock<Arc<dyn Runtime>> = OnceLock::new();
    let spawn = |task| ::smol::spawn(task).detach();
    Some(Arc::clone(RUNTIME.get_or_init(|| Arc::new(AsyncIo { spawn }))))
}

/// Closing the socket ends the stream's sending side, as the closing handshake needs it.
impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::new(Shutting(stream))
    }
}

impl ShutDown for TcpStream {
    fn shut_down(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}
