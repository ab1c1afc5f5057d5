//! [`Acceptor`]: the server's side of a handshake over any transport.

use std::{fmt, future::Future, net::SocketAddr, sync::Arc};

use futures_io::{AsyncRead, AsyncWrite};
use http::Request;

use crate::{
    config::Config,
    connection::Connection,
    error::Error,
    handshake::{
        Accept, Refusal,
        server::{self, Purpose},
    },
    net::{Origins, Permit},
    socket::Socket,
};

/// Makes server connections of transports: the opening handshake (RFC 6455, section 4.2) over any
/// `AsyncRead + AsyncWrite`.
///
/// A request that breaks a rule is answered with 400, 405, 426 or 431 and a line of text that names
/// the rule, and one that comes from a web page of another host with 403 (see [`Origins`]). Every other
/// one is accepted, without a subprotocol, unless [`on_request`](Self::on_request) decides otherwise.
/// Frames that come right behind the request are
/// the connection's first ones.
///
/// A clone shares the callback.
///
/// # Examples
///
/// ```
/// use async_std::net::{TcpListener, TcpStream};
/// use futures::{SinkExt, StreamExt, future::try_join};
/// use wsweave::{Acceptor, Client, Socket};
///
/// # async_std::task::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let addr = listener.local_addr()?;
/// let server = async {
///     let (stream, _) = listener.accept().await?;
///     Acceptor::new().accept(Socket::from(stream)).await
/// };
/// let client = async {
///     let stream = TcpStream::connect(addr).await?;
///     Client::new("ws://chat.example/")?.connect_over(Socket::from(stream)).await
/// };
/// let (mut server, mut client) = try_join(server, client).await?;
///
/// client.send("hello".into()).await?;
/// assert_eq!(server.next().await, Some("hello".into()));
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Acceptor {
    pub(super) config: Arc<Config>,
    pub(super) origins: Origins,
    on_request: Option<Arc<OnRequest>>,
}

type OnRequest = dyn Fn(&Request<()>) -> Result<Accept, Refusal> + Send + Sync;

impl Acceptor {
    /// Accepts every request that is a proper handshake and comes from no other host's web page.
    ///
    /// ```
    /// let acceptor = wsweave::Acceptor::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the configuration of the handshakes and of the connections that come out of them.
    ///
    /// ```
    /// use wsweave::{Acceptor, Config};
    /// let acceptor = Acceptor::new().config(Config::default().max_message_size(1 << 16));
    /// ```
    pub fn config(mut self, config: Config) -> Self {
        self.config = Arc::new(config);
        self
    }

    /// Sets from which web pages requests are accepted. The default is [`Origins::same_host`].
    ///
    /// ```
    /// use wsweave::{Acceptor, Origins};
    /// let acceptor = Acceptor::new().origins(Origins::list(["https://app.example"])?);
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Accepts requests from any web page: see [`Origins::any`].
    ///
    /// ```
    /// let acceptor = wsweave::Acceptor::new().any_origin();
    /// ```
    pub fn any_origin(self) -> Self {
        self.origins(Origins::any())
    }

    /// Lets `decide` see each request that is a proper handshake of an allowed origin: its path, query
    /// and headers. It accepts it, with headers and a subprotocol, or refuses it with an HTTP answer.
    ///
    /// It sees plain GET requests, too, so that a page or a health check may live beside the WebSocket:
    /// it can answer those, and to accept one is to answer it with 426.
    ///
    /// It runs while others' handshakes wait, so it should not take long. If it panics, the request is
    /// refused with 500.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Accept, Acceptor, Refusal, http::StatusCode};
    ///
    /// let acceptor = Acceptor::new().on_request(|request| {
    ///     if request.uri().path() == "/chat" {
    ///         Ok(Accept::new().choose_subprotocol(request, ["chat"]))
    ///     } else {
    ///         Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing here"))
    ///     }
    /// });
    /// ```
    pub fn on_request<F>(mut self, decide: F) -> Self
    where
        F: Fn(&Request<()>) -> Result<Accept, Refusal> + Send + Sync + 'static,
    {
        self.on_request = Some(Arc::new(decide));
        self
    }

    /// Reads the request from `io`, answers it, and makes a connection.
    ///
    /// The `poll_close` of `io` has to end the sending side, as `shutdown` does for TCP: the closing
    /// handshake relies on it, and so does a refusal. That of async-std's `TcpStream` does nothing; wrap
    /// it with `Socket::from`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Handshake`](crate::ErrorKind::Handshake) if the request was refused, after the
    /// answer is sent, `io` is shut for writing, and what the peer still sends is read for up to a
    /// second (without a clock: what has arrived);
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if all but that takes longer than
    /// [`Config::handshake_timeout`]; [`ErrorKind::Io`](crate::ErrorKind::Io) if the transport fails or
    /// ends; [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the refusal cannot be sent,
    /// because its status is below 200 or a header is not ASCII: the client is answered with 500 then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `io`, in the middle of the handshake.
    ///
    /// # Examples
    ///
    /// A plain HTTP request:
    ///
    /// ```
    /// use futures::io::Cursor;
    /// use wsweave::{Acceptor, ErrorKind};
    ///
    /// # async_std::task::block_on(async {
    /// let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    /// let mut io = Cursor::new(request.to_vec());
    /// let refused = Acceptor::new().accept(&mut io).await.unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Handshake);
    /// let answer = &io.get_ref()[request.len()..];
    /// assert!(answer.starts_with(b"HTTP/1.1 426 Upgrade Required\r\n"));
    /// # });
    /// ```
    pub async fn accept<S>(&self, io: S) -> Result<Connection<S>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.accept_with(async { Ok(io) }, None, || Ok(())).await
    }

    /// Accepts a client of a server, once `io` is ready. Its address is known; `admit` lets it in if
    /// there is room.
    pub(super) async fn accept_from(
        &self,
        io: impl Future<Output = Result<Socket, Error>>,
        peer: Option<SocketAddr>,
        admit: impl FnOnce() -> Result<Permit, Refusal>,
    ) -> Result<Connection, Error> {
        let mut permit = None;
        let admit = || admit().map(|admitted| permit = Some(admitted));
        let conn = self.accept_with(io, peer, admit).await?;
        Ok(conn.with_peer_addr(peer).with_permit(permit))
    }

    async fn accept_with<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        io: impl Future<Output = Result<S, Error>>,
        peer: Option<SocketAddr>,
        admit: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<Connection<S>, Error> {
        let decide = |request: &mut Request<()>, purpose| {
            if purpose == Purpose::Handshake {
                self.origins.check(request)?;
            }
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            let accept = match &self.on_request {
                Some(decide) => decide(request)?,
                None => Accept::new(),
            };
            if purpose == Purpose::Handshake {
                admit()?;
            }
            Ok(accept)
        };
        server::accept(io, &self.config, decide).await
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("config", &self.config)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}
