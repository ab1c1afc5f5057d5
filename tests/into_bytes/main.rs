//! `into_bytes`: a connection as a stream of bytes.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

#[path = "../support/allocator.rs"]
mod allocator;
mod closing;
mod ends;
mod loads;
mod reading;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "tls")]
mod tls;
mod writing;

use std::{io, pin::Pin, task::Poll};

use futures::{AsyncBufRead, AsyncRead, AsyncWrite};
use wsweave::{ByteStream, Config, Connection, ConnectionExt, Duplex, Role};

use crate::support::{Rig, Script};

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// A byte stream over a wire, without keepalive.
fn rig(role: Role) -> Rig<ByteStream<Connection<Script>>> {
    Rig::with(role, Config::default().keepalive_interval(None)).weave(ConnectionExt::into_bytes)
}

/// Each polls until it is done or waits for something from outside.
impl<C: Duplex> Rig<ByteStream<C>> {
    /// What `poll_fill_buf` shows.
    fn fill(&mut self) -> Poll<io::Result<Vec<u8>>> {
        let Self { conn, task, .. } = self;
        task.until_stalled(|cx| Pin::new(&mut *conn).poll_fill_buf(cx).map_ok(<[u8]>::to_vec))
    }

    /// Reads at most `len` bytes.
    fn read(&mut self, len: usize) -> Poll<io::Result<Vec<u8>>> {
        let Self { conn, task, .. } = self;
        let mut buffer = vec![0; len];
        let read = task.until_stalled(|cx| Pin::new(&mut *conn).poll_read(cx, &mut buffer));
        read.map_ok(|len| buffer[..len].to_vec())
    }

    /// Reads what there is to read; at the end that is all there will be.
    fn read_on(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Poll::Ready(Ok(bytes)) = self.read(10_000) {
            if bytes.is_empty() {
                break;
            }
            all.extend(bytes);
        }
        all
    }

    fn write(&mut self, data: &[u8]) -> Poll<io::Result<usize>> {
        let Self { conn, task, .. } = self;
        task.until_stalled(|cx| Pin::new(&mut *conn).poll_write(cx, data))
    }

    fn flush(&mut self) -> Poll<io::Result<()>> {
        let Self { conn, task, .. } = self;
        task.until_stalled(|cx| Pin::new(&mut *conn).poll_flush(cx))
    }

    fn end(&mut self) -> Poll<io::Result<()>> {
        let Self { conn, task, .. } = self;
        task.until_stalled(|cx| Pin::new(&mut *conn).poll_close(cx))
    }
}

/// What a read or a write that fails says.
fn error<T>(result: Poll<io::Result<T>>) -> (io::ErrorKind, wsweave::Error) {
    match result {
        Poll::Ready(Err(error)) => (error.kind(), error.into()),
        Poll::Ready(Ok(_)) => panic!("it should fail"),
        Poll::Pending => panic!("it waits"),
    }
}

/// The end of the bytes.
fn is_end(read: &Poll<io::Result<Vec<u8>>>) -> bool {
    matches!(read, Poll::Ready(Ok(bytes)) if bytes.is_empty())
}
