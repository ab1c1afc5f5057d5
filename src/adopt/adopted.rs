//! [`Adopted`]: a transport that turns frames into tungstenite's messages, and back.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_tungstenite::tungstenite::{Error, Message};
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use futures_sink::Sink;

use super::translate::{decode, encode, failed, feed, is_end};
use crate::{
    config::Role,
    protocol::{Decoder, Outgoing},
};

/// The transport of an adopted connection.
///
/// [`ConnectionExt::get_ref`](crate::ConnectionExt::get_ref) and
/// [`into_inner`](crate::ConnectionExt::into_inner) give it.
///
/// # Examples
///
/// ```
/// use async_tungstenite::WebSocketStream;
/// use futures::io::Cursor;
/// use wsweave::{Config, ConnectionExt, adopt::tungstenite::protocol::Role};
///
/// # async_std::task::block_on(async {
/// let io = Cursor::new(Vec::new());
/// let ws = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
/// let conn = wsweave::adopt(ws, Config::default());
/// assert_eq!(conn.get_ref().get_ref().get_config().max_frame_size, Some(16 << 20));
///
/// let ws: WebSocketStream<_> = conn.into_inner().into_inner();
/// # });
/// ```
pub struct Adopted<T> {
    inner: T,
    input: Input,
    /// What the stream gave and nobody has read.
    incoming: Outgoing,
    output: Output,
    /// What was written and is not decoded.
    outgoing: Decoder,
    /// What was decoded and the sink has not taken.
    waiting: Option<Message>,
}

/// Where the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Open,
    /// It gave something that may be answered before it is polled again.
    Unanswered,
    Ended,
}

/// Whether the sink takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Open,
    /// There was a Close, ours or the peer's, an error, or the end.
    Closed,
}

impl<T> Adopted<T> {
    pub(super) fn new(inner: T) -> Self {
        Self {
            inner,
            input: Input::Open,
            // Neither side masks: see `Connection::without_masks`.
            incoming: Outgoing::new(Role::Server),
            output: Output::Open,
            outgoing: Decoder::new(Role::Client, &[]),
            waiting: None,
        }
    }

    /// What was adopted.
    ///
    /// See [`Adopted`] for an example.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Gives back what was adopted. What it gave and nobody has read, and what it has not taken, is lost.
    ///
    /// See [`Adopted`] for an example.
    pub fn into_inner(self) -> T {
        self.inner
    }

    fn end(&mut self) {
        self.input = Input::Ended;
        self.close_output();
    }

    /// Nothing more goes to the sink.
    fn close_output(&mut self) {
        self.output = Output::Closed;
        self.outgoing.discard();
        self.waiting = None;
    }

    /// What the sink answered: that it is closed is no error.
    fn settle(&mut self, answer: Result<(), Error>) -> io::Result<()> {
        answer.or_else(|error| {
            self.close_output();
            if is_end(&error) { Ok(()) } else { Err(failed(error)) }
        })
    }

    /// Reads what waits, as much as `buffer` takes.
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut slices = [IoSlice::new(&[]); 2];
        let filled = self.incoming.slices(&mut slices);
        let mut len = 0;
        for slice in &slices[..filled] {
            let part = slice.len().min(buffer.len() - len);
            buffer[len..][..part].copy_from_slice(&slice[..part]);
            len += part;
        }
        self.incoming.advance(len);
        len
    }
}

impl<T> AsyncRead for Adopted<T>
where
    T: Stream<Item = Result<Message, Error>> + Unpin,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        while this.incoming.is_empty() && this.input != Input::Ended {
            if this.input == Input::Unanswered && this.output == Output::Open {
                // If a Close is next, tungstenite answers it at once and takes nothing after that: what
                // has been read may be answered first.
                this.input = Input::Open;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
                Some(Ok(message)) => {
                    this.input = Input::Unanswered;
                    if message.is_close() {
                        this.close_output();
                    }
                    encode(message, &mut this.incoming);
                }
                Some(Err(error)) if !is_end(&error) => {
                    this.end();
                    return Poll::Ready(Err(failed(error)));
                }
                Some(Err(_)) | None => this.end(),
            }
        }
        Poll::Ready(Ok(this.read(buffer)))
    }
}

impl<T> Adopted<T>
where
    T: Sink<Message, Error = Error> + Unpin,
{
    /// Gives the sink the messages that were written, for as long as it has room.
    fn poll_hand_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.output == Output::Open {
            if self.waiting.is_none() {
                self.waiting = decode(&mut self.outgoing)?;
            }
            let Some(message) = &self.waiting else { break };
            let is_close = message.is_close();
            let sent = ready!(self.poll_send(is_close, cx));
            self.settle(sent)?;
            if is_close {
                self.close_output();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the sink the message that waits.
    fn poll_send(&mut self, is_close: bool, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut inner = Pin::new(&mut self.inner);
        ready!(inner.as_mut().poll_ready(cx))?;
        if is_close {
            // A Close that finds no room in tungstenite's buffer is lost.
            ready!(inner.as_mut().poll_flush(cx))?;
        }
        let Some(message) = self.waiting.take() else { return Poll::Ready(Ok(())) };
        let message = match inner.as_mut().start_send(message) {
            Err(Error::WriteBufferFull(message)) => *message,
            sent => return Poll::Ready(sent),
        };
        // What finds no room in an empty buffer never will.
        match inner.as_mut().poll_flush(cx)? {
            Poll::Ready(()) => Poll::Ready(inner.start_send(message)),
            Poll::Pending => {
                self.waiting = Some(message);
                Poll::Pending
            }
        }
    }
}

/// Messages are handed over as they become whole: what waits here is the start of one, and what one
/// write brought behind it that the sink has no room for.
impl<T> AsyncWrite for Adopted<T>
where
    T: Sink<Message, Error = Error> + Unpin,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_hand_over(cx))?;
        if this.output == Output::Closed {
            return Poll::Ready(Ok(data.len()));
        }
        let len = feed(&mut this.outgoing, data);
        // The next write, or a flush, goes on with what has to wait.
        let _ = this.poll_hand_over(cx)?;
        this.outgoing.rest();
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_hand_over(cx))?;
        let flushed = ready!(Pin::new(&mut this.inner).poll_flush(cx));
        Poll::Ready(this.settle(flushed))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.output == Output::Open {
            // The connection ended without a Close, and tungstenite would send one.
            return Poll::Ready(Ok(()));
        }
        let closed = ready!(Pin::new(&mut this.inner).poll_close(cx));
        Poll::Ready(this.settle(closed))
    }
}

impl<T: fmt::Debug> fmt::Debug for Adopted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Adopted").field(&self.inner).finish()
    }
}
