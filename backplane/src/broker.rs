//! [`Broker`]: which engine, where, and the limits.

use std::{fmt, time::Duration};

use crate::engine::Retention;

/// Which engine the nodes meet at, and the limits of this node.
///
/// All nodes of a backplane need the same engine, [`prefix`](Self::prefix) and
/// [`heartbeat`](Self::heartbeat).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wsweave_backplane::Broker;
///
/// let broker = Broker::nats("nats://127.0.0.1:4222").prefix("chat").timeout(Duration::from_secs(2));
/// let broker = Broker::redis("redis://127.0.0.1/").replay(100, Duration::from_secs(3_600));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Broker {
    pub(crate) address: Address,
    pub(crate) limits: Limits,
}

#[derive(Clone)]
pub(crate) enum Address {
    #[cfg(feature = "nats")]
    Nats(String, Box<async_nats::ConnectOptions>),
    #[cfg(feature = "redis")]
    Redis(String),
}

/// What is the same for each engine.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) prefix: String,
    pub(crate) timeout: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) max_message: usize,
    pub(crate) max_queue: usize,
    pub(crate) max_inbox: usize,
    pub(crate) max_nodes: usize,
    pub(crate) max_topics: usize,
    pub(crate) max_events: usize,
    pub(crate) replay: Option<Retention>,
}

impl Broker {
    /// A server of NATS, or several of a cluster with commas between. Name and password can be part of an
    /// address; `tls://` asks for TLS.
    ///
    /// See [`Broker`] for an example.
    #[cfg(feature = "nats")]
    pub fn nats(address: impl Into<String>) -> Self {
        Self::nats_with(address, async_nats::ConnectOptions::new())
    }

    /// Like [`nats`](Self::nats), with options of `async-nats`: credentials, certificates. Those about
    /// reconnecting and events are set here; with `no_echo` there is no connection.
    ///
    /// ```
    /// # use wsweave_backplane::Broker;
    /// let options = async_nats::ConnectOptions::with_token("secret".into());
    /// let broker = Broker::nats_with("nats://127.0.0.1", options);
    /// ```
    #[cfg(feature = "nats")]
    pub fn nats_with(address: impl Into<String>, options: async_nats::ConnectOptions) -> Self {
        Self::new(Address::Nats(address.into(), Box::new(options)))
    }

    /// A server of Redis: `redis://[name][:password@]host[:port]`. For `rediss://` turn on
    /// `tokio-rustls-comp`, or another of the features for TLS, of the `redis` crate.
    ///
    /// See [`Broker`] for an example.
    #[cfg(feature = "redis")]
    pub fn redis(address: impl Into<String>) -> Self {
        Self::new(Address::Redis(address.into()))
    }

    #[cfg(any(feature = "nats", feature = "redis"))]
    fn new(address: Address) -> Self {
        Self { address, limits: Limits::default() }
    }

    /// Sets what the names at the broker begin with: words of letters, digits, `-` and `_`, with dots
    /// between. `wsweave`. Backplanes with different prefixes do not hear each other.
    ///
    /// ```
    /// # use wsweave_backplane::Broker;
    /// let broker = Broker::nats("nats://127.0.0.1").prefix("shop.staging");
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.limits.prefix = prefix.into();
        self
    }

    /// Sets how long the broker may take to let us in, and to answer, up to a year. 5 s.
    ///
    /// See [`Broker`] for an example.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout.min(MAX_TIME);
        self
    }

    /// Sets how often a node says that it is there, and who is there with it: each 10 ms to each year. 2 s.
    /// A node that is silent for three times as long is gone; so is a broker.
    ///
    /// ```
    /// # use wsweave_backplane::Broker;
    /// # use std::time::Duration;
    /// let broker = Broker::nats("nats://127.0.0.1").heartbeat(Duration::from_secs(10));
    /// ```
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.limits.heartbeat = interval.clamp(MIN_HEARTBEAT, MAX_TIME);
        self
    }

    /// Sets the size of the largest message, in bytes. 1,000,000. Servers of NATS take envelopes of 1 MiB
    /// if they are not told otherwise.
    ///
    /// ```
    /// # use wsweave_backplane::Broker;
    /// let broker = Broker::nats("nats://127.0.0.1").max_message(64 << 10);
    /// ```
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.limits.max_message = bytes;
        self
    }

    /// Sets how many bytes wait for the broker while it is away, or slow. 8 MiB. A message counts with
    /// its payload, the name of its topic and about a hundred bytes.
    ///
    /// ```
    /// # use wsweave_backplane::Broker;
    /// let broker = Broker::nats("nats://127.0.0.1").max_queue(64 << 20);
    /// ```
    pub fn max_queue(mut self, bytes: usize) -> Self {
        self.limits.max_queue = bytes;
        self
    }

    /// Sets how many bytes wait here that have come from the broker: because the members are given more than
    /// this process can do, or because what was missed is read first. 32 MiB. What does not fit is dropped
    /// and [counted](crate::Stats::overrun), and is a gap.
    ///
    /// ```
    /// # use wsweave_backplane::Broker;
    /// let broker = Broker::nats("nats://127.0.0.1").max_inbox(8 << 20);
    /// ```
    pub fn max_inbox(mut self, bytes: usize) -> Self {
        self.limits.max_inbox = bytes;
        self
    }

    /// Sets how many other nodes are known. 1,024. Of more than that the members are not counted.
    ///
    /// ```
    /// # use wsweave_backplane::Broker;
    /// let broker = Broker::nats("nats://127.0.0.1").max_nodes(16);
    /// ```
    pub fn max_nodes(mut self, nodes: usize) -> Self {
        self.limits.max_nodes = nodes;
        self
    }

    /// Sets of how many topics a node says who is there, and listens to what another one says. 65,536.
    ///
    /// ```
    /// # use wsweave_backplane::Broker;
    /// let broker = Broker::nats("nats://127.0.0.1").max_topics(1_000);
    /// ```
    pub fn max_topics(mut self, topics: usize) -> Self {
        self.limits.max_topics = topics;
        self
    }

    /// Sets how many [events](crate::Backplane::events) wait for one who does not read them. 1,024.
    ///
    /// ```
    /// # use wsweave_backplane::Broker;
    /// let broker = Broker::nats("nats://127.0.0.1").max_events(64);
    /// ```
    pub fn max_events(mut self, events: usize) -> Self {
        self.limits.max_events = events.max(1);
        self
    }

    /// Has the broker keep the last messages of each topic for some time: `JetStream` does that for NATS,
    /// streams do for Redis. A node that was away gets from it what it has missed, and whoever comes late
    /// can [ask for it](crate::Backplane::history).
    ///
    /// See [`Broker`] for an example.
    pub fn replay(mut self, max_messages: usize, max_age: Duration) -> Self {
        let max_messages = max_messages.clamp(1, usize::MAX >> 1);
        self.limits.replay = Some(Retention { max_messages, max_age });
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            prefix: "wsweave".into(),
            timeout: Duration::from_secs(5),
            heartbeat: Duration::from_secs(2),
            max_message: 1_000_000,
            max_queue: 8 << 20,
            max_inbox: 32 << 20,
            max_nodes: 1_024,
            max_topics: 65_536,
            max_events: 1_024,
            replay: None,
        }
    }
}

impl Limits {
    /// How long a node is silent before it is gone.
    pub(crate) fn silence(&self) -> Duration {
        self.heartbeat * 3
    }
}

/// Without the address: there may be a password in it.
impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = match &self.address {
            #[cfg(feature = "nats")]
            Address::Nats(..) => "nats",
            #[cfg(feature = "redis")]
            Address::Redis(_) => "redis",
        };
        f.debug_struct("Broker")
            .field("engine", &engine)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

const MIN_HEARTBEAT: Duration = Duration::from_millis(10);
/// So that one can be added to another, and to what time it is.
const MAX_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
