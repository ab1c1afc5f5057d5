//! What a server's callback decides about a request: [`Accept`] or [`Refusal`].

use std::{borrow::Cow, fmt, sync::Arc};

use async_tungstenite::tungstenite::handshake::server::write_response;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, PROXY_AUTHORIZATION,
        SEC_WEBSOCKET_PROTOCOL, SET_COOKIE, TRANSFER_ENCODING, UPGRADE,
    },
};

use super::fields::{is_reserved, list};
use crate::{
    config::Config,
    error::{Error, ErrorKind},
};

/// Accepts a request for a connection: the extra headers of the answer and the subprotocol.
///
/// # Examples
///
/// ```
/// use wsweave::{Accept, Acceptor};
///
/// let acceptor = Acceptor::new().on_request(|request| {
///     Ok(Accept::new().choose_subprotocol(request, ["chat"]).header("Server", "loom")?)
/// });
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Accept {
    headers: HeaderMap,
    subprotocol: Option<String>,
    config: Option<Arc<Config>>,
}

/// What is left of an [`Accept`] when the answer is made.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) subprotocol: Option<Box<str>>,
    /// The connection's own, if it has one.
    pub(super) config: Option<Arc<Config>>,
}

impl Accept {
    /// Accepts without a subprotocol and without extra headers.
    ///
    /// ```
    /// let acceptor = wsweave::Acceptor::new().on_request(|_| Ok(wsweave::Accept::new()));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header to the answer; repeated ones are kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the name or the value is none of HTTP's, if the value is not
    /// ASCII, or if the header is the handshake's own: `Connection`, `Upgrade`, `Sec-WebSocket-…`.
    ///
    /// ```
    /// use wsweave::Accept;
    /// assert!(Accept::new().header("Set-Cookie", "seen=1").is_ok());
    /// assert!(Accept::new().header("X-Name", "a\r\nSet-Cookie: b").is_err());
    /// assert!(Accept::new().header("Sec-WebSocket-Protocol", "chat").is_err());
    /// ```
    pub fn header<N, V>(mut self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let (name, value) = field(name, value)?;
        if value.to_str().is_err() {
            return Err(Error::invalid_input(format!("the value of `{name}` must be ASCII")));
        }
        self.headers.append(name, value);
        Ok(self)
    }

    /// Agrees to a subprotocol. The request is refused with 500 if the client did not offer it.
    ///
    /// ```
    /// let acceptor =
    ///     wsweave::Acceptor::new().on_request(|_| Ok(wsweave::Accept::new().subprotocol("chat")));
    /// ```
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Agrees to the first of the subprotocols that the client offers, in its order of preference,
    /// that is among `supported`; to none if there is none.
    ///
    /// ```
    /// use wsweave::{Accept, Acceptor};
    /// let acceptor = Acceptor::new()
    ///     .on_request(|request| Ok(Accept::new().choose_subprotocol(request, ["chat", "mqtt"])));
    /// ```
    pub fn choose_subprotocol<B, I>(mut self, request: &Request<B>, supported: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let supported: Vec<_> = supported.into_iter().collect();
        self.subprotocol = list(request.headers(), SEC_WEBSOCKET_PROTOCOL)
            .find(|offered| supported.iter().any(|name| name.as_ref() == *offered))
            .map(str::to_owned);
        self
    }

    /// Gives this connection a configuration of its own: limits and timeouts by path, say.
    ///
    /// Those of the opening handshake are the server's. [`upgrade`] makes its connection with it;
    /// [`respond_with`] has no use for it.
    ///
    /// [`upgrade`]: crate::handshake::server::upgrade
    /// [`respond_with`]: crate::handshake::server::respond_with
    ///
    /// ```
    /// use wsweave::{Accept, Acceptor, Config};
    ///
    /// let acceptor = Acceptor::new().on_request(|request| match request.uri().path() {
    ///     "/upload" => Ok(Accept::new().config(Config::default().max_message_size(64 << 20))),
    ///     _ => Ok(Accept::new()),
    /// });
    /// ```
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = Some(config.into());
        self
    }

    /// Puts the decision into the answer with status 101.
    pub(super) fn apply(
        self,
        request: &HeaderMap,
        response: &mut Response<()>,
    ) -> Result<Accepted, Refusal> {
        let config = self.config;
        let headers = response.headers_mut();
        headers.extend(self.headers);
        let Some(name) = self.subprotocol else {
            return Ok(Accepted { subprotocol: None, config });
        };
        let value = list(request, SEC_WEBSOCKET_PROTOCOL)
            .find(|offered| *offered == name)
            .and_then(|offered| HeaderValue::from_str(offered).ok())
            .ok_or_else(|| {
                Error::invalid_input("the client did not offer the chosen subprotocol")
            })?;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
        Ok(Accepted { subprotocol: Some(name.into()), config })
    }
}

/// Refuses a request for a connection with an HTTP answer.
///
/// Made of a status and a line of text, or of any [`http::Response`]; `?` makes one with status 500 of
/// an [`Error`]. `Content-Length` and `Connection: close` are set as it is sent, a status that has no
/// body (204, 205, 304) goes without, and then the connection is ended. A refusal that cannot be sent,
/// because its status is below 200 or a header is not ASCII, is answered with 500.
///
/// # Examples
///
/// ```
/// use wsweave::{Accept, Acceptor, Refusal, http::{Response, StatusCode}};
///
/// let acceptor = Acceptor::new().on_request(|request| match request.uri().path() {
///     "/chat" => Ok(Accept::new()),
///     "/health" => Err(Response::new("fine\n").into()),
///     _ => Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing here")),
/// });
/// ```
#[derive(Clone)]
#[must_use]
pub struct Refusal {
    // Boxed, so that a `Result` with a refusal in it stays small.
    response: Box<Response<Bytes>>,
    /// For the error at this side.
    reason: Option<Cow<'static, str>>,
}

impl Refusal {
    /// Refuses with a status and one line of plain text.
    ///
    /// ```
    /// use wsweave::{Refusal, http::StatusCode};
    /// let refusal = Refusal::new(StatusCode::FORBIDDEN, "members only");
    /// assert_eq!(refusal.response().body(), "members only\n");
    /// ```
    pub fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        let mut response = Response::new(Bytes::from(format!("{text}\n")));
        *response.status_mut() = status;
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        Self { response: Box::new(response), reason: Some(text) }
    }

    /// The answer that will be sent.
    ///
    /// ```
    /// use wsweave::{Refusal, http::StatusCode};
    /// let refusal = Refusal::new(StatusCode::FORBIDDEN, "members only");
    /// assert_eq!(refusal.response().status(), 403);
    /// ```
    #[must_use]
    pub fn response(&self) -> &Response<Bytes> {
        &self.response
    }

    /// Turns the refusal into its answer, for a framework that sends it.
    ///
    /// ```
    /// use wsweave::{Bytes, Refusal, http::{Response, StatusCode}};
    /// let refusal = Refusal::new(StatusCode::FORBIDDEN, "members only");
    /// let response: Response<Bytes> = refusal.into_response();
    /// assert_eq!(response.body(), "members only\n");
    /// ```
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        *self.response
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.response.headers_mut().insert(name, HeaderValue::from_static(value));
        self
    }

    /// The answer as bytes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Error> {
        let status = self.response.status();
        if status.is_informational() {
            return Err(Error::invalid_input(format!("a request cannot be refused with {status}")));
        }
        let mut head = Response::new(());
        *head.status_mut() = status;
        let headers = head.headers_mut();
        headers.clone_from(self.response.headers());
        headers.remove(TRANSFER_ENCODING);
        headers.remove(CONTENT_LENGTH);
        // RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
        let body = match status {
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => None,
            StatusCode::RESET_CONTENT => Some(&[][..]),
            _ => Some(self.response.body().as_ref()),
        };
        if let Some(body) = body {
            headers.insert(CONTENT_LENGTH, body.len().into());
        }
        // Whoever sends Upgrade names it in Connection (RFC 9110, section 7.8).
        let connection = if headers.contains_key(UPGRADE) { "close, Upgrade" } else { "close" };
        headers.insert(CONNECTION, HeaderValue::from_static(connection));
        let mut bytes = encode(&head)?;
        bytes.extend_from_slice(body.unwrap_or_default());
        Ok(bytes)
    }

    /// The error that the refused handshake ends with at this side.
    pub(super) fn to_error(&self) -> Error {
        let status = self.response.status();
        let message = match &self.reason {
            Some(reason) => format!("the request was refused with {status}: {reason}"),
            None => format!("the request was refused with {status}"),
        };
        Error::new(ErrorKind::Handshake, message)
    }
}

impl<B: Into<Bytes>> From<Response<B>> for Refusal {
    fn from(response: Response<B>) -> Self {
        Self { response: Box::new(response.map(Into::into)), reason: None }
    }
}

/// The client learns the status, 500; what went wrong is for this side only.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let refusal = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal server error");
        Self { reason: Some(error.to_string().into()), ..refusal }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refusal").field(&self.response).finish()
    }
}

/// An answer's head as bytes.
pub(super) fn encode(response: &Response<()>) -> Result<Vec<u8>, Error> {
    debug_assert_eq!(response.version(), Version::HTTP_11);
    let mut bytes = Vec::new();
    write_response(&mut bytes, response).map_err(|error| {
        Error::with_source(ErrorKind::InvalidInput, "the answer's headers must be ASCII", error)
    })?;
    Ok(bytes)
}

/// A header that somebody wants to add to a handshake.
pub(crate) fn field<N, V>(name: N, value: V) -> Result<(HeaderName, HeaderValue), Error>
where
    N: TryInto<HeaderName, Error: Into<http::Error>>,
    V: TryInto<HeaderValue, Error: Into<http::Error>>,
{
    let invalid =
        |error| Error::with_source(ErrorKind::InvalidInput, "a header cannot be sent", error);
    let name = name.try_into().map_err(|error| invalid(error.into()))?;
    let mut value = value.try_into().map_err(|error| invalid(error.into()))?;
    if is_reserved(&name) {
        return Err(Error::invalid_input(format!("the handshake itself sets the header `{name}`")));
    }
    // `Debug` shows no secrets.
    if [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE].contains(&name) {
        value.set_sensitive(true);
    }
    Ok((name, value))
}
