//! [`ReconnectPolicy`]: when to connect again, and when not.

use std::{fmt, sync::Arc, time::Duration};

use super::Outage;
use crate::error::Error;

/// When a [`Reconnect`](crate::Reconnect) connects again, and when it gives up.
///
/// Attempts come in rows. A row begins with the first attempt of all, and after the end of each connection
/// that has lasted the [minimum uptime](Self::min_uptime); so a server that accepts and dies at once is
/// one that refuses. Before the first attempt of all there is no wait. Before the others it is a random
/// time from nothing up to the backoff, which doubles from attempt to attempt ("full jitter"): clients that
/// have lost their server together do not come back together.
///
/// Settings are checked as they are made.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wsweave::ReconnectPolicy;
///
/// let policy = ReconnectPolicy::default()
///     .backoff(Duration::from_millis(200), Duration::from_secs(60))?
///     .give_up_after(Duration::from_secs(3600));
/// # Ok::<_, wsweave::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct ReconnectPolicy {
    pub(super) backoff: (Duration, Duration),
    pub(super) min_uptime: Duration,
    pub(super) max_attempts: Option<u32>,
    pub(super) give_up_after: Option<Duration>,
    pub(super) max_retry_after: Duration,
    pub(super) seed: Option<u64>,
    pub(super) window: usize,
    pub(super) ask_interval: Duration,
    retry: Arc<dyn Fn(&Outage) -> bool + Send + Sync>,
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self {
            backoff: (Duration::from_millis(500), Duration::from_secs(30)),
            min_uptime: Duration::from_secs(10),
            max_attempts: None,
            give_up_after: None,
            max_retry_after: Duration::from_secs(300),
            seed: None,
            window: 1 << 20,
            ask_interval: Duration::from_secs(1),
            retry: Arc::new(Outage::is_transient),
        }
    }
}

impl ReconnectPolicy {
    /// Sets the backoff before the second attempt in a row, 500 ms by default, and the most it may become
    /// by doubling, 30 s by default.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the first is less than 1 ms, or
    /// more than the second.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use wsweave::ReconnectPolicy;
    /// let second = Duration::from_secs(1);
    /// assert!(ReconnectPolicy::default().backoff(second, 60 * second).is_ok());
    /// assert!(ReconnectPolicy::default().backoff(second, second / 2).is_err());
    /// assert!(ReconnectPolicy::default().backoff(Duration::from_micros(999), second).is_err());
    /// ```
    pub fn backoff(mut self, first: Duration, max: Duration) -> Result<Self, Error> {
        if first < SHORTEST || first > max {
            let message = format!("a backoff from {first:?} up to {max:?} is none");
            return Err(Error::invalid_input(message));
        }
        self.backoff = (first, max);
        Ok(self)
    }

    /// Sets how long a connection has to last for the attempts after it to be a new row. 10 s by default.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let policy = wsweave::ReconnectPolicy::default().min_uptime(Duration::from_secs(60));
    /// ```
    pub fn min_uptime(mut self, uptime: Duration) -> Self {
        self.min_uptime = uptime;
        self
    }

    /// Sets how many attempts in a row there may be, those that succeeded included; any number by default.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for 0.
    ///
    /// ```
    /// # use wsweave::ReconnectPolicy;
    /// let policy = ReconnectPolicy::default().max_attempts(10)?;
    /// assert!(policy.max_attempts(0).is_err());
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn max_attempts(mut self, attempts: u32) -> Result<Self, Error> {
        if attempts == 0 {
            return Err(Error::invalid_input("without an attempt there is no connection"));
        }
        self.max_attempts = Some(attempts);
        Ok(self)
    }

    /// Sets how long a row of attempts may take from its beginning; any time by default. An attempt that
    /// would begin later, be it for a `Retry-After`, is not waited for: that is the end. One that is under
    /// way then fails.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let policy = wsweave::ReconnectPolicy::default().give_up_after(Duration::from_secs(600));
    /// ```
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.give_up_after = Some(time);
        self
    }

    /// Sets the most that the `Retry-After` (RFC 9110, section 10.2.3) of an answer with 429 or 503 is
    /// heeded, 5 min by default, however much it asks for; 0: not at all. The random wait comes on top of
    /// it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let policy = wsweave::ReconnectPolicy::default().max_retry_after(Duration::from_secs(3600));
    /// ```
    pub fn max_retry_after(mut self, time: Duration) -> Self {
        self.max_retry_after = time;
        self
    }

    /// Decides after which outages there is another attempt, in the place of
    /// [`Outage::is_transient`].
    ///
    /// ```
    /// let policy = wsweave::ReconnectPolicy::default().retry_if(|_| true);
    /// ```
    pub fn retry_if(mut self, decide: impl Fn(&Outage) -> bool + Send + Sync + 'static) -> Self {
        self.retry = Arc::new(decide);
        self
    }

    /// Draws the random times from a generator with this seed, so that they are the same each time; by
    /// default the thread's own generator gives them.
    ///
    /// ```
    /// let policy = wsweave::ReconnectPolicy::default().seed(7);
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets how many bytes of messages may be under way without being known to have arrived, 1 MiB by
    /// default: what [`Reconnect::on_reconnect`](crate::Reconnect::on_reconnect) may be handed. Beyond it
    /// the sink and the handles wait; a message of any size fits as long as it is not reached, and so does
    /// all that handles have queued by then. Hooks cannot wait: when they have sent 16 MiB beyond all that,
    /// the connection fails with 1011.
    ///
    /// ```
    /// let policy = wsweave::ReconnectPolicy::default().window(64 << 10);
    /// ```
    pub fn window(mut self, bytes: usize) -> Self {
        self.window = bytes.max(1);
        self
    }

    /// Sets how long to wait after a ping that asks what has arrived with the next one, 1 s by default.
    /// There are such pings only while messages are sent, the first one right behind the first message, and
    /// never two at a time; when the [window](Self::window) is half full the next one does not wait. Their
    /// pongs are events for
    /// [`on_pong`](crate::ConnectionExt::on_pong), as those of keepalive are.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let policy = wsweave::ReconnectPolicy::default().ask_interval(Duration::from_millis(100));
    /// ```
    pub fn ask_interval(mut self, interval: Duration) -> Self {
        self.ask_interval = interval;
        self
    }

    pub(super) fn retries(&self, outage: &Outage) -> bool {
        (self.retry)(outage)
    }
}

impl fmt::Debug for ReconnectPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectPolicy")
            .field("backoff", &self.backoff)
            .field("min_uptime", &self.min_uptime)
            .field("max_attempts", &self.max_attempts)
            .field("give_up_after", &self.give_up_after)
            .field("max_retry_after", &self.max_retry_after)
            .field("window", &self.window)
            .field("ask_interval", &self.ask_interval)
            .finish_non_exhaustive()
    }
}

/// An attempt may fail without waiting for anything: what is less keeps a task from others.
const SHORTEST: Duration = Duration::from_millis(1);
