//! What a broker has to be able to do, and those that can.

#[cfg(feature = "nats")]
pub(crate) mod nats;
#[cfg(feature = "redis")]
pub(crate) mod redis;

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::yield_now;

use crate::{
    error::{Error, UnsentReason},
    inbox::Inbox,
};

/// A way to a broker, which can be gone more than once. None of it retries, and none but
/// [`Sender::send`] waits for longer than its caller lets it.
pub(crate) trait Engine: Send + Sync + 'static {
    type Sender: Sender;
    type Receiver: Receiver;

    /// What comes, and the end of the connection, goes into the inbox.
    fn connect(
        &self,
        inbox: &Inbox,
    ) -> impl Future<Output = Result<(Self::Sender, Self::Receiver), Error>> + Send;
}

/// The half of a connection that publishes.
pub(crate) trait Sender: Clone + Send + Sync + 'static {
    /// The largest envelope that the broker takes.
    fn max_envelope(&self) -> usize;

    /// Publishes in this order; when it returns the broker has all but what it has refused. That may take several
    /// answers, each of them no longer than the timeout. An error ends both halves.
    fn send(&self, batch: &[Outgoing]) -> impl Future<Output = Result<Vec<Refusal>, Error>> + Send;

    /// Behind all that the broker has kept up to now, of any subject.
    fn end(&self) -> impl Future<Output = Result<Cursor, Error>> + Send;

    /// What the broker has kept of a subject behind a place, the oldest first, at most `max` of the newest.
    fn stored(
        &self,
        subject: &str,
        after: Option<&Cursor>,
        max: usize,
    ) -> impl Future<Output = Result<Stored, Error>> + Send;
}

/// The half of a connection that subscribes. An error ends both halves, but for one that is `Denied`.
pub(crate) trait Receiver: Send + 'static {
    /// `Denied` if the broker does not let us subscribe one of them; then it may have done so for others.
    fn subscribe(
        &mut self,
        subjects: &[Arc<str>],
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn unsubscribe(
        &mut self,
        subjects: &[Arc<str>],
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Lets others have their turn while there is always more to read; so seldom that all that a client keeps goes
/// to the inbox, which has a bound, faster than it is taken out there.
#[derive(Debug, Default)]
struct Turns(usize);

impl Turns {
    async fn next(&mut self) {
        self.0 += 1;
        if self.0.is_multiple_of(MAX_TURN) {
            yield_now().await;
        }
    }
}

/// An envelope on its way to the broker.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) subject: Arc<str>,
    pub(crate) envelope: Bytes,
    /// Whether the broker keeps it, where it keeps any.
    pub(crate) is_kept: bool,
}

/// The broker is there, and will not have this one.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// Its place in the batch.
    pub(crate) index: usize,
    pub(crate) reason: UnsentReason,
    pub(crate) error: Error,
}

/// A place in what the broker keeps of all subjects, as the engine writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(pub(crate) Arc<str>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) envelopes: Vec<Bytes>,
    /// Behind the last of them; `None` if there are none.
    pub(crate) end: Option<Cursor>,
}

/// What the broker is to keep of each topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) max_messages: usize,
    pub(crate) max_age: std::time::Duration,
}

/// More than a client reads in a turn of its own.
const MAX_TURN: usize = 32_768;
