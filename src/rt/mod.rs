//! Runtimes: connect, listen, sleep, spawn. Nothing outside this folder names one.
//!
//! A runtime is one file behind one feature; deleting the file deletes the runtime.

#[cfg(feature = "async-std")]
mod async_std;

use std::{future::Future, io, net::SocketAddr, pin::Pin, sync::Arc};

use futures_core::Stream;

use crate::{
    config::{Clock, Timer},
    error::{Error, ErrorKind},
    socket::Socket,
};

/// A runtime that is there.
pub(crate) trait Runtime: Send + Sync {
    /// Its clock: one for all connections.
    fn timer(&self) -> Arc<dyn Timer>;

    /// Lets it finish `task` by itself.
    fn spawn(&self, task: Boxed<'static, ()>);

    /// Looks up the addresses of a host, the best one first.
    fn look_up<'a>(&self, host: &'a str, port: u16) -> Boxed<'a, io::Result<Vec<SocketAddr>>>;

    /// Connects over TCP, with Nagle's algorithm off.
    fn connect(&self, addr: SocketAddr) -> Boxed<'static, io::Result<Socket>>;

    /// Listens on `HOST:PORT`; gives the address that it got, too.
    fn listen<'a>(&self, addr: &'a str) -> Boxed<'a, io::Result<(SocketAddr, Incoming)>>;
}

pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Clients as they come.
pub(crate) type Incoming = Pin<Box<dyn Stream<Item = io::Result<(Socket, SocketAddr)>> + Send>>;

/// The timer of a configuration, if there is one.
pub(crate) fn timer(clock: &Clock) -> Option<Arc<dyn Timer>> {
    match clock {
        Clock::Ambient => ambient().map(Runtime::timer),
        Clock::Given(timer) => Some(Arc::clone(timer)),
        Clock::None => None,
    }
}

/// The runtime around the caller, if there is one.
pub(crate) fn ambient() -> Option<&'static dyn Runtime> {
    RUNTIMES.first().copied()
}

/// The runtime around the caller, which `what` needs.
pub(crate) fn required(what: &str) -> Result<&'static dyn Runtime, Error> {
    ambient().ok_or_else(|| {
        let message = format!("{what} needs a runtime: enable the feature `async-std`");
        Error::new(ErrorKind::Unsupported, message)
    })
}

/// Those that are there in any context.
const RUNTIMES: &[&dyn Runtime] = &[
    #[cfg(feature = "async-std")]
    &async_std::AsyncStd,
];
