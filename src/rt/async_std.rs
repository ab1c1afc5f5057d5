//! async-std.

use std::{
    net::Shutdown,
    sync::{Arc, OnceLock},
};

use ::async_std::{net::TcpStream, task};

use super::{
    Runtime,
    async_io::{self, AsyncIo},
};
use crate::socket::Socket;

/// async-std has one global runtime, which is there in any context.
pub(super) fn global() -> Arc<dyn Runtime> {
    static RUNTIME: OnceLock<Arc<dyn Runtime>> = OnceLock::new();
    let spawn = |task| drop(task::spawn(task));
    Arc::clone(RUNTIME.get_or_init(|| Arc::new(AsyncIo { spawn })))
}

/// Unlike the stream itself, the socket ends its sending side when it is closed, as the closing
/// handshake needs it.
///
/// ```
/// use async_std::net::{TcpListener, TcpStream};
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use wsweave::Socket;
///
/// # async_std::task::block_on(async {
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

/// Unlike the stream itself, the socket ends its sending side when it is closed.
#[cfg(unix)]
impl From<::async_std::os::unix::net::UnixStream> for Socket {
    fn from(stream: ::async_std::os::unix::net::UnixStream) -> Self {
        async_io::socket(stream, |stream| stream.shutdown(Shutdown::Write))
    }
}
