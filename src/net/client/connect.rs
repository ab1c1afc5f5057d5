//! The ways in which a [`Client`] connects; and [`connect`].

use std::{borrow::Cow, future::Future, net::SocketAddr};

use futures_io::{AsyncRead, AsyncWrite};

use super::{
    builder::{Client, Via},
    dial::Dialer,
    env_proxy,
    stage::Stage,
    url::{check_port, parse_host},
};
use crate::{
    connection::Connection,
    error::{Error, ErrorKind},
    handshake::client::ask,
    rt::{self, Endpoint, Runtime},
    socket::Socket,
    timeout::within,
};

impl Client {
    /// Connects over TCP, by way of a proxy if there is one, over TLS for `wss://`, and does the
    /// handshake.
    ///
    /// Of several addresses of the host the first one that answers is taken: each is tried 250 ms after
    /// the one before it, or as soon as that has failed (RFC 8305). The proxy is the one of
    /// [`proxy`](Self::proxy), else, with the feature `env-proxy`, the environment's: `ws_proxy` or
    /// `http_proxy` for `ws://`, `wss_proxy` or `https_proxy` for `wss://`, else `all_proxy`, in lower
    /// or upper case, unless the host is in `no_proxy` or is this machine (`localhost`, `127.0.0.0/8`,
    /// `::1`).
    ///
    /// # Errors
    ///
    /// Those of [`connect_over`](Self::connect_over), where [`Config::connect_timeout`] covers name
    /// look-up, TCP, the proxy, TLS, the handshake and redirects together; [`ErrorKind::Io`] if the host
    /// or the proxy is not found or does not answer; [`ErrorKind::Tls`] if the server's certificate is
    /// not trusted, or TLS fails otherwise; [`ErrorKind::Refused`] or [`ErrorKind::Handshake`] if the
    /// proxy refuses or is none; [`ErrorKind::InvalidInput`] if the environment's is none by its name;
    /// [`ErrorKind::Unsupported`] without the feature of a runtime, and for `wss://` without the feature
    /// `tls`.
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
    /// let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    /// let error = Client::new(&format!("ws://{nobody}"))?.connect().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Io);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    ///
    /// [`Config::connect_timeout`]: crate::Config::connect_timeout
    pub async fn connect(&self) -> Result<Connection, Error> {
        self.connect_by(Way::Url).await
    }

    /// Like [`connect`](Self::connect), but TCP goes to another host and port. The URL still gives the
    /// `Host` header, and the name for TLS; the proxy is asked for the other host. A redirect to the same
    /// scheme, host and port goes there, too.
    ///
    /// # Errors
    ///
    /// Those of `connect`, and [`ErrorKind::InvalidInput`] if this is no host, or if the port is 0.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{StreamExt, join};
    /// use wsweave::{Client, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let mut listener = wsweave::listen("127.0.0.1:0").await?;
    /// let port = listener.local_addr().port();
    /// let client = Client::new("ws://chat.example/room")?;
    /// let (conn, server) = join!(client.connect_to("localhost", port), listener.next());
    /// assert_eq!(server.unwrap().request().unwrap().headers()["host"], "chat.example");
    /// # conn?;
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub async fn connect_to(&self, host: &str, port: u16) -> Result<Connection, Error> {
        check_port(Some(port))?;
        let host = parse_host(host)?;
        self.connect_by(Way::To(&host, port)).await
    }

    /// Like [`connect`](Self::connect), but over a Unix socket, and without a proxy. The URL still gives
    /// the `Host` header, and the name for TLS. A redirect to the same scheme, host and port goes there,
    /// too.
    ///
    /// # Errors
    ///
    /// Those of `connect`.
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
    /// let client = Client::new("ws://localhost/containers/weaver/attach/ws")?;
    /// let error = client.connect_unix("/run/nobody.sock").await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Io);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    #[cfg(unix)]
    pub async fn connect_unix(
        &self,
        path: impl AsRef<std::path::Path>,
    ) -> Result<Connection, Error> {
        self.connect_by(Way::Unix(path.as_ref())).await
    }

    /// Does the handshake over a transport that is there already: a TLS stream, a Unix socket, a pipe.
    /// The URL gives the path and the `Host` header; nothing is encrypted, whatever its scheme, and no
    /// redirect is followed.
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
    /// [`ErrorKind::LimitExceeded`] if the answer's head is too large; [`ErrorKind::Timeout`], with what
    /// was waited for, if it takes longer than
    /// [`Config::connect_timeout`](crate::Config::connect_timeout); [`ErrorKind::Io`] if the transport
    /// fails or ends.
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
    pub async fn connect_over<S>(&self, mut io: S) -> Result<Connection<S>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stage = Stage::new(ANSWER);
        self.in_time(&stage, async {
            let answer = ask(&mut io, self.request()?, &self.config).await?;
            answer.open(io, &self.config).await
        })
        .await
    }

    async fn connect_by(&self, way: Way<'_>) -> Result<Connection, Error> {
        let runtime = rt::required("connect")?;
        let stage = Stage::new(ANSWER);
        self.in_time(&stage, async {
            let mut client = Cow::Borrowed(self);
            let mut followed = 0;
            loop {
                let way = if client.url.has_origin_of(&self.url) { way } else { Way::Url };
                let (mut socket, peer_addr) = client.reach(&*runtime, way, &stage).await?;
                stage.set(ANSWER);
                let answer = ask(&mut socket, client.request()?, &self.config).await?;
                if self.max_redirects == 0 || answer.location().is_none() {
                    let conn = answer.open(socket, &self.config).await?;
                    return Ok(conn.with_peer_addr(peer_addr).linger_on_drop());
                }
                client = Cow::Owned(client.redirected(answer, followed)?);
                followed += 1;
            }
        })
        .await
    }

    /// A transport to the server, and the server's address where that is known.
    async fn reach(
        &self,
        runtime: &dyn Runtime,
        way: Way<'_>,
        stage: &Stage,
    ) -> Result<(Socket, Option<SocketAddr>), Error> {
        let host = self.url.host();
        let tls = self.url.is_secure().then(|| self.tls.connector(&host)).transpose()?;
        let dialer = Dialer { runtime, clock: &self.config.clock, nodelay: self.nodelay, stage };
        let (socket, peer_addr) = match way {
            Way::Url => self.reach_tcp(&dialer, &host, self.url.port()).await?,
            Way::To(host, port) => self.reach_tcp(&dialer, host, port).await?,
            #[cfg(unix)]
            Way::Unix(path) => (reach_unix(&dialer, path).await?, None),
        };
        let Some(tls) = tls else { return Ok((socket, peer_addr)) };
        stage.set("the TLS handshake");
        Ok((tls.connect(socket).await?, peer_addr))
    }

    async fn reach_tcp(
        &self,
        dialer: &Dialer<'_>,
        host: &str,
        port: u16,
    ) -> Result<(Socket, Option<SocketAddr>), Error> {
        let proxy = match &self.via {
            Via::Environment => env_proxy::find(self.url.is_secure(), host, port)?.map(Cow::Owned),
            Via::Proxy(proxy) => Some(Cow::Borrowed(proxy)),
            Via::Nothing => None,
        };
        match proxy {
            Some(proxy) => Ok((proxy.connect(dialer, &self.config, host, port).await?, None)),
            None => dialer.dial(host, port).await.map(|(socket, addr)| (socket, Some(addr))),
        }
    }

    fn in_time<T>(
        &self,
        stage: &Stage,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        let limit = self.config.connect_timeout;
        let in_time = within(&self.config.clock, limit, work);
        async move {
            in_time.await.unwrap_or_else(|| {
                let (host, port, stage) = (self.url.host(), self.url.port(), stage.get());
                let message = format!(
                    "connecting to {host} port {port} took longer than {limit:?}, waiting for {stage}"
                );
                Err(Error::new(ErrorKind::Timeout, message))
            })
        }
    }
}

/// Where a transport goes.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// As the URL says.
    Url,
    To(&'a str, u16),
    #[cfg(unix)]
    Unix(&'a std::path::Path),
}

#[cfg(unix)]
async fn reach_unix(dialer: &Dialer<'_>, path: &std::path::Path) -> Result<Socket, Error> {
    dialer.stage.set("the Unix socket");
    dialer.runtime.connect(Endpoint::Unix(path.to_owned())).await.map_err(|error| {
        Error::with_source(ErrorKind::Io, format!("cannot connect to {}", path.display()), error)
    })
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

const ANSWER: &str = "the server's answer";
