//! What a broker has to be able to do, and those that can.

#[cfg(feature = "nats")]
pub(crate) mod nats;
#[cfg(feature = "redis")]
pub(crate) mod redis;

use std::sync::Arc;

use bytes::Bytes;

use crate::error::Error;

/// A way to a broker, which can be gone more than once. None of it retries or waits for longer than
/// its caller lets it.
pub(crate) trait Engine: Send + Sync + 'static {
    type Sender: Sender;
    type Receiver: Receiver;

    fn connect(&self)
    -> impl Future<Output = Result<(Self::Sender, Self::Receiver), Error>> + Send;
}

/// The half of a connection that publishes. An error ends both halves.
pub(crate) trait Sender: Clone + Send + Sync + 'static {
    /// The largest envelope that the broker takes.
    fn max_envelope(&self) -> usize;

    /// Publishes in this order; when it returns the broker has all of them.
    fn send(&self, batch: &[Outgoing]) -> impl Future<Output = Result<(), Error>> + Send;

    /// What the broker has kept of a subject, the oldest first, at most `max` of the newest.
    fn stored(
        &self,
        subject: &str,
        max: usize,
    ) -> impl Future<Output = Result<Vec<Bytes>, Error>> + Send;
}

/// The half of a connection that subscribes. An error ends both halves.
pub(crate) trait Receiver: Send + 'static {
    fn subscribe(
        &mut self,
        subjects: &[Arc<str>],
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn unsubscribe(
        &mut self,
        subjects: &[Arc<str>],
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// The next envelope, with its subject. Nothing is lost if the future is dropped.
    fn next(&mut self) -> impl Future<Output = Result<(Arc<str>, Bytes), Error>> + Send;
}

/// An envelope on its way to the broker.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) subject: Arc<str>,
    pub(crate) envelope: Bytes,
    /// Whether the broker keeps it, where it keeps any.
    pub(crate) is_kept: bool,
}

/// What the broker is to keep of each topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) max_messages: usize,
    pub(crate) max_age: std::time::Duration,
}
