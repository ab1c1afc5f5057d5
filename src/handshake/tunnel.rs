//! A way through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};
use http::{HeaderValue, StatusCode};

use super::{
    body,
    client::{read_answer, send},
    head::Sender,
};
use crate::{config::Config, error::Error};

/// Asks the proxy at the other end of `io` for a tunnel to `authority`, a host and a port. What comes
/// behind its answer is left to whoever uses the tunnel.
///
/// # Errors
///
/// `refused` makes the one for a status other than 2xx. The others are those of any answer's head.
pub(crate) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    authority: &str,
    authorization: Option<&HeaderValue>,
    config: &Config,
    refused: impl FnOnce(StatusCode) -> String,
) -> Result<(), Error> {
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");

    let sent = send(io, &request).await;
    let (_, response) = read_answer(&mut ByteByByte(io), sent, Sender::Proxy, config).await?;
    if response.status().is_success() {
        return Ok(());
    }
    let body = body::read(io, &response, Vec::new(), &config.clock).await;
    Err(Error::refused(refused(response.status()), response.map(|()| body)))
}

/// Takes no byte from the tunnel; the head in front of it is short.
struct ByteByByte<'a, S>(&'a mut S);

impl<S: AsyncRead + Unpin> AsyncRead for ByteByByte<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let one = buffer.len().min(1);
        Pin::new(&mut *self.0).poll_read(cx, &mut buffer[..one])
    }
}
