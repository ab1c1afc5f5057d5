//! [`Server`]: an echo server on a thread of its own.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    thread::{self, JoinHandle},
};

use async_executor::LocalExecutor;
use futures::{
    channel::oneshot,
    future::{Either, select},
};

use super::{counted::Counted, traffic::Traffic};
use crate::heap;

/// A way to echo: which library, used how.
#[derive(Clone, Copy)]
pub(crate) struct Echo {
    pub(crate) peer: &'static str,
    pub(crate) form: &'static str,
    pub(crate) serve: Serve,
    /// It sends back what it has read, masked.
    pub(crate) raw: bool,
}

/// Spawns a task that echoes on a socket whose opening handshake counts as done.
#[derive(Clone, Copy)]
pub(crate) enum Serve {
    Tokio(fn(Counted<tokio::net::TcpStream>)),
    AsyncStd(fn(&LocalExecutor<'_>, Counted<async_std::net::TcpStream>)),
}

/// A running server; it ends, and its connections with it, when this is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn traffic(&self, payload_len: usize, window: usize) -> Traffic {
        let traffic = Traffic::new(payload_len, window);
        if self.raw { traffic.raw() } else { traffic }
    }
}

impl Server {
    /// Starts it. All of it runs on one thread, whose heap is counted.
    pub(crate) fn start(serve: Serve) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        // More than the 128 that std asks for: who finds the queue full tries again a second later.
        rustix::net::listen(&listener, 4096)?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        // The name is for profilers.
        let thread = thread::Builder::new().name("server".to_owned()).spawn(move || {
            heap::count_this_thread();
            let ended = match serve {
                Serve::Tokio(serve) => on_tokio(listener, serve, stopped),
                Serve::AsyncStd(serve) => on_async_std(listener, serve, stopped),
            };
            ended.expect("a server on the loopback interface");
        })?;
        Ok(Self { addr, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It has said on standard error what went wrong.
            let _ = thread.join();
        }
    }
}

fn on_tokio(
    listener: TcpListener,
    serve: fn(Counted<tokio::net::TcpStream>),
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let accept = async {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                serve(Counted(stream));
            }
        };
        until(stopped, accept).await
    })
}

/// async-std's reactor and sockets, but an executor that stays on this thread.
fn on_async_std(
    listener: TcpListener,
    serve: fn(&LocalExecutor<'_>, Counted<async_std::net::TcpStream>),
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let executor = LocalExecutor::new();
    async_std::task::block_on(executor.run(async {
        let listener = async_std::net::TcpListener::from(listener);
        let accept = async {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                serve(&executor, Counted(stream));
            }
        };
        until(stopped, accept).await
    }))
}

async fn until(
    stopped: oneshot::Receiver<()>,
    accept: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    match select(stopped, Box::pin(accept)).await {
        Either::Left(_) => Ok(()),
        Either::Right((result, _)) => result,
    }
}
