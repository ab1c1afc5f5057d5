//! [`LagPolicy`] and [`Lag`]: what becomes of messages for a member that is slow.

use std::{fmt, sync::Arc};

use crate::message::Message;

/// What becomes of what is published when a member takes it too slowly: see
/// [`Group::join_with`](crate::Group::join_with).
///
/// What waits for a member is bounded in bytes: each message counts with its payload, its key if it has one,
/// and 128 bytes. A message that is larger than the bound fits where nothing waits. There is a bound for all
/// memberships of a connection, too: [`GroupConfig::max_waiting`](crate::GroupConfig::max_waiting). Nobody else
/// waits for a slow member, and what it costs is counted: see [`Lag`].
///
/// # Examples
///
/// ```
/// use wsweave::{LagPolicy, Message};
///
/// // A chat: who cannot keep up has to come again.
/// let chat = LagPolicy::disconnect();
/// // A ticker: the last prices count.
/// let ticker = LagPolicy::drop_oldest().max_bytes(64 << 10);
/// // Positions of players: of each only the last, by the name that the message begins with.
/// let positions = LagPolicy::latest(|message: &Message| {
///     message.as_bytes().get(..4).unwrap_or_default().to_vec()
/// });
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LagPolicy {
    pub(crate) excess: Excess,
    pub(crate) max_bytes: usize,
}

/// What to do when there is no room.
#[derive(Clone, Debug)]
pub(crate) enum Excess {
    DropOldest,
    DropNewest,
    Latest(Key),
    Disconnect,
}

/// What gives the key of a message: what it is about.
#[derive(Clone)]
pub(crate) struct Key(Arc<dyn Fn(&Message) -> KeyBytes + Send + Sync>);

/// A copy, which is dropped without code of the user's.
pub(crate) type KeyBytes = Arc<[u8]>;

impl Key {
    /// Clones have it in common.
    pub(super) fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<()>().addr()
    }
}

impl LagPolicy {
    /// Drops the messages that have waited longest.
    ///
    /// ```
    /// let policy = wsweave::LagPolicy::drop_oldest();
    /// ```
    pub fn drop_oldest() -> Self {
        Self::new(Excess::DropOldest)
    }

    /// Drops the message for which there is no room.
    ///
    /// ```
    /// let policy = wsweave::LagPolicy::drop_newest();
    /// ```
    pub fn drop_newest() -> Self {
        Self::new(Excess::DropNewest)
    }

    /// Lets only the latest message of each key wait: it takes the place of the one before. When there is
    /// still no room, drops those that have waited longest. One that is no larger than the one before always
    /// has room; the one before stays where a larger one has none beside other memberships' messages.
    ///
    /// The key of a message is computed once for all members that were given clones of one policy. A
    /// `key` that panics has the publishing panic, before anything is delivered.
    ///
    /// ```
    /// use wsweave::{LagPolicy, Message};
    ///
    /// // One that is about all there is: the last message alone.
    /// let policy = LagPolicy::latest(|_: &Message| "");
    /// ```
    pub fn latest<K: AsRef<[u8]>>(key: impl Fn(&Message) -> K + Send + Sync + 'static) -> Self {
        Self::new(Excess::Latest(Key(Arc::new(move |message| key(message).as_ref().into()))))
    }

    /// Closes the member's connection with code 1013 (try again later), and drops what waits in this
    /// membership. What was sent before, by handles or for other memberships, goes out before the Close,
    /// as far as that is possible within [`Config::close_timeout`](crate::Config::close_timeout). For a client
    /// that [connects again](crate::Client::reconnect) it is the end for good.
    ///
    /// ```
    /// let policy = wsweave::LagPolicy::disconnect();
    /// ```
    pub fn disconnect() -> Self {
        Self::new(Excess::Disconnect)
    }

    /// Sets how many bytes may wait. 1 MiB.
    ///
    /// A message waits here until the connection takes it, which it does as there is room for it in what it
    /// writes, and at once with all that comes before a message that an asynchronous hook
    /// ([`on_each_async`](crate::ConnectionExt::on_each_async)) sends by a handle.
    ///
    /// ```
    /// let policy = wsweave::LagPolicy::drop_oldest().max_bytes(64 << 10);
    /// ```
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    fn new(excess: Excess) -> Self {
        Self { excess, max_bytes: 1 << 20 }
    }

    /// What gives the key of a message, if it wants one.
    pub(crate) fn key(&self) -> Option<&Key> {
        match &self.excess {
            Excess::Latest(key) => Some(key),
            Excess::DropOldest | Excess::DropNewest | Excess::Disconnect => None,
        }
    }
}

/// [`LagPolicy::disconnect`]: nothing is lost without somebody hearing of it.
impl Default for LagPolicy {
    fn default() -> Self {
        Self::disconnect()
    }
}

/// How far a member is behind: see [`Membership::lag`](crate::Membership::lag).
///
/// # Examples
///
/// ```
/// use wsweave::{Connection, ConnectionExt, Group, LagPolicy};
///
/// let (mut conn, _peer) = Connection::pair();
/// let group = Group::new();
/// let policy = LagPolicy::drop_oldest().max_bytes(300);
/// let member = group.join_with("news", &conn.handle(), policy)?;
/// for news in ["one", "two", "three"] {
///     group.publish("news", news);
/// }
/// let lag = member.lag();
/// assert_eq!((lag.messages, lag.dropped), (2, 1));
/// # Ok::<_, wsweave::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// How many messages wait.
    pub messages: usize,
    /// How many bytes that is, as they count for [`LagPolicy::max_bytes`].
    pub bytes: usize,
    /// How many messages were dropped, for want of room.
    pub dropped: u64,
    /// How many messages gave their place to a later one with the same key.
    pub replaced: u64,
}

/// The keys of a message, with the functions that gave them, by their identity: that is another one's when
/// a function is no more.
#[derive(Debug, Default)]
pub(crate) struct Keys(Vec<(Key, KeyBytes)>);

impl Keys {
    pub(super) fn new(message: &Message, functions: Vec<Key>) -> Self {
        let mut keys: Vec<_> =
            functions.into_iter().map(|key| (key.clone(), (key.0)(message))).collect();
        keys.sort_unstable_by_key(|(key, _)| key.identity());
        Self(keys)
    }

    /// That of `key`; `None` if this was not known when the message was published.
    pub(crate) fn of(&self, key: &Key) -> Option<KeyBytes> {
        let index = self.0.binary_search_by_key(&key.identity(), |(key, _)| key.identity());
        index.ok().map(|index| self.0[index].1.clone())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}
