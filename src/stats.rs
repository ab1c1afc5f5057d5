//! [`Stats`]: what has gone over a connection.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::config::Timer;

/// What has gone over a connection so far: see [`ConnectionExt::stats`](crate::ConnectionExt::stats).
///
/// Always counted: it costs a few additions a frame.
///
/// # Examples
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use wsweave::{Connection, ConnectionExt};
///
/// # async_std::task::block_on(async {
/// let (mut client, mut server) = Connection::pair();
/// client.send("hello".into()).await?;
/// server.next().await;
///
/// let received = server.stats().received;
/// assert_eq!((received.messages, received.frames, received.payload), (1, 1, 5));
/// // A header of two bytes, a masking key of four, and the payload.
/// assert_eq!(received.wire, 11);
/// assert_eq!(client.stats().sent, received);
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What has come from the peer.
    pub received: Traffic,
    /// What has gone to the peer. Messages and frames count when they are queued, bytes on the wire when
    /// the transport has taken them.
    pub sent: Traffic,
    /// How many bytes wait to be written: frames, and what handles have sent that is not yet in frames.
    pub queued: usize,
    /// The round trip that keepalive has measured last: see
    /// [`ConnectionExt::latency`](crate::ConnectionExt::latency).
    pub latency: Option<Duration>,
    /// For how long the connection has been open, or was before it ended. `None` without a clock.
    pub open_for: Option<Duration>,
}

/// What has gone one way over a connection.
///
/// See [`Stats`] for an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Whole messages.
    pub messages: u64,
    /// Frames, control frames among them.
    pub frames: u64,
    /// Bytes of messages, plain: what they were before they were compressed, or are after they were
    /// inflated.
    pub payload: u64,
    /// Bytes on the wire: frames with their headers, control frames among them, compressed where messages
    /// are. What TLS and TCP add is not counted.
    pub wire: u64,
}

impl Traffic {
    /// A message of `len` bytes; its frames are counted apart.
    #[inline]
    pub(crate) fn message(&mut self, len: usize) {
        self.messages += 1;
        self.payload += len as u64;
    }
}

/// How long a connection is open.
#[derive(Clone)]
pub(crate) enum OpenFor {
    /// Nobody knows: there is no clock.
    Unknown,
    Since(Instant, Arc<dyn Timer>),
    /// It has ended.
    All(Duration),
}

impl OpenFor {
    pub(crate) fn from_now(timer: Option<Arc<dyn Timer>>) -> Self {
        timer.map_or(Self::Unknown, |timer| Self::Since(timer.now(), timer))
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        match self {
            Self::Unknown => None,
            Self::Since(start, timer) => Some(timer.now().saturating_duration_since(*start)),
            Self::All(time) => Some(*time),
        }
    }

    /// It is open no more.
    pub(crate) fn end(&mut self) {
        *self = self.get().map_or(Self::Unknown, Self::All);
    }
}

impl fmt::Debug for OpenFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenFor").field(&self.get()).finish()
    }
}
