//! tokio.

use std::{
    future::{self, Future},
    io::{self, IoSlice},
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use ::tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, lookup_host},
    runtime::Handle,
    task::{JoinError, JoinHandle, coop::unconstrained},
    time,
};
use futures_util::{FutureExt, stream};

use super::{Accepted, Boxed, Endpoint, Incoming, Listening, Runtime};
use crate::{
    config::{Sleep, Timer},
    socket::Socket,
};

/// The runtime in whose context the caller is.
pub(super) fn current() -> Option<Arc<dyn Runtime>> {
    let handle = Handle::try_current().ok()?;
    Some(Arc::new(Tokio(handle)))
}

/// A runtime of tokio. Looking up and connecting are tasks of it: the caller may be outside of its
/// context, and where a driver is missing or was shut down, tokio panics.
#[derive(Clone)]
struct Tokio(Handle);

impl Tokio {
    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> Boxed<'static, io::Result<T>> {
        let task = Task(self.0.spawn(work));
        Box::pin(async move { task.await.unwrap_or_else(|error| Err(io::Error::other(error))) })
    }

    /// Accepts with `poll_accept`, which has to be in the context of the runtime.
    fn accept(
        &self,
        mut poll_accept: impl FnMut(&mut Context<'_>) -> Poll<Accepted> + Send + 'static,
    ) -> Incoming {
        let handle = self.0.clone();
        Box::pin(stream::poll_fn(move |cx| {
            let _context = handle.enter();
            poll_accept(cx).map(Some)
        }))
    }

    fn try_listen(&self, on: Listening) -> io::Result<Incoming> {
        let _context = self.0.enter();
        Ok(match on {
            Listening::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let listener = TcpListener::from_std(listener)?;
                self.accept(move |cx| {
                    let (stream, peer) = ready!(listener.poll_accept(cx))?;
                    // It fails if the peer is gone already, which is the connection's to find out.
                    let _ = stream.set_nodelay(true);
                    Poll::Ready(Ok((stream.into(), Some(peer))))
                })
            }
            #[cfg(unix)]
            Listening::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let listener = ::tokio::net::UnixListener::from_std(listener)?;
                self.accept(move |cx| {
                    let (stream, _) = ready!(listener.poll_accept(cx))?;
                    Poll::Ready(Ok((stream.into(), None)))
                })
            }
        })
    }
}

impl Runtime for Tokio {
    fn timer(&self) -> Arc<dyn Timer> {
        Arc::new(self.clone())
    }

    fn spawn(&self, task: Boxed<'static, ()>) {
        drop(self.0.spawn(task));
    }

    fn look_up(&self, host: &str, port: u16) -> Boxed<'static, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        self.run(async move { Ok(lookup_host((host, port)).await?.collect()) })
    }

    fn connect(&self, to: Endpoint) -> Boxed<'static, io::Result<Socket>> {
        self.run(async move {
            match to {
                Endpoint::Tcp { addr, nodelay } => {
                    let stream = TcpStream::connect(addr).await?;
                    stream.set_nodelay(nodelay)?;
                    Ok(stream.into())
                }
                #[cfg(unix)]
                Endpoint::Unix(path) => Ok(::tokio::net::UnixStream::connect(path).await?.into()),
            }
        })
    }

    fn listen(&self, on: Listening) -> io::Result<Incoming> {
        unless_panic(|| self.try_listen(on)).unwrap_or_else(|| {
            let what = "the tokio runtime has no IO driver: build it with `enable_io`";
            Err(io::Error::other(what))
        })
    }
}

impl Timer for Tokio {
    /// tokio's own time: its users may pause it in tests.
    fn now(&self) -> Instant {
        time::Instant::now().into_std()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let _context = self.0.enter();
        let sleep = unless_panic(|| time::sleep(duration));
        Box::pin(async move {
            if let Some(sleep) = sleep {
                if AssertUnwindSafe(sleep).catch_unwind().await.is_ok() {
                    return;
                }
            }
            future::pending::<()>().await;
        })
    }
}

/// What tokio gives; `None` where it panics, as it does when a driver is missing or was shut down.
fn unless_panic<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// A task that ends when this is dropped.
struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Socket {
    /// Wraps a transport of tokio's traits: a TLS stream, or what hyper gives after an upgrade, in
    /// hyper-util's `TokioIo`. Its `poll_shutdown` has to end the sending side: the closing handshake
    /// relies on it (RFC 6455, section 7.1.1).
    ///
    /// With the feature `tokio`. Whether it works outside of the runtime's context is up to `io`;
    /// tokio's own sockets do.
    ///
    /// ```
    /// use wsweave::{Config, Connection, Role, Socket};
    ///
    /// let (io, _peer) = tokio::io::duplex(1024);
    /// let conn = Connection::from_raw(Socket::from_tokio(io), Role::Server, Config::default());
    /// ```
    pub fn from_tokio(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self::new(Futures(io))
    }
}

/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
/// use wsweave::Socket;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut socket = Socket::from(TcpStream::connect(listener.local_addr()?).await?);
/// let (stream, _) = listener.accept().await?;
/// socket.close().await?;
/// assert_eq!(Socket::from(stream).read(&mut [0]).await?, 0);
/// # Ok::<_, std::io::Error>(()) }).unwrap();
/// ```
impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::from_tokio(stream)
    }
}

#[cfg(unix)]
impl From<::tokio::net::UnixStream> for Socket {
    fn from(stream: ::tokio::net::UnixStream) -> Self {
        Self::from_tokio(stream)
    }
}

/// A transport of tokio's traits with those of futures; tokio-util's has no vectored writes.
struct Futures<S>(S);

impl<S: AsyncRead + Unpin> futures_io::AsyncRead for Futures<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(unbudgeted(cx, |cx| Pin::new(&mut self.0).poll_read(cx, &mut buf)))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl<S: AsyncWrite + Unpin> futures_io::AsyncWrite for Futures<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        unbudgeted(cx, |cx| Pin::new(&mut self.0).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        unbudgeted(cx, |cx| Pin::new(&mut self.0).poll_write_vectored(cx, bufs))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Polls whether or not the task has used up the budget that tokio gives it for a turn: then "would
/// block" would not mean that nothing has arrived, or that a last attempt to write is of no use. How
/// much is done in a turn the connection limits itself.
fn unbudgeted<T>(cx: &mut Context<'_>, poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    pin!(unconstrained(future::poll_fn(poll))).poll(cx)
}
