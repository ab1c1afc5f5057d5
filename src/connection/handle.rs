//! [`Handle`]: the connection as other tasks and threads see it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use event_listener::EventListener;
use futures_sink::Sink;

use super::{
    core::check_ping,
    outbox::{Entry, Item, NoEntry, Outbox},
};
use crate::{
    close::{CloseCode, CloseFrame, Finish},
    error::{Error, ErrorKind},
    message::Message,
    stats::Stats,
    sync::AtomicU64,
};

/// The connection as other tasks and threads see it: cheap to clone, `Send` and `Sync`.
///
/// What handles send waits, bounded by [`Config::outbox_size`](crate::Config::outbox_size), until the
/// connection is polled: **when nobody polls the connection, nothing moves.** A handle does not keep
/// the connection alive.
///
/// It is a sink, too; flushing that waits until all that handles have sent is handed
/// to the transport. Mind that
/// [`send`](Self::send) is the handle's own, which waits for room, not for the flush of `SinkExt::send`.
/// Closing the sink flushes and retires this handle, and does not end the connection.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use wsweave::{Connection, ConnectionExt};
///
/// # async_std::task::block_on(async {
/// let (mut us, mut peer) = Connection::pair();
/// let handle = us.handle();
/// let task = async_std::task::spawn(async move {
///     handle.send("from another task").await?;
///     handle.close_with(1000, "done")?;
///     Ok::<_, wsweave::Error>(handle.closed().await)
/// });
/// let (none, message) = futures::join!(us.next(), async {
///     let message = peer.next().await;
///     assert_eq!(peer.next().await, None);
///     message
/// });
/// assert_eq!(message, Some("from another task".into()));
/// assert_eq!(none, None);
/// assert!(task.await.unwrap().clean);
/// # });
/// ```
pub struct Handle {
    outbox: Arc<Outbox>,
    sink: SinkState,
    /// The position of the last item sent with `&self`.
    sent: AtomicU64,
}

/// A handle's own state as a sink.
enum SinkState {
    Open,
    Waiting(WhatFor, EventListener),
    Retired,
}

/// What a sink waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhatFor {
    Room,
    /// All up to this position to be written.
    Written(u64),
}

/// Why [`Handle::try_send`] did not take a message; it gives the message back.
///
/// # Examples
///
/// ```
/// use wsweave::{Connection, ConnectionExt, TrySendError};
///
/// let (mut conn, _peer) = Connection::pair();
/// let handle = conn.handle();
/// drop(conn);
/// match handle.try_send("too late") {
///     Err(TrySendError::Closed(message)) => assert_eq!(message.as_text(), Some("too late")),
///     other => unreachable!("{other:?}"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrySendError {
    /// There is no room at the moment.
    Full(Message),
    /// The connection is closed or closing.
    Closed(Message),
}

impl Handle {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, sink: SinkState::Open, sent: AtomicU64::new(0) }
    }

    /// Queues a message, waiting for room.
    ///
    /// Done means queued, not written: the connection writes when it is polled. For that, flush the
    /// handle as a sink.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] once the connection is closing.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, the message is not sent, and the room is left to others.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// # async_std::task::block_on(async {
    /// let (mut conn, _peer) = Connection::pair();
    /// conn.handle().send("queued").await?;
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), Error> {
        let mut message = message.into();
        loop {
            match self.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed(_)) => return Err(Error::closed()),
                Err(TrySendError::Full(returned)) => message = returned,
            }
            let listener = self.outbox.listen_room();
            // Room may have come before the listener.
            if self.outbox.is_open() && !self.outbox.has_room() {
                listener.await;
            }
        }
    }

    /// Queues a message if there is room now.
    ///
    /// # Errors
    ///
    /// Either gives the message back.
    ///
    /// ```
    /// # use wsweave::{Config, Connection, ConnectionExt, TrySendError};
    /// let small = Config::default().outbox_size(1);
    /// let (mut conn, _peer) = Connection::pair_with(small, Config::default());
    /// let handle = conn.handle();
    /// assert_eq!(handle.try_send("one"), Ok(()));
    /// assert_eq!(handle.try_send("two"), Err(TrySendError::Full("two".into())));
    /// ```
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), TrySendError> {
        let message = message.into();
        match self.enter() {
            Ok(entry) => {
                self.sent.fetch_max(entry.put(Item::Message(message)), Ordering::Relaxed);
                Ok(())
            }
            Err(NoEntry::Full) => Err(TrySendError::Full(message)),
            Err(NoEntry::Closed) => Err(TrySendError::Closed(message)),
        }
    }

    /// Queues a ping (RFC 6455, section 5.5.2).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a payload beyond 125 bytes, [`ErrorKind::Full`] without room,
    /// [`ErrorKind::Closed`] once the connection is closing.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// let (mut conn, _peer) = Connection::pair();
    /// conn.handle().ping("still there?")?;
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn ping(&self, payload: impl Into<Bytes>) -> Result<(), Error> {
        let payload = payload.into();
        check_ping(&payload)?;
        self.sent.fetch_max(self.enter()?.put(Item::Ping(payload)), Ordering::Relaxed);
        Ok(())
    }

    /// Asks for the closing handshake, behind what this handle and others have queued.
    ///
    /// From now on handles send nothing more. A second close changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if this handle was retired. [`ErrorKind::InvalidInput`] for a code that
    /// must not be on the wire. The reason is cut to 123 bytes at a character's boundary.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// let (mut conn, _peer) = Connection::pair();
    /// let handle = conn.handle();
    /// handle.close_with(1000, "")?;
    /// assert!(!handle.is_open());
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn close_with(&self, code: impl Into<CloseCode>, reason: &str) -> Result<(), Error> {
        let close = CloseFrame::sendable(code.into(), reason)?;
        if self.is_retired() {
            return Err(Error::closed());
        }
        self.outbox.close(close);
        Ok(())
    }

    /// Ends the connection without a word to the peer, when it is polled next, or dropped.
    ///
    /// What waits to be sent is lost. It works in the middle of the closing handshake, too, also when
    /// that is done in the background after a drop, and with a handle that was retired. A second abort
    /// changes nothing, nor does one after the end.
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use wsweave::{CloseCode, Connection, ConnectionExt};
    /// # async_std::task::block_on(async {
    /// let (mut conn, _peer) = Connection::pair();
    /// let handle = conn.handle();
    /// handle.abort();
    /// assert!(!handle.is_open());
    /// assert_eq!(conn.next().await, None);
    /// assert_eq!(conn.finish().unwrap().code, CloseCode::ABNORMAL);
    /// # });
    /// ```
    pub fn abort(&self) {
        self.outbox.abort();
    }

    /// Waits for the end of the connection and says how it ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    ///
    /// ```
    /// # use wsweave::{CloseCode, Connection, ConnectionExt};
    /// # async_std::task::block_on(async {
    /// let (mut conn, _peer) = Connection::pair();
    /// let handle = conn.handle();
    /// drop(conn);
    /// assert_eq!(handle.closed().await.code, CloseCode::GOING_AWAY);
    /// # });
    /// ```
    pub async fn closed(&self) -> Finish {
        loop {
            let listener = self.outbox.listen_ended();
            if let Some(finish) = self.outbox.finish() {
                return finish;
            }
            listener.await;
        }
    }

    /// What has gone over the connection, as of when it last waited: in between nobody writes it down.
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use wsweave::{Connection, ConnectionExt};
    /// # async_std::task::block_on(async {
    /// let (mut conn, _peer) = Connection::pair();
    /// let handle = conn.handle();
    /// handle.send("hello").await?;
    /// assert!(handle.stats().queued > 5);
    /// assert!(futures::poll!(conn.next()).is_pending());
    /// assert_eq!(handle.stats().sent.messages, 1);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.outbox.stats()
    }

    /// Tells whether messages are still accepted.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// let (mut conn, _peer) = Connection::pair();
    /// let handle = conn.handle();
    /// assert!(handle.is_open());
    /// conn.abort();
    /// assert!(!handle.is_open());
    /// ```
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outbox.is_open() && !self.is_retired()
    }

    /// What it has in common with all handles of the connection.
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Whether it was closed as a sink.
    pub(crate) fn is_retired(&self) -> bool {
        matches!(self.sink, SinkState::Retired)
    }

    fn enter(&self) -> Result<Entry<'_>, NoEntry> {
        if self.is_retired() { Err(NoEntry::Closed) } else { self.outbox.enter() }
    }

    fn poll_sink(&mut self, cx: &mut Context<'_>, what_for: WhatFor) -> Poll<Result<(), Error>> {
        loop {
            let (done, over) = match what_for {
                WhatFor::Room => (self.outbox.has_room(), !self.outbox.is_open()),
                WhatFor::Written(position) => {
                    // The end comes behind what is written, and is asked for before that.
                    let over = self.outbox.finish().is_some();
                    (self.outbox.is_written(position), over)
                }
            };
            if done || over {
                self.sink = SinkState::Open;
                return Poll::Ready(if done { Ok(()) } else { Err(Error::closed()) });
            }
            match &mut self.sink {
                SinkState::Waiting(same, listener) if *same == what_for => {
                    ready!(Pin::new(listener).poll(cx));
                    self.sink = SinkState::Open;
                }
                SinkState::Open | SinkState::Waiting(..) => {
                    let listener = match what_for {
                        WhatFor::Room => self.outbox.listen_room(),
                        WhatFor::Written(_) => self.outbox.listen_written(),
                    };
                    // What it listens to may have come before it: once more around.
                    self.sink = SinkState::Waiting(what_for, listener);
                }
                SinkState::Retired => return Poll::Ready(Err(Error::closed())),
            }
        }
    }

    /// What a flush that is under way waits for, or one that begins now: all that any handle has sent,
    /// so that it ends however much others send later.
    fn flush_position(&self) -> WhatFor {
        match self.sink {
            SinkState::Waiting(what_for @ WhatFor::Written(position), _)
                if position >= self.sent.load(Ordering::Relaxed) =>
            {
                what_for
            }
            _ => WhatFor::Written(self.outbox.position()),
        }
    }
}

impl From<NoEntry> for Error {
    fn from(why: NoEntry) -> Self {
        match why {
            NoEntry::Full => Self::new(ErrorKind::Full, "the outbox is full"),
            NoEntry::Closed => Self::closed(),
        }
    }
}

/// A clone has its own state as a sink: it is not retired.
impl Clone for Handle {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.outbox))
    }
}

impl Sink<Message> for Handle {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let handle = self.get_mut();
        if !handle.is_open() {
            return Poll::Ready(Err(Error::closed()));
        }
        handle.poll_sink(cx, WhatFor::Room)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let handle = self.get_mut();
        if handle.is_retired() {
            return Err(Error::closed());
        }
        handle.outbox.enter_full()?.put(Item::Message(message));
        handle.sink = SinkState::Open;
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let handle = self.get_mut();
        if handle.is_retired() {
            return Poll::Ready(Err(Error::closed()));
        }
        handle.poll_sink(cx, handle.flush_position())
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let handle = self.get_mut();
        if handle.is_retired() {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(handle.poll_sink(cx, handle.flush_position()));
        handle.sink = SinkState::Retired;
        Poll::Ready(flushed)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

impl TrySendError {
    /// The message that was not taken.
    ///
    /// ```
    /// # use wsweave::TrySendError;
    /// assert_eq!(TrySendError::Full("a".into()).into_message(), "a".into());
    /// ```
    #[must_use]
    pub fn into_message(self) -> Message {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the outbox is full",
            Self::Closed(_) => "the connection is closed for sending",
        })
    }
}

impl std::error::Error for TrySendError {}
