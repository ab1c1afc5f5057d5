//! The client's opening handshake.

use std::{io, sync::Arc, time::Duration};

use async_tungstenite::tungstenite::{
    error::{CapacityError, Error as HttpError},
    handshake::{client::generate_request, derive_accept_key, machine::TryParse},
};
use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::AsyncWriteExt;
use http::{
    HeaderValue, Request, Response, StatusCode, Version,
    header::{
        CONNECTION, LOCATION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_PROTOCOL, UPGRADE,
    },
};

use super::{
    body, extensions,
    fields::{has, list, only, sole},
    head::{Head, Sender, TOO_MANY_FIELDS},
    opening::Opening,
};
use crate::{
    config::{Config, Role},
    connection::Connection,
    error::{Error, ErrorKind},
    timeout::briefly,
};

/// Sends `request`, which is complete, and reads the server's final answer. The limit in time is the
/// caller's.
pub(crate) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    mut request: Request<()>,
    config: &Config,
) -> Result<Answer, Error> {
    if let Some(compression) = &config.compression {
        let offer = extensions::offer(compression);
        request.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, offer);
    }
    let offered = list(request.headers(), SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect();
    let server = Sender::Server { encrypted: request.uri().scheme_str() == Some("wss") };
    let (request, key) = generate_request(request).map_err(|error| {
        Error::with_source(ErrorKind::InvalidInput, "the request cannot be sent", error)
    })?;
    let sent = send(io, &request).await;
    let (head, response) = read_answer(io, sent, server, config).await?;
    Ok(Answer { head, response, key, offered })
}

/// What a server answers.
pub(crate) struct Answer {
    head: Head,
    response: Response<()>,
    /// Of the request.
    key: String,
    /// The subprotocols of the request.
    offered: Vec<String>,
}

impl Answer {
    /// Where it sends the client, if it is a redirect (RFC 9110, section 15.4).
    pub(crate) fn location(&self) -> Option<&HeaderValue> {
        use StatusCode as S;
        let redirects = [
            S::MOVED_PERMANENTLY,
            S::FOUND,
            S::SEE_OTHER,
            S::TEMPORARY_REDIRECT,
            S::PERMANENT_REDIRECT,
        ];
        let is_redirect = redirects.contains(&self.response.status());
        self.response.headers().get(LOCATION).filter(|_| is_redirect)
    }

    /// The error that the answer is, without its body.
    pub(crate) fn refuse(self, message: String) -> Error {
        Error::refused(message, self.response.map(|()| Bytes::new()))
    }

    /// Makes a connection of the transport that it came from, if it is a 101.
    pub(crate) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        mut io: S,
        config: &Arc<Config>,
    ) -> Result<Connection<S>, Error> {
        let Self { head, response, key, offered } = self;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let body = body::read(&mut io, &response, head.rest, &config.clock).await;
            let message = format!("the server answered the handshake with {}", response.status());
            return Err(Error::refused(message, response.map(|()| body)));
        }
        check(&response, &key)?;
        let subprotocol = agreed_subprotocol(&response, &offered)?;
        let compression = config.compression.as_ref();
        let agreed = extensions::agreed(response.headers(), compression).map_err(|rule| {
            let message = format!("the server's 101 has an extension that breaks a rule: {rule}");
            Error::new(ErrorKind::Handshake, message)
        })?;
        let opening = Opening::response(head.bytes, subprotocol);
        Ok(Connection::from_parts(io, &head.rest, Role::Client, Arc::clone(config))
            .with_opening(opening)
            .with_compression(agreed))
    }
}

pub(super) async fn send<S: AsyncWrite + Unpin>(io: &mut S, request: &[u8]) -> io::Result<()> {
    io.write_all(request).await?;
    io.flush().await
}

/// Reads the final answer to a request, also if sending that failed: a server that refuses without
/// reading ends the connection, and what it said before tells why.
pub(super) async fn read_answer<S: AsyncRead + Unpin>(
    io: &mut S,
    sent: io::Result<()>,
    server: Sender,
    config: &Config,
) -> Result<(Head, Response<()>), Error> {
    let answer = read_final(io, server, config);
    let Err(error) = sent else { return answer.await };
    match briefly(&config.clock, PATIENCE, answer).await {
        Some(Err(other)) if other.kind() == ErrorKind::Io => Err(error.into()),
        Some(answer) => answer,
        None => Err(error.into()),
    }
}

/// The answers before the final one are for information only (RFC 9110, section 15.2).
async fn read_final<S: AsyncRead + Unpin>(
    io: &mut S,
    server: Sender,
    config: &Config,
) -> Result<(Head, Response<()>), Error> {
    let mut head = Head::read(io, server, config).await?;
    loop {
        let response = parse(&mut head.bytes)?;
        let status = response.status();
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok((head, response));
        }
        head = head.next(io, config).await?;
    }
}

/// Parses the answer. tungstenite refuses HTTP/1.0 before it shows the status, and a server that
/// refuses in HTTP/1.0 has still answered; so the version is looked at here.
fn parse(head: &mut [u8]) -> Result<Response<()>, Error> {
    let version = match head.strip_prefix(b"HTTP/1.") {
        Some([b'0', ..]) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    if version == Version::HTTP_10 {
        head[b"HTTP/1.".len()] = b'1';
    }
    match Response::<Option<Vec<u8>>>::try_parse(head) {
        Ok(Some((_, response))) => {
            let mut response = response.map(drop);
            *response.version_mut() = version;
            Ok(response)
        }
        Ok(None) => Err(fail("the answer is not HTTP")),
        Err(HttpError::Capacity(CapacityError::TooManyHeaders)) => {
            Err(Error::new(ErrorKind::LimitExceeded, TOO_MANY_FIELDS))
        }
        Err(error) => {
            Err(Error::with_source(ErrorKind::Handshake, "the answer is not HTTP", error))
        }
    }
}

/// The checks of RFC 6455, section 4.1, on an answer with status 101.
fn check(response: &Response<()>, key: &str) -> Result<(), Error> {
    let headers = response.headers();
    if response.version() != Version::HTTP_11 {
        return Err(fail("the server's 101 must be HTTP/1.1"));
    }
    let is_websocket = |protocol: &str| protocol.eq_ignore_ascii_case("websocket");
    if !sole(list(headers, UPGRADE)).is_some_and(is_websocket) {
        return Err(fail("the server's 101 must say `Upgrade: websocket` and nothing else"));
    }
    if !has(headers, CONNECTION, "upgrade") {
        return Err(fail("the server's 101 must say `Connection: Upgrade`"));
    }
    let accept = derive_accept_key(key.as_bytes());
    if only(headers, SEC_WEBSOCKET_ACCEPT).is_none_or(|value| value != accept.as_str()) {
        return Err(fail("the server's 101 must have one Sec-WebSocket-Accept that fits our key"));
    }
    Ok(())
}

/// The subprotocol that both sides agree on: one of those offered, and none if none was.
fn agreed_subprotocol(
    response: &Response<()>,
    offered: &[String],
) -> Result<Option<Box<str>>, Error> {
    let headers = response.headers();
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return match offered {
            [] => Ok(None),
            _ => Err(fail("the server agreed to none of the subprotocols that were offered")),
        };
    }
    let chosen = only(headers, SEC_WEBSOCKET_PROTOCOL)
        .ok_or_else(|| fail("the server's 101 must have only one Sec-WebSocket-Protocol"))?;
    match offered.iter().find(|&name| chosen == name) {
        Some(name) => Ok(Some(name.as_str().into())),
        None => Err(fail("the server chose a subprotocol that was not offered")),
    }
}

fn fail(rule: &'static str) -> Error {
    Error::new(ErrorKind::Handshake, rule)
}

/// How long to wait for an answer to what could not be sent.
const PATIENCE: Duration = Duration::from_secs(1);
