//! [`Pipe`]: a transport in memory, for [`Connection::pair`](super::Connection::pair).

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};
use piper::{Reader, Writer};

/// One end of a transport in memory that holds 64 KiB each way.
///
/// # Examples
///
/// ```
/// let (client, server) = wsweave::Connection::pair();
/// let _: wsweave::Connection<wsweave::Pipe> = client;
/// ```
pub struct Pipe {
    reader: Reader,
    writer: Writer,
}

impl Pipe {
    /// Two ends, connected to each other.
    pub(super) fn pair() -> (Self, Self) {
        let (near_reader, far_writer) = piper::pipe(CAPACITY);
        let (far_reader, near_writer) = piper::pipe(CAPACITY);
        (
            Self { reader: near_reader, writer: near_writer },
            Self { reader: far_reader, writer: far_writer },
        )
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // `poll_read` and `poll_write` yield at random now and then, which would make tests that poll by
        // hand fail once in a while.
        match self.reader.try_drain(buffer) {
            0 => Pin::new(&mut self.reader).poll_read(cx, buffer),
            len => Poll::Ready(Ok(len)),
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.writer.try_fill(data) {
            0 => Pin::new(&mut self.writer).poll_write(cx, data),
            len => Poll::Ready(Ok(len)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_close(cx)
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}

const CAPACITY: usize = 64 << 10;
