//! [`ServerHandle`] and [`Shutdown`]: how a server ends.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use atomic_waker::AtomicWaker;
use futures_util::future::{Either, select};

use super::{
    listeners::Listeners,
    registry::{Registry, Stage},
};
use crate::{
    config::{Clock, Timer},
    rt,
};

/// A server as other tasks and threads see it: to count its connections, and to shut it down.
///
/// Made by [`Server::handle`](crate::Server::handle); cheap to clone. It does not keep the server alive.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use async_std::task;
/// use wsweave::ConnectionExt;
///
/// # async_std::task::block_on(async {
/// let server = wsweave::listen("127.0.0.1:0").await?;
/// let (url, handle) = (format!("ws://{}", server.local_addr()), server.handle());
/// let serving = task::spawn(server.serve(ConnectionExt::run));
///
/// let client = task::spawn(wsweave::connect(&url).await?.run());
/// let shutdown = handle.shutdown(Duration::from_secs(10)).await;
/// assert_eq!(shutdown.to_string(), "1 connection drained, 0 aborted");
/// assert_eq!(client.await.code, 1001);
/// assert_eq!(serving.await, shutdown);
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ServerHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
}

/// What a server shares with its handles.
pub(super) struct Shared {
    pub(super) registry: Arc<Registry>,
    listeners: Mutex<Listeners>,
    /// Whoever polls the server.
    pub(super) server: AtomicWaker,
}

/// What became of a server's connections: the result of
/// [`ServerHandle::shutdown`].
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # async_std::task::block_on(async {
/// let server = wsweave::listen("127.0.0.1:0").await?;
/// let shutdown = server.handle().shutdown(Duration::ZERO).await;
/// assert_eq!((shutdown.drained, shutdown.aborted), (0, 0));
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// Those that were given up in time, after a closing handshake or without one.
    pub drained: usize,
    /// Those that were left when the time was over.
    pub aborted: usize,
}

impl ServerHandle {
    /// Shuts the server down: it stops accepting, closes every connection that it gave with code 1001,
    /// waits for them to end, and after `timeout` aborts what is left.
    ///
    /// At once the listeners are closed, and the server's stream ends; handshakes under way are dropped
    /// as it does. Then each connection has until `timeout` to go through its closing handshake and to
    /// be dropped, and so has the task that [`serve`](crate::Server::serve) spawned for it to be done.
    /// One that was dropped already, and lingers in the background, counts as well. Those that are left
    /// end without a word, [aborted](crate::Handle::abort); 100 ms later the tasks that are still there
    /// are cancelled, and after 100 ms more this returns in any case.
    ///
    /// **Nothing moves unless it is polled**: a connection that nobody polls cannot be closed, nor
    /// aborted; its owner has to drop it.
    ///
    /// Any number may call it, at any time: the shortest timeout counts, and all get the same result.
    /// A listener that is added later is closed at once.
    /// Without a clock ([`Config::no_timer`](crate::Config::no_timer)) there is no timeout.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the server stays closed and connections go on closing, but nothing is aborted
    /// any more. Call it again for that.
    ///
    /// # Examples
    ///
    /// See [`ServerHandle`].
    pub async fn shutdown(&self, timeout: Duration) -> Shutdown {
        let registry = &self.shared.registry;
        registry.enter(Stage::Closing);
        self.shared.close();
        let stages =
            [(timeout, Stage::Aborting), (MOMENT, Stage::Cancelling), (MOMENT, Stage::Over)];
        for (patience, next) in stages {
            if self.within(patience, registry.settled()).await {
                break;
            }
            registry.enter(next);
        }
        registry.enter(Stage::Over);
        registry.report()
    }

    /// How many connections the server has: those that it gave and that were not dropped, those that
    /// linger in the background after their drop, those that are being answered, and those whose task of
    /// [`serve`](crate::Server::serve) is not done.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// let server = wsweave::listen("127.0.0.1:0").await?;
    /// assert_eq!(server.handle().connections(), 0);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.registry.len()
    }

    /// The TCP addresses that the server listens at, or did: see
    /// [`Server::local_addrs`](crate::Server::local_addrs).
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// let server = wsweave::listen("127.0.0.1:0").await?;
    /// assert_eq!(server.handle().local_addrs(), [server.local_addr()]);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.shared.listeners().addrs().to_owned()
    }

    /// Whether the work was done in time.
    async fn within(&self, limit: Duration, work: impl Future<Output = ()>) -> bool {
        let Some(timer) = self.timer() else {
            work.await;
            return true;
        };
        matches!(select(pin!(work), timer.sleep(limit)).await, Either::Left(_))
    }

    /// By default that of the runtime which the server listens on, wherever the handle is used. Without
    /// a listener there is nothing to wait for.
    fn timer(&self) -> Option<Arc<dyn Timer>> {
        match &self.clock {
            Clock::Ambient => self.shared.listeners().timer(),
            clock => rt::timer(clock),
        }
    }
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            registry: Arc::new(Registry::new()),
            listeners: Mutex::new(Listeners::new()),
            server: AtomicWaker::new(),
        }
    }

    pub(super) fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the listeners, and has the server notice.
    pub(super) fn close(&self) {
        let closed = self.listeners().close();
        // Without the lock: it may have the last waker of a task, which may have anything.
        drop(closed);
        self.server.wake();
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("listeners", &self.shared.listeners())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.drained == 1 { "" } else { "s" };
        write!(f, "{} connection{plural} drained, {} aborted", self.drained, self.aborted)
    }
}

/// How long what was aborted may take to end.
const MOMENT: Duration = Duration::from_millis(100);
