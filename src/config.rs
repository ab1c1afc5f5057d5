//! [`Config`]: limits, buffers, timeouts and the clock of a connection; and [`Role`].

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::compression::Compression;

/// Which end of the connection this is (RFC 6455, section 1.2). A client masks what it sends, a
/// server does not; a server ends TCP first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that asked for the connection.
    Client,
    /// The end that accepted it.
    Server,
}

/// Limits, buffers, timeouts and the clock of a connection.
///
/// A plain struct: read the fields, set them by the methods of the same names.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wsweave::Config;
///
/// let config = Config::default().max_message_size(64 * 1024).close_timeout(Duration::from_secs(2));
/// assert_eq!(config.max_message_size, 65_536);
/// assert_eq!(config.max_frame_size, 16 << 20);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// The largest message to receive, in bytes, inclusive. 16 MiB.
    pub max_message_size: usize,
    /// The largest frame to receive, in bytes of payload as they arrive, inclusive. 16 MiB.
    pub max_frame_size: usize,
    /// The most fragments (frames) a received message may come in; 0 is as 1. 100,000.
    pub max_fragments: usize,
    /// Messages to send that are larger go out in frames of at most this many bytes; `None`, the
    /// default: one frame a message.
    pub fragment_size: Option<usize>,
    /// The high-water mark of what waits to be sent, in bytes. 1 MiB. Beyond it the sink and the
    /// handles wait, and messages that hooks answer are not read.
    pub outbox_size: usize,
    /// How long the closing handshake may take, the end of TCP included. 10 s.
    pub close_timeout: Duration,
    /// How long a write may make no progress before the connection ends. 40 s.
    pub write_timeout: Duration,
    /// How long the peer may be silent before it is sent a ping; `None`, or 0: no keepalive. 20 s.
    pub keepalive_interval: Option<Duration>,
    /// How long the peer may take to send anything after that ping. 20 s.
    pub keepalive_timeout: Duration,
    /// How long no message may come or go before the connection is closed, with code 1001 and the
    /// reason "idle timeout"; `None`, the default, or 0: forever. Pings and pongs do not count, be they
    /// keepalive's; a part of a message does.
    pub idle_timeout: Option<Duration>,
    /// Whether and how messages are compressed, with a peer that can; `None`, the default: not at all.
    pub compression: Option<Compression>,
    /// How long connecting may take: name look-up, TCP, the proxy, TLS, the opening handshake and
    /// redirects together. 30 s.
    pub connect_timeout: Duration,
    /// How long a server's opening handshake may take: the whole head of the request, however it
    /// drips, and the writing of the answer. 10 s.
    pub handshake_timeout: Duration,
    /// The largest head of an opening handshake, in bytes. 16 KiB. A client counts the interim
    /// answers (RFC 9110, section 15.2) before the final one, too.
    pub max_head_size: usize,
    /// The most header fields in the head of an opening handshake. 64; more than 124 are never read.
    pub max_headers: usize,
    pub(crate) clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message_size: 16 << 20,
            max_frame_size: 16 << 20,
            max_fragments: 100_000,
            fragment_size: None,
            outbox_size: 1 << 20,
            close_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(40),
            keepalive_interval: Some(Duration::from_secs(20)),
            keepalive_timeout: Duration::from_secs(20),
            idle_timeout: None,
            compression: None,
            connect_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            max_head_size: 16 << 10,
            max_headers: 64,
            clock: Clock::Ambient,
        }
    }
}

/// Writes a setter for each plain field: the field's own documentation says what it means.
macro_rules! setters {
    ($($field:ident: $type:ty = $example:expr;)*) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
        ///
        /// ```
        /// # use std::time::Duration;
        #[doc = concat!("let config = wsweave::Config::default().", stringify!($field), "(", stringify!($example), ");")]
        #[doc = concat!("assert_eq!(config.", stringify!($field), ", ", stringify!($example), ");")]
        /// ```
        #[must_use]
        pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    )*};
}

impl Config {
    setters! {
        max_message_size: usize = 1024;
        max_frame_size: usize = 1024;
        max_fragments: usize = 16;
        fragment_size: Option<usize> = Some(1024);
        outbox_size: usize = 4096;
        close_timeout: Duration = Duration::from_secs(1);
        write_timeout: Duration = Duration::from_secs(5);
        keepalive_interval: Option<Duration> = None;
        keepalive_timeout: Duration = Duration::from_secs(5);
        idle_timeout: Option<Duration> = Some(Duration::from_secs(600));
        connect_timeout: Duration = Duration::from_secs(5);
        handshake_timeout: Duration = Duration::from_secs(5);
        max_head_size: usize = 4096;
        max_headers: usize = 32;
    }

    /// Sets [`compression`](#structfield.compression); `None` turns it off.
    ///
    /// ```
    /// use wsweave::{Compression, Config};
    ///
    /// let config = Config::default().compression(Compression::default());
    /// assert_eq!(config.compression.unwrap().level, 6);
    /// ```
    #[must_use]
    pub fn compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression = compression.into();
        self
    }

    /// Sets the only source of time: of every timeout and of keepalive. The default is the ambient
    /// runtime's clock.
    ///
    /// See [`Timer`] for an example.
    #[must_use]
    pub fn timer(mut self, timer: impl Timer) -> Self {
        self.clock = Clock::Given(Arc::new(timer));
        self
    }

    /// Goes without a clock: no keepalive, no timeouts; `close()` waits for the peer.
    ///
    /// ```
    /// let config = wsweave::Config::default().no_timer();
    /// ```
    #[must_use]
    pub fn no_timer(mut self) -> Self {
        self.clock = Clock::None;
        self
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("max_message_size", &self.max_message_size)
            .field("max_frame_size", &self.max_frame_size)
            .field("max_fragments", &self.max_fragments)
            .field("fragment_size", &self.fragment_size)
            .field("outbox_size", &self.outbox_size)
            .field("close_timeout", &self.close_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("keepalive_interval", &self.keepalive_interval)
            .field("keepalive_timeout", &self.keepalive_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("compression", &self.compression)
            .field("connect_timeout", &self.connect_timeout)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("max_head_size", &self.max_head_size)
            .field("max_headers", &self.max_headers)
            .finish_non_exhaustive()
    }
}

/// A source of time for [`Config::timer`].
///
/// # Examples
///
/// A clock that stands still: no timeout ever fires.
///
/// ```
/// use std::{future, time::{Duration, Instant}};
/// use wsweave::{Config, Sleep, Timer};
///
/// struct Still(Instant);
///
/// impl Timer for Still {
///     fn now(&self) -> Instant {
///         self.0
///     }
///     fn sleep(&self, _duration: Duration) -> Sleep {
///         Box::pin(future::pending())
///     }
/// }
///
/// let config = Config::default().timer(Still(Instant::now()));
/// ```
pub trait Timer: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Instant;
    /// Completes when `duration` has passed.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// The future of [`Timer::sleep`].
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a configuration's time comes from.
#[derive(Clone)]
pub(crate) enum Clock {
    Ambient,
    Given(Arc<dyn Timer>),
    None,
}
