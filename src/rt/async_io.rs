//! What async-std and smol have in common: the reactor of async-io, and the threads of `blocking`.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use ::async_io::{Async, Timer as Alarm};
use blocking::unblock;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::stream;

use super::{Boxed, Endpoint, Incoming, Listening, Runtime};
use crate::{
    config::{Sleep, Timer},
    socket::Socket,
};

/// A runtime on async-io: one that is there in any context.
pub(super) struct AsyncIo {
    pub(super) spawn: fn(Boxed<'static, ()>),
}

impl Runtime for AsyncIo {
    fn timer(&self) -> Arc<dyn Timer> {
        static TIMER: OnceLock<Arc<dyn Timer>> = OnceLock::new();
        Arc::clone(TIMER.get_or_init(|| Arc::new(AsyncIoTimer)))
    }

    fn spawn(&self, task: Boxed<'static, ()>) {
        (self.spawn)(task);
    }

    fn look_up(&self, host: &str, port: u16) -> Boxed<'static, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(unblock(move || Ok((host.as_str(), port).to_socket_addrs()?.collect())))
    }

    fn connect(&self, to: Endpoint) -> Boxed<'static, io::Result<Socket>> {
        Box::pin(async move {
            match to {
                Endpoint::Tcp { addr, nodelay } => {
                    let stream = Async::<TcpStream>::connect(addr).await?;
                    stream.get_ref().set_nodelay(nodelay)?;
                    Ok(tcp(stream))
                }
                #[cfg(unix)]
                Endpoint::Unix(path) => {
                    let stream = Async::<std::os::unix::net::UnixStream>::connect(path).await?;
                    Ok(unix(stream))
                }
            }
        })
    }

    fn listen(&self, on: Listening) -> io::Result<Incoming> {
        Ok(match on {
            Listening::Tcp(listener) => {
                Box::pin(stream::unfold(Async::new(listener)?, |listener| async {
                    let accepted = listener.accept().await.map(|(stream, peer)| {
                        // It fails if the peer is gone already, which is the connection's to find out.
                        let _ = stream.get_ref().set_nodelay(true);
                        (tcp(stream), Some(peer))
                    });
                    Some((accepted, listener))
                }))
            }
            #[cfg(unix)]
            Listening::Unix(listener) => {
                Box::pin(stream::unfold(Async::new(listener)?, |listener| async {
                    let accepted = listener.accept().await.map(|(stream, _)| (unix(stream), None));
                    Some((accepted, listener))
                }))
            }
        })
    }
}

struct AsyncIoTimer;

impl Timer for AsyncIoTimer {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(async move {
            Alarm::after(duration).await;
        })
    }
}

fn tcp(stream: Async<TcpStream>) -> Socket {
    socket(stream, |stream| stream.get_ref().shutdown(Shutdown::Write))
}

#[cfg(unix)]
fn unix(stream: Async<std::os::unix::net::UnixStream>) -> Socket {
    socket(stream, |stream| stream.get_ref().shutdown(Shutdown::Write))
}

/// Makes a socket of a stream; closing it calls `shut_down`, which ends the sending side: what the
/// stream's own `poll_close` does, differs.
pub(super) fn socket<S>(stream: S, shut_down: fn(&S) -> io::Result<()>) -> Socket
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Socket::new(Shutting { stream, shut_down })
}

struct Shutting<S> {
    stream: S,
    shut_down: fn(&S) -> io::Result<()>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Shutting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read_vectored(cx, bufs)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Shutting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match (self.shut_down)(&self.stream) {
            // The peer has ended it already.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}
