//! The start of the body of an answer that refuses the handshake.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_io::AsyncRead;
use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use httparse::{Status, parse_chunk_size};

use super::{
    fields::{has, only},
    head::read_some,
};
use crate::{config::Clock, timeout::briefly};

/// Reads the body, or as much of it as comes soon (without a clock: as is there) and fits; `start` came
/// with the head. What fails on the way only makes it shorter: the answer is the error to report.
pub(super) async fn read<S: AsyncRead + Unpin>(
    io: &mut S,
    response: &Response<()>,
    start: Vec<u8>,
    clock: &Clock,
) -> Bytes {
    let mut raw = start;
    let framing = Framing::of(response);
    let _ = briefly(clock, PATIENCE, fill(io, &mut raw, framing)).await;
    let mut body = match framing {
        Framing::Chunked => dechunk(&raw),
        Framing::Length(_) | Framing::UntilEnd => raw,
    };
    body.truncate(framing.limit());
    body.into()
}

async fn fill<S: AsyncRead + Unpin>(
    io: &mut S,
    raw: &mut Vec<u8>,
    framing: Framing,
) -> io::Result<()> {
    let mut chunk = [0; 1024];
    while raw.len() < framing.limit() && !(framing == Framing::Chunked && raw.ends_with(LAST_CHUNK))
    {
        match read_some(io, &mut chunk).await? {
            [] => break,
            read => raw.extend_from_slice(read),
        }
    }
    Ok(())
}

/// How the end of a body is known (RFC 9112, section 6.3).
#[derive(Clone, Copy, PartialEq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilEnd,
}

impl Framing {
    fn of(response: &Response<()>) -> Self {
        let headers = response.headers();
        match response.status() {
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Self::Length(0),
            _ if has(headers, TRANSFER_ENCODING, "chunked") => Self::Chunked,
            _ => content_length(headers).map_or(Self::UntilEnd, Self::Length),
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::Length(length) => length.min(LIMIT),
            Self::Chunked | Self::UntilEnd => LIMIT,
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    only(headers, CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Takes the chunks' sizes out, as far as they make sense.
fn dechunk(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Status::Complete((start, size @ 1..))) = parse_chunk_size(raw) {
        let chunk = &raw[start..];
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(chunk.len());
        body.extend_from_slice(&chunk[..size]);
        raw = chunk[size..].strip_prefix(b"\r\n").unwrap_or_default();
    }
    body
}

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// How much of a body is kept.
const LIMIT: usize = 8 << 10;

/// How long to wait for it: the answer's status is worth more than a body that never ends.
const PATIENCE: Duration = Duration::from_secs(1);
