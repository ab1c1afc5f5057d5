//! [`Connection`]: drives the protocol over any `AsyncRead + AsyncWrite`.

mod alarm;
mod core;
mod deliveries;
mod driver;
mod end;
mod handle;
mod inbox;
mod ledger;
mod linger;
mod log;
mod outbox;
mod peer;
mod pipe;
mod sink;
mod step;
mod stream;
mod succession;
mod timers;
mod turn;
mod wakers;
mod wire;

use std::{
    fmt,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use futures_io::{AsyncRead, AsyncWrite};
use http::HeaderMap;

use self::{core::Core, driver::Driver, linger::Parting};
pub use self::{
    handle::{Handle, TrySendError},
    peer::Peer,
    pipe::Pipe,
};
pub(crate) use self::{
    ledger::Ledger,
    outbox::{Outbox, Round},
    wakers::Half,
};
use crate::{
    compression::AgreedCompression,
    config::{Config, Role},
    error::{Error, ErrorKind},
    handshake::{Opening, extensions},
    net::Permit,
    protocol::Outgoing,
    rt,
    socket::Socket,
};

/// A WebSocket connection: a stream of messages in and a sink of messages out, to which
/// [`ConnectionExt`](crate::ConnectionExt) adds hooks.
///
/// **Nothing moves unless it is polled.** Whoever polls the stream, or
/// [`run`](crate::ConnectionExt::run), drives everything: inbound frames, pongs, queued messages,
/// keepalive, the closing handshake. Between polls what was fed, or sent in a hook, waits, and pings go
/// unanswered; flush before sleeping elsewhere.
///
/// After `split` the two halves may live in two tasks. The last message that was fed then waits in the
/// sink half itself until that is polled again.
///
/// A flood starves nobody: after 1 MiB read, 4 MiB written, 128 reads or writes without waiting, or 1,000
/// frames that give no message, the connection lets other tasks run before it goes on, and writes what is
/// queued before that.
///
/// # Dropping
///
/// A drop is graceful: it tries, without blocking, to write what was accepted for sending and a Close
/// with code 1001 (1011 if the thread is panicking or a hook has panicked). What is left the runtime
/// finishes in the background within [`Config::close_timeout`], if the connection was made by `connect`
/// or `listen`, or with [`linger_on_drop`](Self::linger_on_drop). The end of the process waits for
/// nobody: `close().await` is the way to be sure.
///
/// # Examples
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use wsweave::{Connection, ConnectionExt};
///
/// # async_std::task::block_on(async {
/// let (mut client, mut server) = Connection::pair();
/// let serve = async {
///     while let Some(message) = server.next().await {
///         server.send(message).await?;
///     }
///     Ok::<_, wsweave::Error>(())
/// };
/// let ask = async {
///     client.send("hello".into()).await?;
///     assert_eq!(client.next().await, Some("hello".into()));
///     client.close().await
/// };
/// futures::try_join!(serve, ask)?;
/// assert!(server.finish().unwrap().clean);
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct Connection<S = Socket> {
    /// Boxed, so that the connection moves cheaply into hooks, halves and tasks, which may keep room for
    /// it twice. `None` only once it is taken out by `drop` or `into_inner`.
    driver: Option<Box<Driver<S>>>,
    parting: Option<Parting<S>>,
    /// The stream has given its `None`.
    terminated: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Makes a connection of a transport on which the opening handshake was done elsewhere.
    ///
    /// The transport's `poll_close` has to end the sending side, as `shutdown` does for TCP: the
    /// closing handshake relies on it. Dropping makes one attempt to say goodbye; see
    /// [`linger_on_drop`](Self::linger_on_drop) for more.
    ///
    /// ```
    /// use futures::{StreamExt, io::Cursor};
    /// use wsweave::{Config, Connection, Role};
    ///
    /// # async_std::task::block_on(async {
    /// let received = Cursor::new(b"\x81\x02hi\x88\x00".to_vec());
    /// let mut conn = Connection::from_raw(received, Role::Client, Config::default());
    /// assert_eq!(conn.next().await, Some("hi".into()));
    /// # });
    /// ```
    pub fn from_raw(io: S, role: Role, config: Config) -> Self {
        Self::from_partially_read(io, [], role, config)
    }

    /// Like [`from_raw`](Self::from_raw), with bytes that were read behind the handshake: they are
    /// the first to be decoded.
    ///
    /// ```
    /// use futures::{StreamExt, io::Cursor};
    /// use wsweave::{Config, Connection, Role};
    ///
    /// # async_std::task::block_on(async {
    /// let rest = Cursor::new(b"i".to_vec());
    /// let mut conn =
    ///     Connection::from_partially_read(rest, b"\x81\x02h", Role::Client, Config::default());
    /// assert_eq!(conn.next().await, Some("hi".into()));
    /// # });
    /// ```
    pub fn from_partially_read(io: S, read: impl AsRef<[u8]>, role: Role, config: Config) -> Self {
        Self::from_parts(io, read.as_ref(), role, Arc::new(config))
    }

    /// With a configuration that others share.
    pub(crate) fn from_parts(io: S, read: &[u8], role: Role, config: Arc<Config>) -> Self {
        let driver = Box::new(Driver::new(io, role, config, read));
        Self { driver: Some(driver), parting: Some(Parting::attempt()), terminated: false }
    }

    /// Does as the opening handshake agreed about extensions, where that was done elsewhere. `answer` has
    /// the headers of the server's answer, and its `Sec-WebSocket-Extensions` is what counts; without
    /// that nothing changes. How hard to compress, and what, [`Config::compression`] says, or its default
    /// if that is off.
    ///
    /// Call it before the connection is polled, on what [`from_raw`](Self::from_raw) made.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Handshake`] if there is another extension than permessage-deflate, or a parameter
    /// that is none of RFC 7692's: with such an agreement nothing that arrives can be trusted.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{StreamExt, io::Cursor};
    /// use wsweave::{Config, Connection, Role, http::Response};
    ///
    /// # async_std::task::block_on(async {
    /// let answer = Response::builder()
    ///     .header("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover")
    ///     .body(())?;
    /// let received = Cursor::new(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x88\x00".to_vec());
    /// let mut conn = Connection::from_raw(received, Role::Client, Config::default())
    ///     .with_extensions(answer.headers())?;
    /// assert_eq!(conn.next().await, Some("Hello".into()));
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn with_extensions(self, answer: &HeaderMap) -> Result<Self, Error> {
        let agreed = extensions::agreed_elsewhere(answer).map_err(|rule| {
            let message = format!("an extension that was agreed on breaks a rule: {rule}");
            Error::new(ErrorKind::Handshake, message)
        })?;
        Ok(self.with_compression(agreed))
    }

    /// Does without masks: the transport is none that frames go over.
    pub(crate) fn without_masks(mut self) -> Self {
        self.driver_mut().core.outgoing = Outgoing::new(Role::Server);
        self
    }

    /// Lets the runtime finish, in the background, what dropping the connection leaves to do: writing
    /// what was accepted for sending, the closing handshake, the end of TCP, within
    /// [`Config::close_timeout`].
    ///
    /// Without a runtime nothing changes. What `connect` and `listen` give does this already.
    ///
    /// ```
    /// use futures::io::Cursor;
    /// use wsweave::{Config, Connection, Role};
    ///
    /// let io = Cursor::new(Vec::new());
    /// let conn = Connection::from_raw(io, Role::Client, Config::default()).linger_on_drop();
    /// ```
    pub fn linger_on_drop(mut self) -> Self
    where
        S: Send + 'static,
    {
        self.parting = rt::ambient().map(Parting::linger).or(self.parting.take());
        self
    }
}

impl Connection<Pipe> {
    /// A client and a server, connected in memory: for tests.
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (mut client, mut server) = wsweave::Connection::pair();
    /// client.send("hello".into()).await?;
    /// assert_eq!(server.next().await, Some("hello".into()));
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub fn pair() -> (Self, Self) {
        Self::pair_with(Config::default(), Config::default())
    }

    /// Like [`pair`](Self::pair), with configurations. If both have
    /// [`compression`](Config::compression), it is agreed on.
    ///
    /// ```
    /// use wsweave::{Config, Connection};
    ///
    /// let small = Config::default().max_message_size(1024);
    /// let (client, server) = Connection::pair_with(Config::default(), small);
    /// ```
    pub fn pair_with(client: Config, server: Config) -> (Self, Self) {
        let (near, far) = Pipe::pair();
        let agreed = client.compression.as_ref().zip(server.compression.as_ref());
        let agreed = agreed.and_then(|(client, server)| extensions::between(client, server));
        let pair =
            (Self::from_raw(near, Role::Client, client), Self::from_raw(far, Role::Server, server));
        (pair.0.with_compression(agreed), pair.1.with_compression(agreed))
    }
}

impl Connection {
    /// With the right to be one of a server's connections.
    pub(crate) fn with_permit(mut self, permit: Option<Permit>) -> Self {
        self.driver_mut().wire.io.permit = permit;
        self
    }
}

impl<S> Connection<S> {
    pub(crate) fn with_opening(mut self, opening: Opening) -> Self {
        self.driver_mut().core.opening = Some(Box::new(opening));
        self
    }

    /// With compression as both sides have agreed.
    pub(crate) fn with_compression(mut self, agreed: Option<AgreedCompression>) -> Self {
        if let Some(agreed) = agreed {
            self.driver_mut().core.compress(agreed);
        }
        self
    }

    pub(crate) fn with_peer_addr(mut self, peer_addr: Option<SocketAddr>) -> Self {
        let core = &mut self.driver_mut().core;
        if let Some(opening) = &mut core.opening {
            opening.peer_addr = peer_addr;
        }
        core.log.opened(peer_addr);
        self
    }

    fn driver(&self) -> &Driver<S> {
        self.driver.as_ref().expect(TAKEN)
    }

    fn driver_mut(&mut self) -> &mut Driver<S> {
        self.driver.as_mut().expect(TAKEN)
    }

    fn take_driver(&mut self) -> Box<Driver<S>> {
        self.driver.take().expect(TAKEN)
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        if let (Some(driver), Some(parting)) = (self.driver.take(), self.parting.take()) {
            // A transport that panics may be why this is dropped: a second panic would be the end of
            // the process.
            let _ = catch_unwind(AssertUnwindSafe(|| parting.part(driver)));
        }
    }
}

impl<S> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = self.driver.as_ref().map(|driver| &driver.core);
        f.debug_struct("Connection")
            .field("role", &core.map(|core| core.role))
            .field("closing", &core.map(Core::closing))
            .finish_non_exhaustive()
    }
}

const TAKEN: &str = "only `drop` and `into_inner` take the driver, and they are the last";
