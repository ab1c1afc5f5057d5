//! [`Client`], what to connect to and how; and [`connect`].

use std::{io, sync::Arc};

use async_tungstenite::tungstenite::client::IntoClientRequest;
use futures_io::{AsyncRead, AsyncWrite};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL},
};

use super::url::Url;
use crate::{
    config::Config,
    connection::Connection,
    error::{Error, ErrorKind},
    handshake::{client, field, is_token},
    rt::{self, Endpoint, Runtime},
    socket::Socket,
    timeout::within,
};

/// Makes client connections: a URL, and what to say and to ask for in the opening handshake (RFC 6455,
/// section 4.1).
///
/// Settings are checked as they are made. A client can connect any number of times.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use wsweave::{Accept, Client, ConnectionExt};
///
/// # async_std::task::block_on(async {
/// let mut listener = wsweave::listen("127.0.0.1:0")
///     .await?
///     .on_request(|request| Ok(Accept::new().choose_subprotocol(request, ["chat"])));
///
/// let client = Client::new(&format!("ws://{}/room?id=7", listener.local_addr()))?
///     .header("Authorization", "Bearer secret")?
///     .subprotocol("chat")?;
/// let (conn, server) = futures::join!(client.connect(), listener.next());
/// assert_eq!(conn?.subprotocol(), Some("chat"));
/// assert_eq!(server.unwrap().request().unwrap().headers()["authorization"], "Bearer secret");
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Client {
    url: Url,
    headers: HeaderMap,
    subprotocols: Vec<String>,
    config: Arc<Config>,
}

impl Client {
    /// A client for a URL: `ws://`, or `http://` for the same; `wss://` and `https://` for a transport
    /// that is encrypted already, see [`connect_over`](Self::connect_over).
    ///
    /// A user and a password before the host become Basic authorization.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if this is no URL, has another scheme, no host, a port that is none,
    /// or a fragment.
    ///
    /// ```
    /// use wsweave::Client;
    /// assert!(Client::new("ws://user:password@[::1]:8080/path?query").is_ok());
    /// assert_eq!(
    ///     Client::new("ftp://example.com/").unwrap_err().to_string(),
    ///     "a WebSocket URL starts with ws:// or wss://"
    /// );
    /// ```
    pub fn new(url: &str) -> Result<Self, Error> {
        let url = Url::parse(url)?;
        let headers = url.authorization.clone().map(|value| (AUTHORIZATION, value));
        Ok(Self {
            url,
            headers: headers.into_iter().collect(),
            subprotocols: Vec::new(),
            config: Arc::default(),
        })
    }

    /// Adds a header to the request; repeated ones are kept. `Authorization` takes the place of the
    /// URL's. `Debug` does not show it, nor cookies.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the name or the value is none of HTTP's, or if the header is the
    /// handshake's own: `Host`, `Connection`, `Upgrade`, `Sec-WebSocket-…`.
    ///
    /// ```
    /// use wsweave::Client;
    /// let client = Client::new("ws://example.com")?.header("Cookie", "seen=1")?;
    /// assert!(client.clone().header("X-Name", "a\r\nX-Other: b").is_err());
    /// assert!(client.header("Sec-WebSocket-Protocol", "chat").is_err());
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn header<N, V>(mut self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let (name, value) = field(name, value)?;
        if name == AUTHORIZATION {
            self.headers.insert(name, value);
        } else {
            self.headers.append(name, value);
        }
        Ok(self)
    }

    /// Offers a subprotocol (RFC 6455, section 1.9), after those offered before: the order is the order
    /// of preference. Whoever offers one insists on one: a server that agrees to none is an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the name is not a token, or was offered before.
    ///
    /// ```
    /// use wsweave::Client;
    /// let client = Client::new("ws://example.com")?.subprotocol("chat.v2")?.subprotocol("chat")?;
    /// assert!(client.clone().subprotocol("chat").is_err());
    /// assert!(client.subprotocol("a, b").is_err());
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn subprotocol(mut self, name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        if !is_token(&name) {
            return Err(Error::invalid_input(format!("the subprotocol {name:?} is not a token")));
        }
        if self.subprotocols.contains(&name) {
            return Err(Error::invalid_input(format!("the subprotocol {name:?} is offered twice")));
        }
        self.subprotocols.push(name);
        Ok(self)
    }

    /// Sets the configuration of the handshake and of the connection that comes out of it.
    ///
    /// ```
    /// use wsweave::{Client, Config};
    /// let client =
    ///     Client::new("ws://example.com")?.config(Config::default().max_message_size(1 << 16));
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn config(mut self, config: Config) -> Self {
        self.config = Arc::new(config);
        self
    }

    /// Connects over TCP, with Nagle's algorithm off, and does the handshake. The addresses of the host
    /// are tried one after the other.
    ///
    /// # Errors
    ///
    /// Those of [`connect_over`](Self::connect_over), where [`Config::connect_timeout`] covers name
    /// look-up, TCP and the handshake together; [`ErrorKind::Io`] if the host is not found or does not
    /// answer; [`ErrorKind::Unsupported`] for `wss://`, and without the feature of a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Client, ErrorKind};
    ///
    /// # async_std::task::block_on(async {
    /// let refused = Client::new("wss://example.com/")?.connect().await.unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Unsupported);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub async fn connect(&self) -> Result<Connection, Error> {
        if self.url.uri.scheme_str() == Some("wss") {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "wss:// needs TLS, which is not built in: make a TLS stream and use `connect_over`",
            ));
        }
        let runtime = rt::required("connect")?;
        let (host, port) = (self.url.host(), self.url.port());
        self.in_time(async {
            let socket = connect_tcp(&*runtime, host, port).await.map_err(|error| {
                let message = format!("cannot connect to {host} port {port}");
                Error::with_source(ErrorKind::Io, message, error)
            })?;
            self.open(socket).await.map(Connection::linger_on_drop)
        })
        .await
    }

    /// Does the handshake over a transport that is there already: a TLS stream, a Unix socket, a pipe.
    /// The URL gives the path and the `Host` header.
    ///
    /// The `poll_close` of `io` has to end the sending side, as `shutdown` does for TCP: the closing
    /// handshake relies on it. That of async-std's `TcpStream` does nothing; wrap it with
    /// `Socket::from`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if the server answers with another status than 101, see
    /// [`Error::response`], whose body is what comes within a second (without a clock: what has
    /// arrived); [`ErrorKind::Handshake`] if its answer breaks a rule, which the error names;
    /// [`ErrorKind::LimitExceeded`] if the answer's head is too large; [`ErrorKind::Timeout`] if it
    /// takes longer than [`Config::connect_timeout`]; [`ErrorKind::Io`] if the transport fails or ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `io`, in the middle of the handshake.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::io::Cursor;
    /// use wsweave::{Client, ErrorKind};
    ///
    /// # async_std::task::block_on(async {
    /// let client = Client::new("ws://example.com/")?;
    /// let vanished = client.connect_over(Cursor::new(Vec::new())).await.unwrap_err();
    /// assert_eq!(vanished.kind(), ErrorKind::Io);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub async fn connect_over<S>(&self, io: S) -> Result<Connection<S>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.in_time(self.open(io)).await
    }

    /// The handshake without a limit in time.
    async fn open<S>(&self, io: S) -> Result<Connection<S>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        client::open(io, self.request()?, &self.config).await
    }

    fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        let limit = self.config.connect_timeout;
        let in_time = within(&self.config.clock, limit, work);
        async move {
            in_time.await.unwrap_or_else(|| {
                let (host, port) = (self.url.host(), self.url.port());
                let message =
                    format!("connecting to {host} port {port} took longer than {limit:?}");
                Err(Error::new(ErrorKind::Timeout, message))
            })
        }
    }

    /// The request, with a key of its own.
    fn request(&self) -> Result<Request<()>, Error> {
        let mut request = self.url.uri.clone().into_client_request().map_err(|error| {
            Error::with_source(ErrorKind::InvalidInput, "the URL is not valid", error)
        })?;
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        if !self.subprotocols.is_empty() {
            let offer = HeaderValue::try_from(self.subprotocols.join(", "))
                .expect("tokens make a header value");
            headers.insert(SEC_WEBSOCKET_PROTOCOL, offer);
        }
        Ok(request)
    }
}

/// Connects to a WebSocket URL: [`Client::new`] and [`Client::connect`] in one.
///
/// # Errors
///
/// As these two say.
///
/// # Cancel safety
///
/// Dropping the future gives the attempt up.
///
/// # Examples
///
/// ```
/// use futures::{SinkExt, StreamExt};
///
/// # async_std::task::block_on(async {
/// let mut listener = wsweave::listen("127.0.0.1:0").await?;
/// let url = format!("ws://{}", listener.local_addr());
///
/// let (client, server) = futures::join!(wsweave::connect(&url), listener.next());
/// let (mut client, mut server) = (client?, server.unwrap());
/// client.send("hello".into()).await?;
/// assert_eq!(server.next().await, Some("hello".into()));
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
pub async fn connect(url: &str) -> Result<Connection, Error> {
    Client::new(url)?.connect().await
}

/// Connects to the first of a host's addresses that answers.
async fn connect_tcp(runtime: &dyn Runtime, host: &str, port: u16) -> io::Result<Socket> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for addr in runtime.look_up(host, port).await? {
        match runtime.connect(Endpoint::Tcp { addr, nodelay: true }).await {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
