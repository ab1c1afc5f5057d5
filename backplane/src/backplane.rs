//! [`Backplane`]: a group over many processes.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use wsweave::{Changes, Group, Handle, Message};

use crate::{
    broker::{Address, Broker},
    driver::{connect, drive, within},
    engine::Engine,
    envelope::{Body, Envelope},
    error::{Error, ErrorKind, Unsent},
    events::Events,
    node_id::NodeId,
    positions::{Observed, Positions},
    presence::Presence,
    sending::History,
    shared::Shared,
    stats::Stats,
    status::Status,
    subject::is_topic,
};

/// The topics of a [`Group`] over many processes: what one node publishes reaches the members on all.
/// Cheap to clone, `Send` and `Sync`.
///
/// Members join the group as before. A topic is subscribed at the broker while it has members here, and
/// [`publish`](Self::publish) gives a message to them and queues it for the other nodes; what is published
/// by [`Group::publish`] stays here. Nothing waits for the broker: while it is away, members here go on
/// among themselves, [`status`](Self::status) says so, and messages for others wait, in bounds.
///
/// **Order.** Of one node, the messages in a topic come in the order in which it has published them; those
/// of different nodes in any order, which may be another one at each. When two tasks publish at the same
/// moment, the members here may get the two messages in another order than those elsewhere.
///
/// **Loss.** Without [`replay`](Broker::replay), what comes while a node is away is lost to it. No message
/// comes twice. Each node counts what it sends, so that others see what they miss: that is an
/// [event](crate::Event::Gap), and [counted](Stats::missed).
///
/// It works on a task of the runtime of tokio on which it was attached, until the last clone is dropped, or
/// it is [closed](Self::close).
///
/// # Examples
///
/// ```no_run
/// use wsweave::{Connection, ConnectionExt, Group};
/// use wsweave_backplane::{Backplane, Broker};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let group = Group::new();
/// let backplane = Backplane::attach(&group, Broker::nats("nats://127.0.0.1:4222")).await?;
/// # let (mut conn, _peer) = Connection::pair();
/// let member = group.join("news", &conn.handle())?;
/// backplane.publish("news", "to all nodes")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Backplane {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    requests: mpsc::Sender<History>,
    driver: JoinHandle<()>,
}

impl Backplane {
    /// Connects to a broker, and joins the nodes that meet there.
    ///
    /// Of a group there should be one backplane.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an address or a prefix that is wrong,
    /// [`Io`](ErrorKind::Io) if the broker cannot be reached, [`Timeout`](ErrorKind::Timeout) if it does not
    /// answer within [`Broker::timeout`], [`Denied`](ErrorKind::Denied) if it does not let us in,
    /// [`Protocol`](ErrorKind::Protocol) or `Io` if it answers as no broker does,
    /// [`Unsupported`](ErrorKind::Unsupported) if it cannot keep messages and is asked to. Once attached, it
    /// tries again whatever happens.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of tokio, or in one without its drivers of time and IO.
    ///
    /// See [`Backplane`] for an example.
    pub async fn attach(group: &Group, broker: Broker) -> Result<Self, Error> {
        let Broker { address, limits } = broker;
        let shared = Shared::new(group, limits)?;
        match address {
            #[cfg(feature = "nats")]
            Address::Nats(address, options) => {
                let nats = crate::engine::nats::Nats::new(
                    &address,
                    *options,
                    &shared.limits,
                    &shared.subjects,
                )?;
                Box::pin(Self::start(shared, nats)).await
            }
            #[cfg(feature = "redis")]
            Address::Redis(address) => {
                let redis = crate::engine::redis::Redis::new(&address, &shared.limits)?;
                Box::pin(Self::start(shared, redis)).await
            }
        }
    }

    async fn start(shared: Shared, engine: impl Engine) -> Result<Self, Error> {
        let shared = Arc::new(shared);
        let first = connect(&engine, &shared).await?;
        let changes: Changes = shared.group.changes();
        let (requests, asked) = mpsc::channel(MAX_REQUESTS);
        let driver = drive(engine, Arc::clone(&shared), first, changes, asked);
        let driver = tokio::spawn(driver);
        Ok(Self { inner: Arc::new(Inner { shared, requests, driver }) })
    }

    /// Publishes a message to the members of a topic on all nodes; returns for how many of this node it
    /// waits now. Like [`Group::publish`] it never waits.
    ///
    /// # Errors
    ///
    /// [`Unsent`] gives the message back when it cannot be queued for the other nodes: the queue is
    /// [full](Broker::max_queue), or the message [too large](Broker::max_message). The members here have got
    /// it. That is also an [event](crate::Event::Unsent), and [counted](Stats::unsent); the other nodes see
    /// a gap. A name that no topic can have is an error, too. What the broker refuses later is an event and
    /// counted in the same way, and not given back.
    ///
    /// See [`Backplane`] and [`Unsent`] for examples.
    pub fn publish(&self, topic: &str, message: impl Into<Message>) -> Result<usize, Unsent> {
        let local = |group: &Group, message| group.publish(topic, message);
        self.inner.shared.publish(topic, message.into(), local)
    }

    /// Like [`publish`](Self::publish), but not to the connection of a handle: the one that it came from.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish).
    ///
    /// ```no_run
    /// # use wsweave::Handle;
    /// # use wsweave_backplane::{Backplane, Unsent};
    /// # fn example(backplane: &Backplane, handle: &Handle) -> Result<(), Unsent> {
    /// backplane.publish_except("chat", "to the others", handle)?;
    /// # Ok(()) }
    /// ```
    pub fn publish_except(
        &self,
        topic: &str,
        message: impl Into<Message>,
        except: &Handle,
    ) -> Result<usize, Unsent> {
        let local = |group: &Group, message| group.publish_except(topic, message, except);
        self.inner.shared.publish(topic, message.into(), local)
    }

    /// How many members a topic has, here and elsewhere, as far as this node has heard.
    ///
    /// Others say so at once when it changes, and with each [heartbeat](Broker::heartbeat). A node that is
    /// silent for three of those, because it died or because there is no broker, counts no more.
    ///
    /// See [`Presence`] for an example.
    #[must_use]
    pub fn presence(&self, topic: &str) -> Presence {
        self.inner.shared.presence(topic)
    }

    /// The other nodes that were heard of lately, in no particular order.
    ///
    /// ```no_run
    /// # fn example(backplane: &wsweave_backplane::Backplane) {
    /// println!("{} nodes", 1 + backplane.nodes().len());
    /// # }
    /// ```
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        self.inner.shared.node_ids()
    }

    /// Which node this is.
    ///
    /// See [`NodeId`] for an example.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.inner.shared.node
    }

    /// Whether there is a connection to the broker.
    ///
    /// See [`Status`] for an example.
    #[must_use]
    pub fn status(&self) -> Status {
        self.inner.shared.status.borrow().clone()
    }

    /// What was counted since this node attached.
    ///
    /// See [`Stats`] for an example.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.inner.shared;
        shared.counters.stats(shared.queue.len())
    }

    /// A stream of what happens between the nodes from now on. Whoever does not read it misses some when
    /// [`Broker::max_events`] wait, and is [told so](crate::Event::Missed).
    ///
    /// See [`Events`] for an example.
    pub fn events(&self) -> Events {
        Events::new(self.inner.shared.subscribe_events())
    }

    /// Waits until a topic is subscribed at the broker, so that what other nodes publish from now on
    /// reaches the members here. Without members it is not.
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed) if the backplane is closed, [`InvalidInput`](ErrorKind::InvalidInput) for
    /// a name that is too long for an envelope, more than 255 bytes: such a topic stays on its node,
    /// [`Denied`](ErrorKind::Denied) if the broker does not let this node subscribe it. NATS says so a
    /// moment later: see [`Event::Refused`](crate::Event::Refused).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    ///
    /// ```no_run
    /// # use wsweave::{Group, Handle};
    /// # use wsweave_backplane::Backplane;
    /// # async fn example(group: &Group, backplane: &Backplane, handle: &Handle)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let member = group.join("news", handle)?;
    /// backplane.ready("news").await?;
    /// # Ok(()) }
    /// ```
    pub async fn ready(&self, topic: &str) -> Result<(), Error> {
        valid(topic)?;
        let shared = &self.inner.shared;
        let mut subscriptions = shared.subscriptions.subscribe();
        let mut status = shared.status.subscribe();
        loop {
            if matches!(*status.borrow_and_update(), Status::Closed) {
                return Err(Error::closed());
            }
            subscriptions.borrow_and_update();
            if let Some(subscribed) = shared.subscription(topic) {
                return subscribed;
            }
            tokio::select! {
                // Both are there as long as this is.
                _ = subscriptions.changed() => {}
                _ = status.changed() => {}
            }
        }
    }

    /// Waits until the broker has all that was published so far and is not [unsent](Unsent).
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed) if the backplane is closed before.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    ///
    /// ```no_run
    /// # async fn example(backplane: &wsweave_backplane::Backplane)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// backplane.publish("news", "hello")?;
    /// backplane.flush().await?;
    /// # Ok(()) }
    /// ```
    pub async fn flush(&self) -> Result<(), Error> {
        let shared = &self.inner.shared;
        let mut status = shared.status.subscribe();
        tokio::select! {
            biased;
            () = shared.queue.flushed() => Ok(()),
            _ = status.wait_for(|status| matches!(status, Status::Closed)) => Err(Error::closed()),
        }
    }

    /// The last messages of a topic that the broker has kept, of all nodes, the oldest first: at most `max`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) without [`Broker::replay`]; the last error while there is no
    /// connection; [`Timeout`](ErrorKind::Timeout) after [`Broker::timeout`];
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a name of more than 255 bytes.
    ///
    /// ```no_run
    /// # use wsweave::Handle;
    /// # async fn example(backplane: &wsweave_backplane::Backplane, handle: &Handle)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// for message in backplane.history("chat", 50).await? {
    ///     handle.send(message).await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn history(&self, topic: &str, max: usize) -> Result<Vec<Message>, Error> {
        valid(topic)?;
        let shared = &self.inner.shared;
        let Some(retention) = shared.limits.replay else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the broker is not told to keep messages",
            ));
        };
        match self.status() {
            Status::Disconnected { error, .. } => return Err(error),
            Status::Closed => return Err(Error::closed()),
            Status::Connecting | Status::Connected => {}
        }
        let topic: Arc<str> = topic.into();
        let mut asked = max.clamp(1, retention.max_messages);
        loop {
            let stored = within(shared.limits.timeout, self.stored(&topic, asked)).await?;
            let is_all = stored.len() < asked || asked >= retention.max_messages;
            let mut messages = self.messages(&topic, stored);
            if messages.len() >= max || is_all {
                messages.drain(..messages.len().saturating_sub(max));
                return Ok(messages);
            }
            asked = asked.saturating_mul(2).min(retention.max_messages);
        }
    }

    async fn stored(&self, topic: &str, max: usize) -> Result<Vec<Bytes>, Error> {
        let (reply, replied) = oneshot::channel();
        let request = History { subject: self.inner.shared.subjects.topic(topic), max, reply };
        self.inner.requests.send(request).await.map_err(|_| Error::closed())?;
        replied.await.map_err(|_| Error::new(ErrorKind::Io, "the connection is lost"))?
    }

    /// Each of them once: what was not confirmed in time was sent twice.
    fn messages(&self, topic: &Arc<str>, stored: Vec<Bytes>) -> Vec<Message> {
        let mut positions = Positions::new(usize::MAX);
        positions.open(topic);
        let now = std::time::Instant::now();
        let message = |envelope: Envelope| {
            let observed = positions.observe(topic, &envelope, now);
            match envelope.body {
                Body::Message(message) if observed != Observed::Duplicate => Some(message),
                _ => None,
            }
        };
        let envelope = |bytes| self.inner.shared.parse(Some(topic), bytes);
        stored.into_iter().filter_map(envelope).filter_map(message).collect()
    }

    /// Sends what waits for the broker, as far as that is possible within [`Broker::timeout`], and says
    /// farewell; returns how many messages are unsent. The group goes on without it.
    ///
    /// # Cancel safety
    ///
    /// From the first poll on the backplane is closing.
    ///
    /// ```no_run
    /// # async fn example(backplane: wsweave_backplane::Backplane) {
    /// if backplane.close().await > 0 {
    ///     println!("some messages go to no other node");
    /// }
    /// # }
    /// ```
    pub async fn close(&self) -> usize {
        let Inner { shared, driver, .. } = &*self.inner;
        shared.queue.close();
        shared.is_closing.send_replace(true);
        let mut status = shared.status.subscribe();
        let closed = status.wait_for(|status| matches!(status, Status::Closed));
        if timeout(shared.limits.timeout, closed).await.is_err() {
            driver.abort();
            shared.set_status(Status::Closed);
        }
        shared.queue.len().0
    }
}

/// The others find out that it is silent.
impl Drop for Inner {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Backplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backplane")
            .field("node", &self.node())
            .field("status", &self.status())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

fn valid(topic: &str) -> Result<(), Error> {
    if is_topic(topic) {
        return Ok(());
    }
    let what = "a topic over many nodes has a name of 1 to 255 bytes";
    Err(Error::new(ErrorKind::InvalidInput, what))
}

const MAX_REQUESTS: usize = 64;
