//! Runtimes: connect, listen, sleep, spawn. Nothing outside this folder names one.
//!
//! A runtime is one file behind one feature; deleting the file deletes the runtime.

#[cfg(feature = "async-io")]
mod async_io;
#[cfg(feature = "async-std")]
mod async_std;
#[cfg(feature = "smol")]
mod smol;
#[cfg(feature = "tokio")]
mod tokio;

use std::{future::Future, io, net::SocketAddr, pin::Pin, sync::Arc};

use futures_core::Stream;

use crate::{
    config::{Clock, Timer},
    error::{Error, ErrorKind},
    socket::Socket,
};

/// A runtime that is there. It may be used from outside of its context, and when it was shut down; its
/// futures, but for what [`spawn`](Self::spawn) was given, end when they are dropped.
pub(crate) trait Runtime: Send + Sync {
    /// Its clock: one for all connections.
    fn timer(&self) -> Arc<dyn Timer>;

    /// Lets it finish `task` by itself.
    fn spawn(&self, task: Boxed<'static, ()>);

    /// Looks up the addresses of a host, the best one first.
    fn look_up(&self, host: &str, port: u16) -> Boxed<'static, io::Result<Vec<SocketAddr>>>;

    /// Makes a stream to an address.
    fn connect(&self, to: Endpoint) -> Boxed<'static, io::Result<Socket>>;

    /// Accepts the clients of a listener, for TCP with Nagle's algorithm off.
    fn listen(&self, on: Listening) -> io::Result<Incoming>;
}

pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where to connect to.
#[cfg_attr(not(feature = "runtime"), allow(dead_code, reason = "nobody is there to connect"))]
#[derive(Debug)]
pub(crate) enum Endpoint {
    Tcp {
        addr: SocketAddr,
        /// Nagle's algorithm is off.
        nodelay: bool,
    },
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

/// A listener that was made elsewhere, for [`Server::listener`](crate::Server::listener).
///
/// # Examples
///
/// ```
/// use wsweave::Listening;
///
/// let listening = Listening::from(std::net::TcpListener::bind("127.0.0.1:0")?);
/// # Ok::<_, std::io::Error>(())
/// ```
#[cfg_attr(not(feature = "runtime"), allow(dead_code, reason = "nobody is there to listen"))]
#[derive(Debug)]
#[non_exhaustive]
pub enum Listening {
    /// One of TCP.
    Tcp(std::net::TcpListener),
    /// One of a Unix socket.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl From<std::net::TcpListener> for Listening {
    fn from(listener: std::net::TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixListener> for Listening {
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// Clients as they come.
pub(crate) type Incoming = Pin<Box<dyn Stream<Item = Accepted> + Send>>;

/// A client and its address; those of a Unix socket have none.
pub(crate) type Accepted = io::Result<(Socket, Option<SocketAddr>)>;

/// The timer of a configuration, if there is one.
pub(crate) fn timer(clock: &Clock) -> Option<Arc<dyn Timer>> {
    match clock {
        Clock::Ambient => ambient().map(|runtime| runtime.timer()),
        Clock::Given(timer) => Some(Arc::clone(timer)),
        Clock::None => None,
    }
}

/// The runtime around the caller, if there is one.
pub(crate) fn ambient() -> Option<Arc<dyn Runtime>> {
    RUNTIMES.iter().find_map(|runtime| runtime())
}

/// The runtime around the caller, which `what` needs.
pub(crate) fn required(what: &str) -> Result<Arc<dyn Runtime>, Error> {
    ambient().ok_or_else(|| {
        let message = format!(
            "{what} needs a runtime: enable the feature `async-std` or `smol`, or enable `tokio` \
             and be in the context of tokio's runtime"
        );
        Error::new(ErrorKind::Unsupported, message)
    })
}

type Ambient = fn() -> Option<Arc<dyn Runtime>>;

/// Those that can be there; the first one that is, is the ambient one. tokio's is only there for who is
/// in its context.
const RUNTIMES: &[Ambient] = &[
    #[cfg(feature = "tokio")]
    tokio::current,
    #[cfg(feature = "async-std")]
    || Some(async_std::global()),
    #[cfg(feature = "smol")]
    || Some(smol::global()),
];
