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
    /// [`ErrorKind::Io`] if the transport fails or ends before the head does.
    pub(super) async fn read<S: AsyncRead + Unpin>(
        io: &mut S,
        config: &Config,
    ) -> Result<Self, Error> {
        Self::read_on(io, Vec::new(), 0, config).await
    }

    /// Reads the head behind this one. The limit of their size holds for all together.
    pub(super) async fn next<S: AsyncRead + Unpin>(
        self,
        io: &mut S,
        config: &Config,
    ) -> Result<Self, Error> {
        Self::read_on(io, self.rest, self.total, config).await
    }

    async fn read_on<S: AsyncRead + Unpin>(
        io: &mut S,
        mut bytes: Vec<u8>,
        before: usize,
        config: &Config,
    ) -> Result<Self, Error> {
        let mut lines = Lines::default();
        let mut chunk = [0; CHUNK];
        let end = loop {
            let end = lines.find_end(&bytes);
            lines.check(before + end.unwrap_or(bytes.len()), config)?;
            if let Some(end) = end {
                break end;
            }
            let read = read_some(io, &mut chunk).await?;
            if read.is_empty() {
                return Err(Error::new(
                    ErrorKind::Io,
                    "the peer ended the connection before its handshake was complete",
                ));
            }
            bytes.extend_from_slice(read);
        };
        let rest = bytes.split_off(end);
        bytes.drain(..lines.first);
        Ok(Self { bytes, rest, total: before + end })
    }
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

/// Most heads are smaller.
const CHUNK: usize = 1024;

/// tungstenite has a bound of its own, 124 fields.
pub(super) const TOO_MANY_FIELDS: &str = "the handshake has more than 124 header fields";
