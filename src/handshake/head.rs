//! [`Head`]: a request or an answer up to its empty line, read whole and within bounds.

use std::io;

use futures_io::AsyncRead;
use futures_util::AsyncReadExt;

use crate::{
    config::Config,
    error::{Error, ErrorKind},
};

/// A head, and what came in together with it.
pub(super) struct Head {
    sender: Sender,
    /// From the first line to the empty one, inclusive.
    pub(super) bytes: Vec<u8>,
    /// What the peer sent behind the head: the first frames, or the start of a body.
    pub(super) rest: Vec<u8>,
    /// The size of this head and of those before it.
    total: usize,
}

impl Head {
    /// Reads a whole head, however it is split.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] if it is larger than the configuration allows or has more fields,
    /// [`ErrorKind::Handshake`] as soon as its first bytes are none of HTTP's, [`ErrorKind::Io`] if the
    /// transport fails or ends before the head does.
    pub(super) async fn read<S: AsyncRead + Unpin>(
        io: &mut S,
        sender: Sender,
        config: &Config,
    ) -> Result<Self, Error> {
        Self::read_on(io, sender, Vec::new(), 0, config).await
    }

    /// Reads the head behind this one. The limit of their size holds for all together.
    pub(super) async fn next<S: AsyncRead + Unpin>(
        self,
        io: &mut S,
        config: &Config,
    ) -> Result<Self, Error> {
        Self::read_on(io, self.sender, self.rest, self.total, config).await
    }

    async fn read_on<S: AsyncRead + Unpin>(
        io: &mut S,
        sender: Sender,
        mut bytes: Vec<u8>,
        before: usize,
        config: &Config,
    ) -> Result<Self, Error> {
        let mut lines = Lines::default();
        let mut chunk = [0; CHUNK];
        let end = loop {
            let end = lines.find_end(&bytes);
            sender.check_start(&bytes[lines.first..])?;
            lines.check(before + end.unwrap_or(bytes.len()), config)?;
            if let Some(end) = end {
                break end;
            }
            let read = read_some(io, &mut chunk).await?;
            if read.is_empty() {
                return Err(sender.vanished(&bytes));
            }
            bytes.extend_from_slice(read);
        };
        let rest = bytes.split_off(end);
        bytes.drain(..lines.first);
        Ok(Self { sender, bytes, rest, total: before + end })
    }
}

/// Whose head it is.
#[derive(Clone, Copy)]
pub(super) enum Sender {
    Client,
    Server { encrypted: bool },
    Proxy,
}

impl Sender {
    /// Tells early what will never become a head: who speaks another protocol may well wait for us.
    fn check_start(self, start: &[u8]) -> Result<(), Error> {
        let is_tls = matches!(start, [ALERT | HELLO] | [ALERT | HELLO, 3, ..]);
        let fault = match self {
            Self::Client if is_tls => "the request is not HTTP but TLS; is it wss:// for ws://?",
            Self::Server { encrypted: false } if is_tls => {
                "the server speaks TLS at this port; is it wss://?"
            }
            Self::Proxy if is_tls => "the proxy speaks TLS at this port",
            Self::Server { .. } if !may_be_answer(start) => "the server's answer is not HTTP",
            Self::Proxy if !may_be_answer(start) => "the proxy's answer is not HTTP",
            Self::Client | Self::Server { .. } | Self::Proxy => return Ok(()),
        };
        Err(Error::new(ErrorKind::Handshake, fault))
    }

    /// The error for an end before the head's.
    fn vanished(self, bytes: &[u8]) -> Error {
        let message = match self {
            Self::Server { encrypted: false } if bytes.is_empty() => {
                "the server ended the connection without an answer (if it speaks TLS, use wss://)"
            }
            _ => "the peer ended the connection before its handshake was complete",
        };
        Error::new(ErrorKind::Io, message)
    }
}

/// Whether an answer may begin so; before it there may be empty lines, this one perhaps.
fn may_be_answer(start: &[u8]) -> bool {
    let common = start.len().min(VERSION.len());
    start == b"\r" || start[..common] == VERSION[..common]
}

/// Reads what there is, at least a byte; nothing means the end.
pub(super) async fn read_some<'a, S: AsyncRead + Unpin>(
    io: &mut S,
    buffer: &'a mut [u8],
) -> io::Result<&'a [u8]> {
    let count = io.read(buffer).await?;
    buffer
        .get(..count)
        .ok_or_else(|| io::Error::other("the transport reported more bytes than it was asked for"))
}

/// The lines of a head that is still growing. Each byte is looked at once, so a head that drips costs
/// no more than one that comes whole.
#[derive(Default)]
struct Lines {
    /// Where the first line starts that is not empty; httparse skips those before it.
    first: usize,
    /// Where the line starts that is not complete yet.
    current: usize,
    /// How far all has been looked at.
    seen: usize,
    /// How many lines that are not empty are complete: the first one, then the fields.
    count: usize,
}

impl Lines {
    /// Where the head ends: behind the empty line, as httparse sees it (LF or CRLF).
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(length) = bytes[self.seen..].iter().position(|&byte| byte == b'\n') {
            let line = &bytes[self.current..self.seen + length];
            self.seen += length + 1;
            self.current = self.seen;
            match (line, self.count) {
                (b"" | b"\r", 0) => self.first = self.seen,
                (b"" | b"\r", _) => return Some(self.seen),
                _ => self.count += 1,
            }
        }
        self.seen = bytes.len();
        None
    }

    fn check(&self, length: usize, config: &Config) -> Result<(), Error> {
        let exceeded = |what| Err(Error::new(ErrorKind::LimitExceeded, what));
        if length > config.max_head_size {
            return exceeded(format!(
                "the head of the handshake is larger than {} bytes",
                config.max_head_size
            ));
        }
        if self.count.saturating_sub(1) > config.max_headers {
            return exceeded(format!(
                "the handshake has more than {} header fields",
                config.max_headers
            ));
        }
        Ok(())
    }
}

/// What any HTTP answer begins with.
const VERSION: &[u8] = b"HTTP/";

/// The first byte of a TLS record, which the major version follows (RFC 8446, section 5.1).
const ALERT: u8 = 0x15;
const HELLO: u8 = 0x16;

/// Most heads are smaller.
const CHUNK: usize = 1024;

/// tungstenite has a bound of its own, 124 fields.
pub(super) const TOO_MANY_FIELDS: &str = "the handshake has more than 124 header fields";
