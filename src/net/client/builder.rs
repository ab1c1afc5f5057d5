//! [`Client`]: what to connect to, and how.

use std::sync::Arc;

use async_tungstenite::tungstenite::client::IntoClientRequest;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{AUTHORIZATION, ORIGIN, SEC_WEBSOCKET_PROTOCOL},
};

use super::{authorization, proxy::Proxy, url::Url};
use crate::{
    config::Config,
    error::{Error, ErrorKind},
    handshake::{field, is_token},
    net::tls::ClientTls,
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
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    subprotocols: Vec<String>,
    pub(in crate::net) config: Arc<Config>,
    pub(in crate::net) tls: ClientTls,
    pub(super) via: Via,
    pub(super) nodelay: bool,
    pub(super) max_redirects: usize,
}

/// Which proxy to use.
#[derive(Clone, Debug)]
pub(super) enum Via {
    Environment,
    Proxy(Proxy),
    Nothing,
}

impl Client {
    /// A client for a URL: `ws://` or `wss://`, or `http://` and `https://` for the same.
    ///
    /// A user and a password before the host become Basic authorization. International names, and what
    /// has to be percent-encoded, are encoded as browsers do.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if this is no URL, has another scheme, no host, a port that is none,
    /// a fragment, or something in it that browsers would silently correct, such as a line's end.
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
        let (url, authorization) = Url::parse(url)?;
        Ok(Self {
            url,
            headers: authorization.into_iter().map(|value| (AUTHORIZATION, value)).collect(),
            subprotocols: Vec::new(),
            config: Arc::default(),
            tls: ClientTls::new(),
            via: Via::Environment,
            nodelay: true,
            max_redirects: 0,
        })
    }

    /// Adds a header to the request; repeated ones are kept. `Authorization` and `Origin` take the place
    /// of an earlier one, or of the URL's user. `Debug` does not show the former, nor cookies.
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
        if [AUTHORIZATION, ORIGIN].contains(&name) {
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

    /// Authorizes with a user and a password (RFC 7617), in the place of an earlier `Authorization`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the user's name has a colon.
    ///
    /// ```
    /// use wsweave::Client;
    /// let client = Client::new("wss://example.com")?.basic_auth("Aladdin", "open sesame")?;
    /// assert!(client.basic_auth("a:b", "").is_err());
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn basic_auth(mut self, user: &str, password: &str) -> Result<Self, Error> {
        let value = authorization::basic(user.as_bytes(), password.as_bytes())?;
        self.headers.insert(AUTHORIZATION, value);
        Ok(self)
    }

    /// Authorizes with a token (RFC 6750, section 2.1), in the place of an earlier `Authorization`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if a Bearer token does not look like that.
    ///
    /// ```
    /// use wsweave::Client;
    /// let client = Client::new("wss://example.com")?.bearer_auth("mF_9.B5f-4.1JqM")?;
    /// assert!(client.bearer_auth("two words").is_err());
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn bearer_auth(mut self, token: &str) -> Result<Self, Error> {
        self.headers.insert(AUTHORIZATION, authorization::bearer(token)?);
        Ok(self)
    }

    /// Says on behalf of which website it connects, as browsers do (RFC 6455, section 10.2): a scheme, a
    /// host, and a port unless it is the scheme's own (RFC 6454, section 6.2).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the origin is not written as browsers write it.
    ///
    /// ```
    /// use wsweave::Client;
    /// let client = Client::new("wss://example.com")?.origin("https://example.com")?;
    /// assert!(client.origin("https://example.com/page").is_err());
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn origin(self, origin: &str) -> Result<Self, Error> {
        let serialized = url::Url::parse(origin).map(|url| url.origin().ascii_serialization());
        if serialized.as_deref() != Ok(origin) {
            let message = format!("{origin:?} is not an origin such as https://example.com");
            return Err(Error::invalid_input(message));
        }
        self.header(ORIGIN, origin)
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

    /// Connects by way of a proxy, whatever the server, in the place of the environment's.
    ///
    /// ```
    /// use wsweave::{Client, Proxy};
    /// let client = Client::new("ws://example.com")?.proxy(Proxy::new("socks5h://localhost:9050")?);
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.via = Via::Proxy(proxy);
        self
    }

    /// Connects without a proxy, whatever the environment says.
    ///
    /// ```
    /// let client = wsweave::Client::new("ws://example.com")?.no_proxy();
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn no_proxy(mut self) -> Self {
        self.via = Via::Nothing;
        self
    }

    /// Sends small messages at once (Nagle's algorithm is off), which is the default, or lets TCP wait
    /// for more to send.
    ///
    /// ```
    /// let client = wsweave::Client::new("ws://example.com")?.nodelay(false);
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Follows up to `max` redirects (RFC 9110, section 15.4), one after the other; 0, the default:
    /// none, so that they are errors of kind [`ErrorKind::Refused`].
    ///
    /// A redirect from `wss://` to `ws://` is never followed. To another scheme, host or port the
    /// headers `Authorization`, `Cookie` and whatever is [sensitive](HeaderValue::set_sensitive) do not
    /// go along. A user in the redirect itself is of no meaning.
    ///
    /// ```
    /// let client = wsweave::Client::new("ws://example.com")?.follow_redirects(5);
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn follow_redirects(mut self, max: usize) -> Self {
        self.max_redirects = max;
        self
    }

    /// The request, with a key of its own.
    pub(super) fn request(&self) -> Result<Request<()>, Error> {
        let mut request = self.url.uri().into_client_request().map_err(|error| {
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
