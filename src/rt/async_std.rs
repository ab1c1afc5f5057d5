//! async-std.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use ::async_std::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    task,
};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::stream;

use super::{Boxed, Incoming, Runtime};
use crate::{
    config::{Sleep, Timer},
    socket::Socket,
};

/// async-std has one global runtime, which is there in any context.
pub(super) struct AsyncStd;

impl Runtime for AsyncStd {
    fn timer(&self) -> Arc<dyn Timer> {
        static TIMER: OnceLock<Arc<dyn Timer>> = OnceLock::new();
        Arc::clone(TIMER.get_or_init(|| Arc::new(AsyncStdTimer)))
    }

    fn spawn(&self, task: Boxed<'static, ()>) {
        task::spawn(task);
    }

    fn look_up<'a>(&self, host: &'a str, port: u16) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok((host, port).to_socket_addrs().await?.collect()) })
    }

    fn connect(&self, addr: SocketAddr) -> Boxed<'static, io::Result<Socket>> {
        Box::pin(async move {
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            Ok(stream.into())
        })
    }

    fn listen<'a>(&self, addr: &'a str) -> Boxed<'a, io::Result<(SocketAddr, Incoming)>> {
        Box::pin(async move {
            let listener = TcpListener::bind(addr).await?;
            let local_addr = listener.local_addr()?;
            let incoming: Incoming = Box::pin(stream::unfold(listener, accept));
            Ok((local_addr, incoming))
        })
    }
}

async fn accept(listener: TcpListener) -> Option<(io::Result<(Socket, SocketAddr)>, TcpListener)> {
    let accepted = listener.accept().await.map(|(stream, peer)| {
        // It fails if the peer is gone already, which is the connection's to find out.
        let _ = stream.set_nodelay(true);
        (stream.into(), peer)
    });
    Some((accepted, listener))
}

struct AsyncStdTimer;

impl Timer for AsyncStdTimer {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(task::sleep(duration))
    }
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
        Self::new(Tcp(stream))
    }
}

/// A `TcpStream` whose `poll_close` ends its sending side; async-std's own does nothing.
struct Tcp(TcpStream);

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read_vectored(cx, bufs)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.0.shutdown(Shutdown::Write) {
            // The peer has ended it already.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}
