//! [`connect`] and [`Client::connect`].

use crate::{
    connection::Connection,
    error::{Error, ErrorKind},
    net::Client,
    rt,
};

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

impl Client {
    /// Connects over TCP, with Nagle's algorithm off, and does the handshake. The addresses of the host
    /// are tried one after the other.
    ///
    /// # Errors
    ///
    /// Those of [`connect_over`](Self::connect_over), where [`Config::connect_timeout`] covers name
    /// look-up, TCP and the handshake together; [`ErrorKind::Io`] if the host is not found or does not
    /// answer; [`ErrorKind::Unsupported`] for `wss://`, and without the feature of a runtime.
    ///
    /// [`Config::connect_timeout`]: crate::Config::connect_timeout
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
            let socket = runtime.connect(host, port).await.map_err(|error| {
                let message = format!("cannot connect to {host} port {port}");
                Error::with_source(ErrorKind::Io, message, error)
            })?;
            self.open(socket).await.map(Connection::linger_on_drop)
        })
        .await
    }
}
