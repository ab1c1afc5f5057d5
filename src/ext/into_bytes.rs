//! [`ByteStream`]: a connection as a stream of bytes.

use std::{
    error::Error as _,
    io::{self, IoSlice, IoSliceMut, Read},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

use crate::{
    close::{CloseCode, Finish, Initiator},
    error::{Error, ErrorKind},
    ext::Duplex,
    message::Message,
};

/// A connection as a stream of bytes, over binary messages: see
/// [`ConnectionExt::into_bytes`](crate::ConnectionExt::into_bytes).
///
/// **Flush what the peer is to have**: what is written waits for company until the stream is flushed or
/// a read has to wait, a read that waits already included. `futures::io::copy` does not flush before its
/// end; that is enough while somebody reads this stream beside it.
///
/// # Reading
///
/// [`poll_fill_buf`](AsyncBufRead::poll_fill_buf) gives the payload of one message from where it was
/// received; other reads copy it once, into the caller's buffer. Empty messages are skipped.
///
/// The end (`Ok(0)`) is the peer's Close with code 1000, 1001 or none, or with the code of our own that
/// it answers (RFC 6455, section 5.5.1); then everything that the peer sent has been read. A peer that
/// drops its connection half-way says 1001, too. The end comes with the Close; TCP may last a little
/// longer, and [`finish`](crate::ConnectionExt::finish) tells when it is over: `SinkExt::close` of
/// [`get_mut`](Self::get_mut) waits for that.
///
/// # Writing
///
/// Each write that has room becomes one binary message of at most 64 KiB; what is longer is written in
/// part, and a vectored write gathers its slices into one. Writing waits while
/// [`Config::outbox_size`](crate::Config::outbox_size) bytes wait, and goes on reading meanwhile until
/// one message waits to be read: two peers that both write get on as long as both are read.
///
/// # Closing is for both directions
///
/// [`poll_close`](AsyncWrite::poll_close) sends Close 1000 behind what was written, and is ready when the
/// transport has taken all of it. Reading goes on to the peer's Close; until then nothing is dropped for
/// want of a reader. But this is no half-close as TCP has it: a peer that gets a Close answers it as soon
/// as it can, and may send nothing after that (RFC 6455, section 5.5.1). So what arrives behind our Close
/// is what the peer had written before it saw that. All of it together may take
/// [`Config::close_timeout`](crate::Config::close_timeout) from the Close on; then what has arrived can
/// still be read, and the end is an error.
///
/// To be sure that the peer has had everything, read to the end. A stream that is dropped before goes on
/// as any dropped [`Connection`](crate::Connection#dropping) does. Once the peer's Close has come, or ours
/// has gone, writing fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe); what was written before leaves
/// as the stream is read to its end, closed or dropped.
///
/// # Errors
///
/// They carry an [`Error`], which `Error::from` takes out again, and stay: the next attempt fails alike.
///
/// - [`InvalidData`](io::ErrorKind::InvalidData): a text message came. It stays the next to be read, for
///   [`accept_text`](Self::accept_text) or [`into_inner`](Self::into_inner); writing goes on. Or the peer
///   broke the protocol.
/// - [`UnexpectedEof`](io::ErrorKind::UnexpectedEof), when reading: the connection ended without a Close
///   of the peer's.
/// - [`ConnectionAborted`](io::ErrorKind::ConnectionAborted), when reading: the peer's Close has another
///   code than those above. What came before has been read.
/// - [`TimedOut`](io::ErrorKind::TimedOut): keepalive, a write or the closing handshake took too long.
/// - The transport's own, with their kinds.
///
/// # Cancel safety
///
/// A read or a write that is dropped while it waits has done nothing; closing goes on with the next read,
/// flush or close. Of `write_all`, `read_exact` and the like a part may be done, as always.
///
/// # Examples
///
/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use wsweave::{ByteStream, Connection, ConnectionExt, Pipe};
///
/// # async_std::task::block_on(async {
/// let (us, peer) = Connection::pair();
/// let mut us: ByteStream<Connection<Pipe>> = us.into_bytes();
/// let mut peer = peer.into_bytes();
///
/// us.write_all(b"ping").await?;
/// us.flush().await?;
/// let mut request = [0; 4];
/// peer.read_exact(&mut request).await?;
/// peer.write_all(b"pong").await?;
/// peer.close().await?;
///
/// let mut answer = Vec::new();
/// us.read_to_end(&mut answer).await?;
/// assert_eq!(answer, b"pong");
/// # Ok::<_, std::io::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "a connection does nothing unless polled"]
pub struct ByteStream<C> {
    inner: C,
    /// What is left of the message that is being read.
    message: Message,
    texts: Texts,
}

/// What a text message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Texts {
    Refused,
    Accepted,
}

impl<C> ByteStream<C> {
    pub(super) fn new(inner: C) -> Self {
        Self { inner, message: NOTHING, texts: Texts::Refused }
    }

    /// Takes text messages as their bytes, one that was refused before included.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use futures::{AsyncReadExt, SinkExt};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// peer.send("grüezi".into()).await.unwrap();
    ///
    /// let (mut bytes, mut greeting) = (conn.into_bytes(), [0; 7]);
    /// assert_eq!(bytes.read(&mut greeting).await.unwrap_err().kind(), ErrorKind::InvalidData);
    /// bytes.accept_text().read_exact(&mut greeting).await.unwrap();
    /// assert_eq!(greeting, *"grüezi".as_bytes());
    /// # });
    /// ```
    pub fn accept_text(mut self) -> Self {
        self.texts = Texts::Accepted;
        self
    }

    /// The connection below.
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// assert!(conn.into_bytes().get_ref().finish().is_none());
    /// ```
    pub fn get_ref(&self) -> &C {
        &self.inner
    }

    /// The connection below, to call what only a connection has: to close it with another code, say.
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, peer) = Connection::pair();
    /// let mut bytes = conn.into_bytes();
    /// let failing = bytes.get_mut().close_with(1011, "the other side broke");
    /// let (closed, seen) = futures::join!(failing, peer.run());
    /// assert!(closed.is_ok());
    /// assert_eq!(seen.code, 1011);
    /// # });
    /// ```
    pub fn get_mut(&mut self) -> &mut C {
        &mut self.inner
    }

    /// Turns this back into the connection below, and what was received and has not been read, if there
    /// is something: the rest of a message, or a text that was refused. Nothing is lost.
    ///
    /// ```
    /// use futures::{AsyncReadExt, SinkExt, StreamExt};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// peer.send(b"heads and tails".into()).await.unwrap();
    /// peer.send("and a text".into()).await.unwrap();
    ///
    /// let mut bytes = conn.into_bytes();
    /// bytes.read_exact(&mut [0; 9]).await.unwrap();
    /// let (mut conn, rest) = bytes.into_inner();
    /// assert_eq!(rest, Some(b" tails".into()));
    /// assert_eq!(conn.next().await, Some("and a text".into()));
    /// # });
    /// ```
    pub fn into_inner(self) -> (C, Option<Message>) {
        (self.inner, Some(self.message).filter(|message| !message.is_empty()))
    }
}

impl<C: Duplex> ByteStream<C> {
    /// Waits for bytes to read; ready without any at their end.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.message.is_empty() {
            match Pin::new(&mut self.inner).poll_next(cx) {
                Poll::Ready(Some(message)) => self.message = message,
                Poll::Ready(None) => return Poll::Ready(self.inner.ending().map_or(Ok(()), end)),
                // A client waits for the end of TCP, which a peer that has closed may leave for later.
                Poll::Pending if self.inner.size_hint().0 == 0 => {
                    let closed = Pin::new(&mut self.inner).peer().closed();
                    let finish = closed.filter(|finish| finish.clean);
                    return finish.map_or(Poll::Pending, |finish| Poll::Ready(end(&finish)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(match &self.message {
            Message::Text(text) if self.texts == Texts::Refused => Err(refused(text.len())),
            _ => Ok(()),
        })
    }
}

impl<C: Duplex> AsyncBufRead for ByteStream<C> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_message(cx))?;
        Poll::Ready(Ok(this.message.as_bytes()))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let this = self.get_mut();
        if amount == this.message.len() {
            // An idle stream holds nothing.
            this.message = NOTHING;
        } else if amount > 0 {
            let mut rest = mem::replace(&mut this.message, NOTHING).into_bytes();
            rest.advance(amount);
            this.message = rest.into();
        }
    }
}

impl<C: Duplex> AsyncRead for ByteStream<C> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_vectored(cx, &mut [IoSliceMut::new(buffer)])
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let read = ready!(self.as_mut().poll_fill_buf(cx))?.read_vectored(buffers)?;
        self.consume(read);
        Poll::Ready(Ok(read))
    }
}

impl<C: Duplex> AsyncWrite for ByteStream<C> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let room = slices.iter().fold(0, |len: usize, slice| len.saturating_add(slice.len()));
        let room = room.min(MAX_MESSAGE);
        if room == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut inner = Pin::new(&mut self.get_mut().inner);
        ready!(inner.as_mut().poll_ready(cx)).map_err(unwritten)?;
        let mut payload = BytesMut::with_capacity(room);
        for slice in slices {
            payload.extend_from_slice(&slice[..slice.len().min(room - payload.len())]);
        }
        inner.as_mut().start_send(payload.freeze().into()).map_err(unwritten)?;
        inner.peer().wake_reader();
        Poll::Ready(Ok(room))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx).map_err(unwritten)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = Pin::new(&mut self.get_mut().inner);
        inner.as_mut().peer().end_sending();
        inner.poll_flush(cx).map_err(unwritten)
    }
}

/// What a reader gets at the end: whether the peer's own Close was there is all that counts.
fn end(finish: &Finish) -> io::Result<()> {
    let Some(close) = finish.received.clone() else {
        return finish
            .failure()
            .map_or(Ok(()), |error| Err(failed(error, io::ErrorKind::UnexpectedEof)));
    };
    let answers = finish.initiator == Initiator::Us && close.code == finish.code;
    match close.code {
        CloseCode::NORMAL | CloseCode::GOING_AWAY | CloseCode::NO_STATUS => Ok(()),
        _ if answers => Ok(()),
        code => {
            let finish =
                Finish { initiator: Initiator::Peer, code, reason: close.reason, ..finish.clone() };
            let error = Error::new(ErrorKind::Closed, finish.to_string());
            Err(io::Error::new(io::ErrorKind::ConnectionAborted, error))
        }
    }
}

fn refused(len: usize) -> io::Error {
    let message = format!("a text message of {len} bytes came where bytes are expected");
    io::Error::new(io::ErrorKind::InvalidData, Error::invalid_input(message))
}

fn unwritten(error: Error) -> io::Error {
    failed(error, io::ErrorKind::BrokenPipe)
}

/// The error as one of input and output, of the kind `over` if it says no more than that the connection
/// is over.
fn failed(error: Error, over: io::ErrorKind) -> io::Error {
    match error.kind() {
        ErrorKind::Closed => io::Error::new(over, error),
        ErrorKind::Io if error.source().is_none() => io::Error::new(over, error),
        _ => error.into(),
    }
}

const NOTHING: Message = Message::Binary(bytes::Bytes::new());
/// So that a large write neither holds up a ping for long nor exceeds what peers allow for a message.
const MAX_MESSAGE: usize = 64 << 10;
