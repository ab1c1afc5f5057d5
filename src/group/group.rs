//! [`Group`]: topics, and who belongs to them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use super::{
    changes::{Change, Changes, Watchers},
    config::GroupConfig,
    drain::Drain,
    lag::LagPolicy,
    membership::{MemberId, Membership, Seat},
    topic::{Member, Members, Topic},
};
use crate::{
    connection::{Handle, Outbox},
    error::Error,
    message::Message,
    sync::{AtomicU64, Mutex, MutexGuard},
};

/// Topics, and the connections that belong to them: what is published to a topic reaches all of its
/// members. Cheap to clone, `Send` and `Sync`.
///
/// A topic is there while it has members; its name is any text, not empty, of at most
/// [`max_topic_len`](GroupConfig::max_topic_len) bytes. Connections are known by their
/// [handles](crate::Handle); the group does not keep them alive.
///
/// **Nothing moves unless it is polled**: what is published waits in the memory of each member's
/// connection until that is polled, and a member that is slow, or not polled at all, holds up nobody.
/// What becomes of its messages its [`LagPolicy`] says.
///
/// **Order.** All members of a topic get its messages in the same order, whoever publishes them. A
/// connection gets what was published to all of its topics, and what its handles were given, in the order
/// in which that was done. Where a policy drops or replaces something, a later message of the same membership
/// takes its place, before what others have sent meanwhile.
///
/// **Cost.** A message is put into a frame once for all members that are servers' connections. Its payload is
/// shared while it waits; one of up to 4 KiB is copied where it is written, behind what else goes out with it,
/// and a larger one is written from where it is. So it is where members compress without context
/// ([`server_no_context_takeover`](crate::Compression::server_no_context_takeover)): once for each level
/// and size of the window. For others each connection compresses, or masks, for itself.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use wsweave::{Connection, ConnectionExt, Group};
///
/// # async_std::task::block_on(async {
/// let group = Group::new();
/// let (mut us, mut peer) = Connection::pair();
/// let member = group.join("news", &us.handle())?;
/// async_std::task::spawn(us.run());
///
/// assert_eq!(group.publish("news", "hello"), 1);
/// assert_eq!(peer.next().await, Some("hello".into()));
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Group {
    shared: Arc<Shared>,
}

/// What the group has in common with the seats of its members.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) config: GroupConfig,
    topics: Mutex<Topics>,
    joined: AtomicU64,
    watchers: Watchers,
}

/// Not locked with any other: who publishes has a topic's lock for long, and other topics do not wait for it.
#[derive(Default)]
struct Topics {
    by_name: HashMap<Arc<str>, Arc<Topic>>,
    /// Nobody joins any more.
    is_closed: bool,
}

impl Topics {
    fn all(&self) -> Vec<Arc<Topic>> {
        self.by_name.values().cloned().collect()
    }
}

impl Group {
    /// A group without topics.
    ///
    /// ```
    /// let group = wsweave::Group::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A group with other limits.
    ///
    /// See [`GroupConfig`] for an example.
    #[must_use]
    pub fn with_config(config: GroupConfig) -> Self {
        Self { shared: Arc::new(Shared { config, ..Shared::default() }) }
    }

    /// Makes a connection a member of a topic until the membership is dropped, or the connection ends. One
    /// that is too slow for what is published is closed: see [`LagPolicy::disconnect`].
    ///
    /// A connection can join a topic twice, and then gets everything twice.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is empty or too long,
    /// [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) if the connection has as many
    /// memberships as it [can](GroupConfig::max_memberships),
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if it is closing, this handle was retired, or the group
    /// was [drained](Self::drain).
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, ErrorKind, Group};
    ///
    /// let (mut conn, _peer) = Connection::pair();
    /// let group = Group::new();
    /// assert_eq!(group.join("", &conn.handle()).unwrap_err().kind(), ErrorKind::InvalidInput);
    /// let member = group.join("news", &conn.handle())?;
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn join(&self, topic: &str, handle: &Handle) -> Result<Membership, Error> {
        self.join_with(topic, handle, LagPolicy::default())
    }

    /// Like [`join`](Self::join), with another policy for when the member is slow.
    ///
    /// # Errors
    ///
    /// As for [`join`](Self::join).
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, Group, LagPolicy};
    ///
    /// let (mut conn, _peer) = Connection::pair();
    /// let group = Group::new();
    /// let member = group.join_with("prices", &conn.handle(), LagPolicy::drop_oldest())?;
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    #[allow(clippy::needless_pass_by_value, reason = "a policy is made for it, or is a clone")]
    pub fn join_with(
        &self,
        topic: &str,
        handle: &Handle,
        policy: LagPolicy,
    ) -> Result<Membership, Error> {
        let shared = &self.shared;
        shared.check_name(topic)?;
        if handle.is_retired() {
            return Err(Error::closed());
        }
        loop {
            let topic = shared.topic_to_join(topic)?;
            if let Some(joined) = shared.join(&topic, handle.outbox(), &policy) {
                return joined;
            }
        }
    }

    /// Publishes a message to a topic; returns for how many members it waits now.
    ///
    /// It never waits. Those whose policy drops it, and those who are closing, do not count. A topic that
    /// nobody has joined is as good as none.
    ///
    /// ```
    /// let group = wsweave::Group::new();
    /// assert_eq!(group.publish("news", "nobody hears this"), 0);
    /// ```
    pub fn publish(&self, topic: &str, message: impl Into<Message>) -> usize {
        self.publish_from(topic, message.into(), None)
    }

    /// Like [`publish`](Self::publish), but not to the connection of a handle: the one that it came from.
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, Group};
    ///
    /// let (mut conn, _peer) = Connection::pair();
    /// let (group, handle) = (Group::new(), conn.handle());
    /// let member = group.join("chat", &handle)?;
    /// assert_eq!(group.publish_except("chat", "to the others", &handle), 0);
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn publish_except(
        &self,
        topic: &str,
        message: impl Into<Message>,
        except: &Handle,
    ) -> usize {
        self.publish_from(topic, message.into(), Some(except.outbox()))
    }

    fn publish_from(&self, topic: &str, message: Message, except: Option<&Arc<Outbox>>) -> usize {
        self.topic(topic).map_or(0, |topic| topic.publish(message, except))
    }

    /// The members of a topic, in no particular order.
    ///
    /// See [`Membership`] for an example.
    #[must_use]
    pub fn members(&self, topic: &str) -> Vec<MemberId> {
        let topic = self.topic(topic);
        topic.map(|topic| topic.lock().iter().map(|member| member.id).collect()).unwrap_or_default()
    }

    /// How many members a topic has.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt, Group};
    /// let (mut conn, _peer) = Connection::pair();
    /// let group = Group::new();
    /// let member = group.join("news", &conn.handle())?;
    /// assert_eq!((group.member_count("news"), group.member_count("olds")), (1, 0));
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    #[must_use]
    pub fn member_count(&self, topic: &str) -> usize {
        self.topic(topic).map_or(0, |topic| topic.len())
    }

    /// The topics that have members, with how many, in no particular order.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt, Group};
    /// let (mut conn, _peer) = Connection::pair();
    /// let group = Group::new();
    /// let member = group.join("news", &conn.handle())?;
    /// assert_eq!(group.topics(), [("news".into(), 1)]);
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    #[must_use]
    pub fn topics(&self) -> Vec<(Arc<str>, usize)> {
        let topics = self.shared.lock().all();
        let counted = topics.iter().map(|topic| (Arc::clone(&topic.name), topic.len()));
        // Somebody may be about to join.
        counted.filter(|&(_, members)| members > 0).collect()
    }

    /// Its limits.
    ///
    /// ```
    /// let group = wsweave::Group::new();
    /// assert_eq!(group.config().max_topic_len, 255);
    /// ```
    #[must_use]
    pub fn config(&self) -> &GroupConfig {
        &self.shared.config
    }

    /// A stream of who joins and who leaves, from now on: of all topics, each topic's in order.
    ///
    /// Whoever does not read it misses some when [`max_changes`](GroupConfig::max_changes) wait, and is
    /// [told so](Change::Missed).
    ///
    /// See [`Changes`] for an example.
    pub fn changes(&self) -> Changes {
        self.shared.watchers.add(self.shared.config.max_changes)
    }

    /// Closes the connections of all members with code 1001, spread evenly over `window`, so that they do
    /// not all come back at once; gives how many that were. From its first poll on nobody joins any more.
    ///
    /// A connection that has several memberships is closed once. It goes through its closing handshake by
    /// itself, when it is polled; [`Handle::closed`] tells when it has. Without a clock all are closed at
    /// once.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the remaining connections stay, and nobody can join any more. Call it again for
    /// those.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use wsweave::{Connection, ConnectionExt, Group};
    ///
    /// # async_std::task::block_on(async {
    /// let group = Group::new();
    /// let (mut conn, peer) = Connection::pair();
    /// let member = group.join("news", &conn.handle())?;
    /// let peer = async_std::task::spawn(peer.run());
    /// let us = async_std::task::spawn(conn.run());
    /// assert_eq!(group.drain(Duration::from_millis(1)).await, 1);
    /// assert_eq!(peer.await.code, 1001);
    /// assert!(us.await.clean);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub fn drain(&self, window: Duration) -> Drain {
        Drain::new(Arc::clone(&self.shared), window)
    }

    fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.shared.lock().by_name.get(name).map(Arc::clone)
    }
}

impl Shared {
    fn check_name(&self, topic: &str) -> Result<(), Error> {
        let (len, most) = (topic.len(), self.config.max_topic_len);
        if topic.is_empty() {
            return Err(Error::invalid_input("the name of a topic is empty"));
        }
        if len > most {
            let what =
                format!("the name of a topic has {len} bytes, which is over the limit of {most}");
            return Err(Error::invalid_input(what));
        }
        Ok(())
    }

    /// The topic of this name, which may not have a member yet.
    fn topic_to_join(&self, name: &str) -> Result<Arc<Topic>, Error> {
        let mut topics = self.lock();
        if topics.is_closed {
            return Err(Error::closed());
        }
        if let Some(topic) = topics.by_name.get(name) {
            return Ok(Arc::clone(topic));
        }
        let topic = Topic::new(name);
        topics.by_name.insert(Arc::clone(&topic.name), Arc::clone(&topic));
        Ok(topic)
    }

    /// Joins a topic; `None` if nobody joins that any more, be it because its last member has just left.
    fn join(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        outbox: &Arc<Outbox>,
        policy: &LagPolicy,
    ) -> Option<Result<Membership, Error>> {
        let mut members = topic.lock();
        if members.is_closed {
            self.release(topic, members);
            return None;
        }
        let id = MemberId(self.joined.fetch_add(1, Ordering::Relaxed));
        let seat = || Seat { group: Arc::downgrade(self), topic: Arc::downgrade(topic), id };
        let queue = match outbox.join(policy.clone(), &self.config, seat) {
            Ok(queue) => queue,
            Err(error) => {
                self.release(topic, members);
                return Some(Err(error));
            }
        };
        let (name, key) = (Arc::clone(&topic.name), policy.key().cloned());
        members.add(Member { id, outbox: Arc::clone(outbox), queue, key });
        let change =
            Change::Joined { topic: Arc::clone(&name), member: id, members: members.len() };
        let told = self.watchers.tell(&change);
        drop(members);
        // Made before anybody is woken: should that panic, the member leaves again.
        let membership = Membership { outbox: Arc::clone(outbox), place: queue, topic: name, id };
        told.wake();
        Some(Ok(membership))
    }

    /// A member leaves its topic.
    pub(super) fn leave(&self, topic: &Arc<Topic>, id: MemberId) {
        let mut members = topic.lock();
        let Some(member) = members.remove(id) else { return };
        let (topic_name, left) = (Arc::clone(&topic.name), members.len());
        let change = Change::Left { topic: topic_name, member: id, members: left };
        let told = self.watchers.tell(&change);
        self.release(topic, members);
        told.wake();
        drop(member);
    }

    /// Unlocks a topic. One without members is over: there may soon be another of its name.
    fn release(&self, topic: &Arc<Topic>, mut members: MutexGuard<'_, Members>) {
        let is_empty = members.len() == 0;
        members.is_closed |= is_empty;
        drop(members);
        if !is_empty {
            return;
        }
        let mut topics = self.lock();
        if topics.by_name.get(&topic.name).is_some_and(|known| Arc::ptr_eq(known, topic)) {
            topics.by_name.remove(&topic.name);
            if topics.by_name.len() < topics.by_name.capacity() / 4 {
                // There were more once, and need not be again.
                let room = 2 * topics.by_name.len();
                topics.by_name.shrink_to(room);
            }
        }
    }

    /// Lets nobody join any more; returns those who have, each connection once.
    pub(super) fn close(&self) -> Vec<Arc<Outbox>> {
        let mut topics = self.lock();
        topics.is_closed = true;
        let all = topics.all();
        drop(topics);
        let mut outboxes = HashMap::new();
        for topic in all {
            let mut members = topic.lock();
            // Whoever found the topic before has joined by now, or will not.
            members.is_closed = true;
            for member in members.iter() {
                outboxes.insert(Arc::as_ptr(&member.outbox), Arc::clone(&member.outbox));
            }
        }
        outboxes.into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Topics> {
        // Nothing panics while it is held.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("topics", &self.topics()).finish_non_exhaustive()
    }
}
