//! [`Wire`]: a transport, and which of its sides are still open.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use crate::protocol::Outgoing;

/// A transport, used with care: what it reports is checked, and no side is used after its end.
#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) io: S,
    input: Side,
    output: Side,
    flush: Flush,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Open,
    Ended,
}

/// Whether what was written may still be in the transport's own buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flush {
    Done,
    Due,
}

impl<S> Wire<S> {
    pub(super) fn new(io: S) -> Self {
        Self { io, input: Side::Open, output: Side::Open, flush: Flush::Done }
    }

    /// Whether the peer may still send something.
    pub(super) fn input_is_open(&self) -> bool {
        self.input == Side::Open
    }

    /// Whether we may still write something.
    pub(super) fn output_is_open(&self) -> bool {
        self.output == Side::Open
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.flush == Flush::Done
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Reads once; 0 is the end. What was interrupted may be tried again.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = match ready!(Pin::new(&mut self.io).poll_read(cx, room)) {
            Ok(len) if len > room.len() => Err(overreported()),
            read => read,
        };
        match &read {
            Ok(0) => self.input = Side::Ended,
            Err(error) if !is_interrupted(error) => {
                (self.input, self.output) = (Side::Ended, Side::Ended);
            }
            _ => {}
        }
        Poll::Ready(read)
    }

    /// Writes once of what waits. What was interrupted may be tried again.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<io::Result<usize>> {
        let (written, offered) = match outgoing.slice() {
            Some(one) => (Pin::new(&mut self.io).poll_write(cx, one), one.len()),
            None => self.poll_write_pieces(cx, outgoing),
        };
        let written = match ready!(written) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(len) if len > offered => Err(overreported()),
            written => written,
        };
        match &written {
            Ok(len) => {
                self.flush = Flush::Due;
                outgoing.advance(*len);
            }
            Err(error) if is_interrupted(error) => {}
            Err(_) => self.output_failed(),
        }
        Poll::Ready(written)
    }

    /// Also returns how many bytes the transport was given.
    fn poll_write_pieces(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &Outgoing,
    ) -> (Poll<io::Result<usize>>, usize) {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = outgoing.slices(&mut slices);
        let slices = &slices[..filled];
        let offered = slices.iter().map(|slice| slice.len()).sum();
        (Pin::new(&mut self.io).poll_write_vectored(cx, slices), offered)
    }

    /// Has the transport write what it may have buffered.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_flushed() {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(unless_interrupted(cx, |cx| Pin::new(&mut self.io).poll_flush(cx)));
        match &flushed {
            Ok(()) => self.flush = Flush::Done,
            Err(_) => self.output_failed(),
        }
        Poll::Ready(flushed)
    }

    /// Ends our side, when everything is written: an error is of no interest any more.
    pub(super) fn poll_shut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.output_is_open() {
            let _ = ready!(unless_interrupted(cx, |cx| Pin::new(&mut self.io).poll_close(cx)));
            self.output = Side::Ended;
        }
        Poll::Ready(())
    }

    fn output_failed(&mut self) {
        (self.output, self.flush) = (Side::Ended, Flush::Done);
    }
}

pub(super) fn is_interrupted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}

/// Tries once more what was interrupted; if that is, too, the next poll does.
fn unless_interrupted<T>(
    cx: &mut Context<'_>,
    mut attempt: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> Poll<io::Result<T>> {
    for _ in 0..2 {
        match attempt(cx) {
            Poll::Ready(Err(error)) if is_interrupted(&error) => {}
            result => return result,
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

fn overreported() -> io::Error {
    io::Error::other("the transport reported more bytes than the buffer has")
}

/// How many slices one write takes at most.
const SLICES: usize = 32;
