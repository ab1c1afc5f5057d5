//! [`listen`] and [`Server`].

use std::{
    fmt,
    future::Future,
    mem,
    net::{SocketAddr, TcpListener},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use futures_util::{FutureExt, StreamExt, future::abortable, stream::FuturesUnordered};
use http::Request;

use super::{
    Acceptor, Origins, Permit, ServerHandle, Shutdown,
    accepting::Handshake,
    listeners::{cannot_listen, look_up},
    shutdown::Shared,
};
use crate::{
    config::Config,
    connection::Connection,
    error::Error,
    ext::ConnectionExt,
    handshake::{Accept, Refusal},
    net::tls::ServerTls,
    rt::{self, Listening},
};

/// Listens for WebSocket connections on a TCP address, `HOST:PORT`, where port 0 picks a free one: short
/// for [`Server::new()`](Server::new)`.`[`bind(addr)`](Server::bind).
///
/// # Errors
///
/// Those of [`Server::bind`].
///
/// # Examples
///
/// ```
/// # async_std::task::block_on(async {
/// let server = wsweave::listen("127.0.0.1:0").await?;
/// println!("listening on ws://{}", server.local_addr());
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
pub async fn listen(addr: &str) -> Result<Server, Error> {
    Server::new().bind(addr).await
}

/// Accepts WebSocket connections: a stream of them, which ends when the server is
/// [shut down](ServerHandle::shutdown).
///
/// Handshakes run side by side, and only while the stream is polled: serve each connection in a task of
/// its own, as [`serve`](Self::serve) does, and on tokio poll the stream in the context of the runtime.
/// A handshake that fails is logged with `tracing` and costs the others nothing, and neither does one
/// that takes its time: it has [`Config::handshake_timeout`], 10 s, from the first byte of TLS to the
/// last of the answer. There are 512 at most: where as many clients dawdle, others wait for one of those
/// to be done. If the system gives no more sockets, accepting pauses for 200 ms at a time.
///
/// Settings hold for the handshakes to come; it does not matter whether they are made before `bind` or
/// after. Without a listener the stream ends at once.
///
/// Dropping the server closes its listeners and drops the handshakes under way; connections that it gave
/// stay.
///
/// # Examples
///
/// ```
/// use async_std::task;
/// use futures::StreamExt;
/// use wsweave::ConnectionExt;
///
/// # async_std::task::block_on(async {
/// let mut server = wsweave::listen("127.0.0.1:0").await?;
/// let url = format!("ws://{}", server.local_addr());
/// task::spawn(async move {
///     while let Some(conn) = server.next().await {
///         task::spawn(conn.on_each(|peer, message| peer.send(message.clone())).run());
///     }
/// });
/// # let _conn = wsweave::connect(&url).await?;
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[must_use = "a server does nothing unless polled"]
pub struct Server {
    pub(super) acceptor: Acceptor,
    pub(in crate::net) tls: Option<ServerTls>,
    pub(super) max_connections: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) handshakes: FuturesUnordered<Handshake>,
    /// The stream has given its `None`.
    pub(super) terminated: bool,
}

impl Server {
    /// A server that listens nowhere yet.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// use wsweave::Server;
    /// let server = Server::new().bind("127.0.0.1:0").await?.bind("[::1]:0").await?;
    /// assert_eq!(server.local_addrs().len(), 2);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub fn new() -> Self {
        Self {
            acceptor: Acceptor::new(),
            tls: None,
            max_connections: usize::MAX,
            shared: Arc::new(Shared::new()),
            handshakes: FuturesUnordered::new(),
            terminated: false,
        }
    }

    /// Listens on a TCP address, too: `HOST:PORT`, where port 0 picks a free one. If the name of the host
    /// has several addresses, it is the first one that can be had.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if that is no `HOST:PORT`; [`ErrorKind::Io`](crate::ErrorKind::Io) if the address cannot be
    /// had; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) without the feature of a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the server.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// let server = wsweave::Server::new().bind("localhost:0").await?;
    /// assert!(server.local_addr().ip().is_loopback());
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub async fn bind(self, addr: &str) -> Result<Self, Error> {
        let runtime = rt::required("Server::bind")?;
        let addrs = look_up(&*runtime, addr).await?;
        let listener = TcpListener::bind(&addrs[..]).map_err(|error| cannot_listen(addr, error))?;
        self.listener(listener)
    }

    /// Listens on a Unix socket, too, that is made at this path.
    ///
    /// What a server that is gone has left there, a socket that nobody has open, is replaced, and
    /// `tracing` says so. The file is removed when the listener is closed: as the server is shut down or
    /// dropped. Who may connect is a matter of the permissions of its directory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if there is a socket that is in use, or anything else, or if none can be made;
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) without the feature of a runtime.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// let path = std::env::temp_dir().join(format!("wsweave-{}.sock", std::process::id()));
    /// let server = wsweave::Server::new().bind_unix(&path)?;
    /// assert!(path.exists());
    /// drop(server);
    /// assert!(!path.exists());
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    #[cfg(unix)]
    pub fn bind_unix(self, path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let (listener, file) = super::socket_file::SocketFile::bind(path)
            .map_err(|error| cannot_listen(path.display(), error))?;
        let server = self.listener(listener)?;
        server.shared.listeners().keep(file);
        Ok(server)
    }

    /// Listens on a listener, too, that was made elsewhere: a [`std::net::TcpListener`] with options of
    /// its own, or one that a service manager passed on, or a Unix socket's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the runtime cannot use it; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) without the feature of
    /// a runtime.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let server = wsweave::Server::new().listener(listener)?;
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub fn listener(self, listener: impl Into<Listening>) -> Result<Self, Error> {
        let runtime = rt::required("Server::listener")?;
        let added = self.shared.listeners().add(listener.into(), &*runtime);
        added.map_err(|error| cannot_listen("the given listener", error))?;
        Ok(self)
    }

    /// The TCP address that clients connect to: the first one, if there are several.
    ///
    /// # Panics
    ///
    /// If the server listens on none. [`local_addrs`](Self::local_addrs) does not panic.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// let server = wsweave::listen("127.0.0.1:0").await?;
    /// assert_ne!(server.local_addr().port(), 0);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        *self.shared.listeners().addrs().first().expect("`local_addr` needs a TCP listener")
    }

    /// The TCP addresses that clients connect to, in the order in which they were added.
    ///
    /// ```
    /// assert!(wsweave::Server::new().local_addrs().is_empty());
    /// ```
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.shared.listeners().addrs().to_owned()
    }

    /// Sets the configuration of the handshakes and connections to come.
    /// [`Accept::config`] does it for a single connection.
    ///
    /// ```
    /// use wsweave::{Config, Server};
    /// let server = Server::new().config(Config::default().max_message_size(1 << 16));
    /// ```
    pub fn config(mut self, config: Config) -> Self {
        self.acceptor = mem::take(&mut self.acceptor).config(config);
        self
    }

    /// Sets from which web pages connections are accepted. The default is [`Origins::same_host`].
    ///
    /// ```
    /// use wsweave::{Origins, Server};
    /// let server = Server::new().origins(Origins::list(["https://app.example"])?);
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn origins(mut self, origins: Origins) -> Self {
        self.acceptor = mem::take(&mut self.acceptor).origins(origins);
        self
    }

    /// Accepts connections from any web page: see [`Origins::any`].
    ///
    /// ```
    /// let server = wsweave::Server::new().any_origin();
    /// ```
    pub fn any_origin(self) -> Self {
        self.origins(Origins::any())
    }

    /// Sets how many connections there may be at a time. The default is as many as the process may have
    /// descriptors.
    ///
    /// A request beyond that is answered with 503 and `Retry-After`, after
    /// [`on_request`](Self::on_request) has accepted it: pages are still answered. A connection counts
    /// until nothing is left of it: as long as it lingers in the background after its drop, and as long
    /// as the transport lives that `into_inner` gave.
    ///
    /// ```
    /// let server = wsweave::Server::new().max_connections(10_000);
    /// ```
    pub fn max_connections(mut self, max: usize) -> Self {
        self.max_connections = max;
        self
    }

    /// Lets `decide` see each request and accept or refuse it: see [`Acceptor::on_request`]. The
    /// request's extensions have the [`SocketAddr`] of the client.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use wsweave::{Accept, Refusal, Server, http::{Response, StatusCode}};
    ///
    /// let server = Server::new().on_request(|request| {
    ///     match request.extensions().get::<SocketAddr>() {
    ///         _ if request.uri().path() == "/health" => Err(Response::new("fine\n").into()),
    ///         Some(peer) if peer.ip().is_loopback() => Ok(Accept::new()),
    ///         _ => Err(Refusal::new(StatusCode::FORBIDDEN, "neighbours only")),
    ///     }
    /// });
    /// ```
    pub fn on_request<F>(mut self, decide: F) -> Self
    where
        F: Fn(&Request<()>) -> Result<Accept, Refusal> + Send + Sync + 'static,
    {
        self.acceptor = mem::take(&mut self.acceptor).on_request(decide);
        self
    }

    /// A handle, to shut the server down from another task or thread.
    ///
    /// ```
    /// let handle = wsweave::Server::new().handle();
    /// ```
    pub fn handle(&self) -> ServerHandle {
        let clock = self.acceptor.config.clock.clone();
        ServerHandle { shared: Arc::clone(&self.shared), clock }
    }

    /// Serves every connection with the future that `serve_one` makes of it, each in a task of its own,
    /// until the server is [shut down](ServerHandle::shutdown) and they are done.
    ///
    /// What the futures give is dropped; a panic in one of them is logged with `tracing`, and ends that
    /// one alone. The tasks run on the runtime around this call.
    ///
    /// Returns what became of the connections that the shutdown found: at once if the server listens
    /// nowhere.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the server; the tasks go on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use wsweave::ConnectionExt;
    ///
    /// # async_std::task::block_on(async {
    /// let server = wsweave::listen("127.0.0.1:0").await?;
    /// let handle = server.handle();
    /// # let url = format!("ws://{}", server.local_addr());
    /// # async_std::task::spawn(async move {
    /// #     let _conn = wsweave::connect(&url).await;
    /// #     handle.shutdown(Duration::from_secs(10)).await
    /// # });
    /// let echo = server.serve(|conn| conn.on_each(|peer, message| peer.send(message.clone())).run());
    /// println!("{}", echo.await);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub async fn serve<F, Fut>(mut self, mut serve_one: F) -> Shutdown
    where
        F: FnMut(Connection) -> Fut,
        Fut: Future + Send + 'static,
    {
        while let Some(conn) = self.next().await {
            let permit = conn.get_ref().permit.clone();
            // What a panic leaves of the caller's state is the caller's business.
            if let Ok(task) = catch_unwind(AssertUnwindSafe(|| serve_one(conn))) {
                spawn(task, permit);
            } else {
                tracing::error!("what serves a connection panicked before it was a task");
            }
        }
        self.shared.registry.settled().await;
        self.shared.registry.report()
    }
}

/// Runs a task of [`Server::serve`]: as long as it does, its connection counts.
fn spawn(task: impl Future + Send + 'static, permit: Option<Permit>) {
    let (task, abort) = abortable(task);
    if let Some(permit) = &permit {
        permit.attach_task(abort);
    }
    let task = async move {
        if AssertUnwindSafe(task).catch_unwind().await.is_err() {
            tracing::error!("the task of a connection panicked");
        }
        drop(permit);
    };
    if let Some(runtime) = rt::ambient() {
        runtime.spawn(Box::pin(task));
    } else {
        tracing::error!("there is no runtime around `serve` to run a task");
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listeners", &self.shared.listeners())
            .field("handshakes", &self.handshakes.len())
            .field("acceptor", &self.acceptor)
            .finish_non_exhaustive()
    }
}
