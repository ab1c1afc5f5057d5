//! [`Membership`]: that a connection belongs to a topic.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use super::{group::Shared, lag::Lag, topic::Topic};
use crate::connection::Outbox;

/// That a connection belongs to a topic of a [`Group`](crate::Group): it gets what is published there until
/// this is dropped, or the connection ends.
///
/// What was published before the drop is still delivered. When the peer closes the connection, what waits then
/// is dropped.
///
/// That of a [client that connects again](crate::Client::reconnect) lasts over all its connections. What is
/// published between two of them waits, as its [`LagPolicy`](crate::LagPolicy) allows, and goes over the next
/// one; what was sent and may not have arrived [`on_reconnect`](crate::Reconnect::on_reconnect) is handed, like
/// everything else.
///
/// # Examples
///
/// ```
/// use wsweave::{Connection, ConnectionExt, Group};
///
/// let (mut conn, _peer) = Connection::pair();
/// let group = Group::new();
/// let member = group.join("news", &conn.handle())?;
/// assert_eq!(member.topic(), "news");
/// assert_eq!(group.members("news"), [member.id()]);
/// drop(member);
/// assert_eq!(group.members("news"), []);
/// # Ok::<_, wsweave::Error>(())
/// ```
#[must_use = "dropping it leaves the topic"]
pub struct Membership {
    pub(super) outbox: Arc<Outbox>,
    /// Where its queue is in the outbox.
    pub(super) place: usize,
    pub(super) topic: Arc<str>,
    pub(super) id: MemberId,
}

/// Which member of a [`Group`](crate::Group) it is: no other has, or had, this number there.
///
/// See [`Membership`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub(super) u64);

impl Membership {
    /// Which member this is.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt, Group};
    /// let (mut conn, _peer) = Connection::pair();
    /// let group = Group::new();
    /// let (one, two) = (group.join("a", &conn.handle())?, group.join("a", &conn.handle())?);
    /// assert_ne!(one.id(), two.id());
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// What it belongs to.
    ///
    /// See [`Membership`] for an example.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// How far it is behind with what was published.
    ///
    /// See [`Lag`] for an example.
    #[must_use]
    pub fn lag(&self) -> Lag {
        self.outbox.lag(self.place)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.outbox.leave(self.place);
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("topic", &self.topic)
            .field("id", &self.id)
            .field("lag", &self.lag())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A member's place in its topic, given up when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(super) group: Weak<Shared>,
    pub(super) topic: Weak<Topic>,
    pub(super) id: MemberId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some((group, topic)) = self.group.upgrade().zip(self.topic.upgrade()) {
            group.leave(&topic, self.id);
        }
    }
}
