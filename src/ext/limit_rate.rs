//! [`LimitRate`]: no more messages in a time than a [`RateLimit`] says.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::{
    config::Sleep,
    error::{Error, ErrorKind},
    ext::{Duplex, Event, delegate::poll_message, sealed::Sealed},
    message::Message,
};

pin_project! {
    /// A connection that gives no more messages in a time than a [`RateLimit`] says: see
    /// [`ConnectionExt::limit_rate`](crate::ConnectionExt::limit_rate).
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, LimitRate, Pipe, RateLimit};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: LimitRate<Connection<Pipe>> = conn.limit_rate(RateLimit::new().messages(10)?);
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct LimitRate<C> {
        #[pin]
        inner: C,
        limit: RateLimit,
        account: Account,
        // The message that is over the limit.
        held: Option<Message>,
        // Until that may pass.
        sleep: Option<Sleep>,
        // It went over the limit, or there is no clock: what still comes is dropped.
        failed: bool,
    }
}

/// How many messages, and how many bytes of them, may come in a time, for
/// [`limit_rate`](crate::ConnectionExt::limit_rate).
///
/// Each of the two has a rate, or none. What was not used in the last [`burst`](Self::burst), 1 s by
/// default, may come at once; more than that is not saved up. A message that is larger than a burst passes
/// once all that came before it is paid for, and those behind it wait until it is, too. Prices are whole
/// nanoseconds, rounded down: a rate beyond 1,000,000,000 a second limits nothing.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wsweave::RateLimit;
///
/// // 20 messages at once, or 10 a second, and 64 KiB a second:
/// let limit = RateLimit::new().messages(10)?.bytes(65_536)?.burst(Duration::from_secs(2));
/// // One every 2 seconds, or else the connection is closed:
/// let strict = RateLimit::new().messages(0.5)?.or_close();
/// assert!(RateLimit::new().messages(0).is_err());
/// # Ok::<_, wsweave::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RateLimit {
    messages: Option<f64>,
    bytes: Option<f64>,
    burst: Duration,
    excess: Excess,
}

/// What was paid for messages, and for their bytes.
type Account = [Bucket; 2];

/// What becomes of what is over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Excess {
    Waits,
    Closes,
}

impl RateLimit {
    /// No limit yet.
    ///
    /// ```
    /// let limit = wsweave::RateLimit::new().messages(100)?;
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn new() -> Self {
        let burst = Duration::from_secs(1);
        Self { messages: None, bytes: None, burst, excess: Excess::Waits }
    }

    /// Limits how many messages may come each second, be it a fraction of one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if that is not a number above 0.
    ///
    /// ```
    /// let limit = wsweave::RateLimit::new().messages(0.1)?;
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn messages(mut self, per_second: impl Into<f64>) -> Result<Self, Error> {
        self.messages = Some(checked(per_second.into())?);
        Ok(self)
    }

    /// Limits how many bytes of messages may come each second: their payload as it is delivered, inflated
    /// if it was compressed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if that is not a number above 0.
    ///
    /// ```
    /// let limit = wsweave::RateLimit::new().bytes(1_000_000)?;
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn bytes(mut self, per_second: impl Into<f64>) -> Result<Self, Error> {
        self.bytes = Some(checked(per_second.into())?);
        Ok(self)
    }

    /// Sets how much may come at once after a silence: as much as the rates allow in this time, but a
    /// message at least. 1 s.
    ///
    /// ```
    /// # use std::time::Duration;
    /// // As many as 30 at once.
    /// let limit = wsweave::RateLimit::new().messages(10)?.burst(Duration::from_secs(3));
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn burst(mut self, burst: Duration) -> Self {
        self.burst = burst;
        self
    }

    /// Fails a connection that goes over the limit, with close code 1008, instead of letting it wait.
    ///
    /// ```
    /// let limit = wsweave::RateLimit::new().messages(10)?.or_close();
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn or_close(mut self) -> Self {
        self.excess = Excess::Closes;
        self
    }
}

impl RateLimit {
    /// What a message and its bytes cost, in whole nanoseconds: rounded down, so that a burst has room for
    /// all that it should.
    fn prices(&self, message: &Message) -> [Duration; 2] {
        // Messages are far smaller than 2^52 bytes, no price is negative, and what is too much is as good
        // as the most that there is.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "see above"
        )]
        let price = |amount: usize, rate: f64| (amount as f64 * 1e9 / rate) as u64;
        [(1, self.messages), (message.len(), self.bytes)].map(|(amount, rate)| {
            let nanos = rate.map_or(0, |rate| price(amount, rate));
            Duration::from_nanos(nanos).min(FOREVER)
        })
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new()
    }
}

fn checked(per_second: f64) -> Result<f64, Error> {
    if per_second.is_finite() && per_second > 0.0 {
        return Ok(per_second);
    }
    Err(Error::invalid_input(format!("a rate of {per_second} a second is no limit")))
}

impl<C> LimitRate<C> {
    pub(super) fn new(inner: C, limit: RateLimit) -> Self {
        let account = [Bucket::default(); 2];
        Self { inner, limit, account, held: None, sleep: None, failed: false }
    }
}

impl<C: Duplex> LimitRate<C> {
    /// Waits until the message that is held may pass. Meanwhile the connection is driven as far as that
    /// goes without another message.
    fn poll_wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let slept = this.sleep.as_mut().is_none_or(|sleep| sleep.as_mut().poll(cx).is_ready());
        // From when it closes on, its timeout is what bounds it.
        let passes = slept
            || this.inner.as_mut().poll_drive(cx).is_ready()
            || !this.inner.as_mut().peer().is_open();
        if passes { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Lets a message pass, or holds it, or fails the connection.
    fn judge(self: Pin<&mut Self>, message: Message) -> Option<Message> {
        let mut this = self.project();
        if !this.inner.as_mut().peer().is_open() {
            return Some(message);
        }
        let Some(timer) = this.inner.facts().timer else {
            let what = "a rate limit needs a clock, and the connection has none";
            *this.failed = true;
            this.inner.peer().fail(Error::new(ErrorKind::Unsupported, what));
            return None;
        };
        let (prices, now) = (this.limit.prices(&message), timer.now());
        let wait = this
            .account
            .iter()
            .zip(prices)
            .map(|(bucket, price)| bucket.wait(price, this.limit.burst, now));
        let wait = wait.max().unwrap_or_default();
        if wait.is_zero() {
            charge(this.account, prices, now);
            return Some(message);
        }
        if this.limit.excess == Excess::Waits {
            *this.held = Some(message);
            *this.sleep = Some(timer.sleep(wait));
        } else {
            let what = "more messages came than the rate limit allows";
            *this.failed = true;
            this.inner.peer().forbid(Error::new(ErrorKind::LimitExceeded, what));
        }
        None
    }

    /// Lets the message pass that was held.
    fn release(self: Pin<&mut Self>) -> Option<Message> {
        let this = self.project();
        *this.sleep = None;
        let message = this.held.take()?;
        if let Some(timer) = this.inner.facts().timer {
            charge(this.account, this.limit.prices(&message), timer.now());
        }
        Some(message)
    }
}

impl<C: Duplex> Stream for LimitRate<C> {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        poll_message(self, cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::from(self.held.is_some());
        let (lower, upper) = self.inner.size_hint();
        (lower.saturating_add(held), upper.and_then(|upper| upper.checked_add(held)))
    }
}

impl<C: Duplex> FusedStream for LimitRate<C> {
    delegate_fused_stream!(inner);
}

impl<C: Sink<Message>> Sink<Message> for LimitRate<C> {
    delegate_sink!(inner);
}

impl<C> Sealed for LimitRate<C> {}

impl<C: Duplex> Duplex for LimitRate<C> {
    delegate_duplex!(inner);
    delegate_peer!(inner);

    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            if self.held.is_some() {
                ready!(self.as_mut().poll_wait(cx));
                return Poll::Ready(self.release().map(Event::Message));
            }
            let event = ready!(self.as_mut().project().inner.poll_event(cx));
            let Some(Event::Message(message)) = event else { return Poll::Ready(event) };
            if self.failed {
                continue;
            }
            if let Some(message) = self.as_mut().judge(message) {
                return Poll::Ready(Some(Event::Message(message)));
            }
        }
    }
}

impl<C: fmt::Debug> fmt::Debug for LimitRate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitRate")
            .field("inner", &self.inner)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// What has come, by the generic cell rate algorithm: everything has a price in time, and one moment says
/// when all of it is paid.
///
/// This is all there is to it. The crate for it, governor, is well kept and takes any clock, but shares its
/// state among threads, counts whole messages and bytes by `u32`, and never lets pass what is larger than
/// a burst, and it brings fifteen others.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    paid_at: Option<Instant>,
}

impl Bucket {
    /// How long something has to wait. A debt of `burst` may be made; what costs more than that waits until
    /// there is none.
    fn wait(self, price: Duration, burst: Duration, now: Instant) -> Duration {
        self.debt(now).saturating_sub(burst.saturating_sub(price))
    }

    fn charge(&mut self, price: Duration, now: Instant) {
        let debt = self.debt(now).saturating_add(price).min(FOREVER);
        self.paid_at = now.checked_add(debt);
    }

    fn debt(self, now: Instant) -> Duration {
        self.paid_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

/// Makes both pay.
fn charge(account: &mut Account, prices: [Duration; 2], now: Instant) {
    for (bucket, price) in account.iter_mut().zip(prices) {
        bucket.charge(price, now);
    }
}

/// A hundred years: there are clocks that cannot tell much later times.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
