//! smol.

use std::{
    net::Shutdown,
    sync::{Arc, OnceLock},
};

use ::smol::net::TcpStream;

use super::{
    Runtime,
    async_io::{self, AsyncIo},
};
use crate::socket::Socket;

/// smol has one global executor, which is there in any context.
pub(super) fn global() -> Arc<dyn Runtime> {
    static RUNTIME: OnceLock<Arc<dyn Runtime>> = OnceLock::new();
    let spawn = |task| ::smol::spawn(task).detach();
    Arc::clone(RUNTIME.get_or_init(|| Arc::new(AsyncIo { spawn })))
}

/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use smol::net::{TcpListener, TcpStream};
/// use wsweave::Socket;
///
/// # smol::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut socket = Socket::from(TcpStream::connect(listener.local_addr()?).await?);
/// let (mut peer, _) = listener.accept().await?;
/// socket.close().await?;
/// assert_eq!(peer.read(&mut [0]).await?, 0);
/// # Ok::<_, std::io::Error>(()) }).unwrap();
/// ```
impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        async_io::socket(stream, |stream| stream.shutdown(Shutdown::Write))
    }
}

#[cfg(unix)]
impl From<::smol::net::unix::UnixStream> for Socket {
    fn from(stream: ::smol::net::unix::UnixStream) -> Self {
        async_io::socket(stream, |stream| stream.shutdown(Shutdown::Write))
    }
}
