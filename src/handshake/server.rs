//! The server's opening handshake (RFC 6455, section 4.2).

use std::{
    borrow::Cow,
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use async_tungstenite::tungstenite::{
    error::{CapacityError, Error as HttpError, ProtocolError},
    handshake::{derive_accept_key, machine::TryParse},
};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::AsyncWriteExt;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{
        ALLOW, CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
    },
};

use super::{
    answer::{Accept, Accepted, Refusal, encode},
    extensions,
    fields::{authority, has, only},
    head::{Head, Sender, TOO_MANY_FIELDS, read_some},
    opening::Opening,
};
use crate::{
    compression::AgreedCompression,
    config::{Clock, Config, Role},
    connection::Connection,
    error::{Error, ErrorKind},
    timeout::{briefly, within},
};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A connection, by a proper handshake.
    Handshake,
    /// Anything else that is had by a GET: it cannot be accepted, but answered.
    Page,
}

/// Reads a request from `io`, which may take a while to be ready, answers it as `decide` says, and
/// makes a connection if that was to accept.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    io: impl Future<Output = Result<S, Error>>,
    config: &Arc<Config>,
    decide: impl FnOnce(&mut Request<()>, Purpose) -> Result<Accept, Refusal>,
) -> Result<Connection<S>, Error> {
    let work = async {
        let mut io = io.await?;
        let outcome = negotiate(&mut io, config, decide).await?;
        Ok((io, outcome))
    };
    match within(&config.clock, config.handshake_timeout, work).await {
        Some(Ok((io, Outcome::Accepted { opening, config, agreed, rest }))) => {
            Ok(Connection::from_parts(io, &rest, Role::Server, config)
                .with_opening(opening)
                .with_compression(agreed))
        }
        Some(Ok((mut io, Outcome::Refused(error)))) => {
            drain(&mut io, &config.clock).await;
            Err(error)
        }
        Some(Err(error)) => Err(error),
        None => Err(Error::new(
            ErrorKind::Timeout,
            format!("the handshake took longer than {:?}", config.handshake_timeout),
        )),
    }
}

enum Outcome {
    Accepted {
        opening: Opening,
        config: Arc<Config>,
        agreed: Option<AgreedCompression>,
        rest: Vec<u8>,
    },
    Refused(Error),
}

/// Everything but the end of a refused connection.
async fn negotiate<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    config: &Arc<Config>,
    decide: impl FnOnce(&mut Request<()>, Purpose) -> Result<Accept, Refusal>,
) -> Result<Outcome, Error> {
    let answer = match Head::read(io, Sender::Client, config).await {
        Ok(head) => answer(head, config, decide),
        Err(error) if error.kind() == ErrorKind::LimitExceeded => Err(too_large(error.to_string())),
        Err(error) if error.kind() == ErrorKind::Handshake => Err(bad_request(error.to_string())),
        Err(error) => return Err(error),
    };
    let (bytes, outcome) = match answer {
        Ok(accepted) => accepted,
        Err(refusal) => refuse(&refusal)?,
    };
    io.write_all(&bytes).await?;
    io.flush().await?;
    Ok(outcome)
}

/// The answer that refuses a request. If that cannot be sent, it is 500, and an error at this side.
fn refuse(refusal: &Refusal) -> Result<(Vec<u8>, Outcome), Error> {
    match refusal.encode() {
        Ok(bytes) => Ok((bytes, Outcome::Refused(refusal.to_error()))),
        Err(error) => {
            tracing::error!(%error, "the callback refused a request with what cannot be sent");
            Ok((Refusal::from(error.clone()).encode()?, Outcome::Refused(error)))
        }
    }
}

/// Ends a refused connection so that its answer arrives: to close a socket that still has bytes to
/// read is a reset, which would take the answer from the peer.
pub(crate) async fn drain<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, clock: &Clock) {
    // What fails now cannot be told to anyone: the answer is sent.
    let _ = briefly(clock, DRAIN_TIME, read_away(io)).await;
}

async fn read_away<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S) -> io::Result<()> {
    io.close().await?;
    let mut chunk = [0; 1024];
    let mut left = DRAIN_SIZE;
    while left > 0 {
        match read_some(io, &mut chunk).await? {
            [] => break,
            read => left = left.saturating_sub(read.len()),
        }
    }
    Ok(())
}

/// The answer to a request as bytes, if it is to be accepted.
fn answer(
    head: Head,
    config: &Arc<Config>,
    decide: impl FnOnce(&mut Request<()>, Purpose) -> Result<Accept, Refusal>,
) -> Result<(Vec<u8>, Outcome), Refusal> {
    let mut request = parse(&head.bytes)?;
    check_http(&request)?;
    if !asks_for_websocket(&request) {
        return decided(&mut request, Purpose::Page, decide).and(Err(no_page()));
    }
    let mut response = switch(&request)?;
    let accept = decided(&mut request, Purpose::Handshake, decide)?;
    let Accepted { subprotocol, config: own } = accept.apply(request.headers(), &mut response)?;
    let config = own.unwrap_or_else(|| Arc::clone(config));
    let agreed = agree(&config, request.headers(), &mut response);
    let opening = Opening::request(head.bytes, subprotocol);
    Ok((encode(&response)?, Outcome::Accepted { opening, config, agreed, rest: head.rest }))
}

/// Accepts compression, if both sides want it, in the answer.
fn agree(
    config: &Config,
    request: &HeaderMap,
    response: &mut Response<()>,
) -> Option<AgreedCompression> {
    let (extension, agreed) = extensions::accept(request, config.compression.as_ref()?)?;
    response.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, extension);
    Some(agreed)
}

/// Has the callback decide. Its panic must not end whoever runs the handshakes of others, too.
fn decided(
    request: &mut Request<()>,
    purpose: Purpose,
    decide: impl FnOnce(&mut Request<()>, Purpose) -> Result<Accept, Refusal>,
) -> Result<Accept, Refusal> {
    // Nothing of ours is half done while it runs; what it does to its own state is its own business.
    catch_unwind(AssertUnwindSafe(|| decide(&mut *request, purpose))).unwrap_or_else(|_| {
        tracing::error!(path = request.uri().path(), "the callback panicked on a request");
        Err(Error::new(ErrorKind::Handshake, "the callback panicked").into())
    })
}

fn parse(head: &[u8]) -> Result<Request<()>, Refusal> {
    // `Uri` would drop it silently.
    if head.split(|&byte| byte == b'\n').next().is_some_and(|line| line.contains(&b'#')) {
        return Err(bad_request("the request's target must not have a fragment"));
    }
    match Request::try_parse(head) {
        Ok(Some((_, request))) => Ok(request),
        Ok(None) => Err(bad_request("the request is not HTTP")),
        Err(HttpError::Protocol(ProtocolError::WrongHttpMethod)) => Err(method_not_allowed()),
        Err(HttpError::Protocol(ProtocolError::WrongHttpVersion)) => {
            Err(bad_request("a WebSocket handshake needs HTTP/1.1"))
        }
        Err(HttpError::Capacity(CapacityError::TooManyHeaders)) => Err(too_large(TOO_MANY_FIELDS)),
        Err(error) => Err(bad_request(format!("the request is not HTTP: {error}"))),
    }
}

/// Checks a request by the rules of a handshake (RFC 6455, section 4.2.1), and makes the answer that
/// accepts it (section 4.2.2): status 101 with the three headers that it takes.
///
/// Send that, and hand the transport to [`Connection::from_raw`](crate::Connection::from_raw), or to
/// [`from_partially_read`](crate::Connection::from_partially_read) if more than the head was read. Of
/// the request's origin nothing is asked here: that is what
/// [`Origins::check`](crate::Origins::check) is for.
///
/// # Errors
///
/// The answer that refuses it, with a line of text that names the broken rule: 405 for another method
/// than GET; 426 for a missing `Upgrade: websocket` or another version than 13; else 400.
///
/// # Examples
///
/// ```
/// use wsweave::{handshake::server::respond, http::Request};
///
/// let request = Request::get("/chat")
///     .header("Host", "server.example.com")
///     .header("Upgrade", "websocket")
///     .header("Connection", "Upgrade")
///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .header("Sec-WebSocket-Version", "13")
///     .body(())?;
/// let response = respond(&request).unwrap();
/// assert_eq!(response.status(), 101);
/// assert_eq!(response.headers()["Sec-WebSocket-Accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
///
/// let page = Request::get("/").header("Host", "server.example.com").body(())?;
/// let refusal = respond(&page).unwrap_err();
/// assert_eq!(refusal.response().status(), 426);
/// # Ok::<_, wsweave::http::Error>(())
/// ```
pub fn respond<B>(request: &Request<B>) -> Result<Response<()>, Refusal> {
    respond_with(request, Accept::new())
}

/// Like [`respond`], with what an [`Accept`] adds to the answer: headers, and the subprotocol.
/// Compression is not negotiated: [`upgrade`] does that.
///
/// # Errors
///
/// Those of `respond`; 500 for a subprotocol that the client did not offer.
///
/// # Examples
///
/// ```
/// use wsweave::{Accept, handshake::server::respond_with, http::Request};
///
/// let request = Request::get("/chat")
///     .header("Host", "server.example.com")
///     .header("Upgrade", "websocket")
///     .header("Connection", "Upgrade")
///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .header("Sec-WebSocket-Version", "13")
///     .header("Sec-WebSocket-Protocol", "mqtt, chat")
///     .body(())?;
/// let accept = Accept::new().choose_subprotocol(&request, ["chat"]);
/// let response = respond_with(&request, accept).unwrap();
/// assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "chat");
/// # Ok::<_, wsweave::http::Error>(())
/// ```
pub fn respond_with<B>(request: &Request<B>, accept: Accept) -> Result<Response<()>, Refusal> {
    apply(request, accept).map(|(response, _)| response)
}

/// Like [`respond_with`], together with what makes the connection, for a framework that gives the
/// transport once the answer is sent. So compression can be negotiated: if [`Accept::config`] has it,
/// and the client offers it, the answer says so, and the connection does so.
///
/// # Errors
///
/// Those of `respond_with`.
///
/// # Examples
///
/// ```
/// use futures::io::Cursor;
/// use wsweave::{
///     Accept, Compression, Config, ConnectionExt, handshake::server::upgrade, http::Request,
/// };
///
/// let request = Request::get("/chat")
///     .header("Host", "server.example.com")
///     .header("Upgrade", "websocket")
///     .header("Connection", "Upgrade")
///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .header("Sec-WebSocket-Version", "13")
///     .header("Sec-WebSocket-Extensions", "permessage-deflate")
///     .body(())?;
/// let config = Config::default().compression(Compression::default());
/// let (response, upgrade) = upgrade(&request, Accept::new().config(config)).unwrap();
/// assert_eq!(response.headers()["Sec-WebSocket-Extensions"], "permessage-deflate");
///
/// // When the framework has sent that:
/// # let io = Cursor::new(Vec::new());
/// let conn = upgrade.over(io);
/// assert!(conn.compression().is_some());
/// # Ok::<_, wsweave::http::Error>(())
/// ```
pub fn upgrade<B>(
    request: &Request<B>,
    accept: Accept,
) -> Result<(Response<()>, Upgrade), Refusal> {
    let (mut response, Accepted { subprotocol, config }) = apply(request, accept)?;
    let config = config.unwrap_or_default();
    let agreed = agree(&config, request.headers(), &mut response);
    Ok((response, Upgrade { subprotocol, config, agreed }))
}

/// What [`upgrade`] has agreed on: makes the connection, when the answer is sent.
///
/// See [`upgrade`] for an example.
#[derive(Debug)]
#[must_use = "the client expects a connection by what was agreed"]
pub struct Upgrade {
    subprotocol: Option<Box<str>>,
    config: Arc<Config>,
    agreed: Option<AgreedCompression>,
}

impl Upgrade {
    /// Makes the connection of the transport that comes behind the answer, as
    /// [`Connection::from_raw`] does: with the configuration of [`Accept::config`], or the default, and
    /// with the subprotocol and the compression that the answer has.
    pub fn over<S: AsyncRead + AsyncWrite + Unpin>(self, io: S) -> Connection<S> {
        Connection::from_parts(io, &[], Role::Server, self.config)
            .with_opening(Opening::headless(self.subprotocol))
            .with_compression(self.agreed)
    }
}

/// Checks a request, and makes the answer that accepts it.
fn apply<B>(request: &Request<B>, accept: Accept) -> Result<(Response<()>, Accepted), Refusal> {
    check_http(request)?;
    if !asks_for_websocket(request) {
        return Err(no_page());
    }
    let mut response = switch(request)?;
    let accepted = accept.apply(request.headers(), &mut response)?;
    Ok((response, accepted))
}

/// The answer that accepts a request, if that is a proper handshake.
fn switch<B>(request: &Request<B>) -> Result<Response<()>, Refusal> {
    let key = check_websocket(request.headers())?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .expect("base64 is a header value");

    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// What HTTP asks of a request, as far as a handshake needs it.
fn check_http<B>(request: &Request<B>) -> Result<(), Refusal> {
    if request.method() != Method::GET {
        return Err(method_not_allowed());
    }
    if request.version() != Version::HTTP_11 {
        return Err(bad_request("a WebSocket handshake needs HTTP/1.1"));
    }
    let (headers, uri) = (request.headers(), request.uri());
    if !uri.path().starts_with('/') {
        return Err(bad_request("the request's target must be a path"));
    }
    let host = only(headers, HOST)
        .and_then(|host| authority(host.as_bytes()))
        .ok_or_else(|| bad_request("the request must have exactly one valid Host"))?;
    // RFC 9112, section 3.2.2, has the target win; refused, no callback can look at the wrong one.
    if uri.authority().is_some_and(|target| *target != host) {
        return Err(bad_request("the request's target and its Host must be the same"));
    }
    // What follows the head would otherwise be taken for frames.
    let has_body = headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0")
        || headers.contains_key(TRANSFER_ENCODING);
    if has_body {
        return Err(bad_request("a WebSocket handshake must not have a body"));
    }
    Ok(())
}

fn asks_for_websocket<B>(request: &Request<B>) -> bool {
    has(request.headers(), UPGRADE, "websocket")
}

/// What RFC 6455 asks of a request that asks for a WebSocket; returns its key.
fn check_websocket(headers: &HeaderMap) -> Result<&HeaderValue, Refusal> {
    if !has(headers, CONNECTION, "upgrade") {
        return Err(bad_request("the request must say `Connection: Upgrade`"));
    }
    if only(headers, SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(upgrade_required("the request must have one `Sec-WebSocket-Version: 13`"));
    }
    only(headers, SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes())).ok_or_else(|| {
        bad_request("the request must have one Sec-WebSocket-Key of 16 bytes in base64")
    })
}

/// Sixteen bytes in base64. The four bits that pad the last character may be anything: some clients
/// make keys of random characters.
fn is_key(value: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    value.len() == 24 && value.ends_with(b"==") && value[..22].iter().all(is_base64)
}

fn no_page() -> Refusal {
    upgrade_required("this is a WebSocket endpoint: `Upgrade: websocket` is missing")
}

fn bad_request(text: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, text)
}

fn too_large(text: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text)
}

fn method_not_allowed() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket handshake is a GET request")
        .with_header(ALLOW, "GET")
}

/// RFC 9110, section 15.5.22, and RFC 6455, section 4.4.
fn upgrade_required(text: &'static str) -> Refusal {
    Refusal::new(StatusCode::UPGRADE_REQUIRED, text)
        .with_header(UPGRADE, "websocket")
        .with_header(SEC_WEBSOCKET_VERSION, "13")
}

/// How much of what a refused peer still sends is read.
const DRAIN_SIZE: usize = 64 << 10;

/// For how long it is read.
const DRAIN_TIME: Duration = Duration::from_secs(1);
