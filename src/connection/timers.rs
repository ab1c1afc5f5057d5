//! [`Timers`]: the timeouts of a connection and its keepalive, on one sleep.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use super::alarm::Alarm;
use crate::config::{Config, Timer};

/// What a connection that waits, waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    /// The end is under way.
    pub(super) closing: bool,
    pub(super) write_blocked: bool,
    /// Everything that has arrived is read, more would be, and all that is queued is written: only
    /// now silence is the peer's.
    pub(super) listening: bool,
    /// When to ask the peer what has arrived.
    pub(super) asks_at: Option<Instant>,
}

/// A time that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// The closing handshake took too long.
    Closing,
    /// A write made no progress for too long.
    Write,
    /// The peer has been silent: send it this ping.
    Keepalive([u8; 8]),
    /// The peer did not answer the ping.
    Silence,
    /// No message has come or gone for too long.
    Idle,
    /// It is time to ask the peer what has arrived.
    Asking,
}

pub(super) struct Timers {
    timer: Option<Arc<dyn Timer>>,
    /// Kept while it is not too late, so that traffic costs nothing.
    alarm: Option<Alarm>,
    closing_since: Option<Instant>,
    stalled_since: Option<Instant>,
    /// `None` while not counting.
    keepalive: Option<Keepalive>,
    /// Something has arrived since the peer was last judged.
    heard: bool,
    /// Since when no message has come or gone; `None` while not counting.
    idle_since: Option<Instant>,
    pings: u64,
    /// When the last of the pings was sent, until its pong is there: other things may come before that.
    pinged: Option<Instant>,
    latency: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
enum Keepalive {
    /// The peer has been silent since then.
    Quiet { since: Instant },
    /// The peer was sent a ping then.
    Asked { since: Instant },
}

impl Timers {
    pub(super) fn new(timer: Option<Arc<dyn Timer>>) -> Self {
        Self {
            timer,
            alarm: None,
            closing_since: None,
            stalled_since: None,
            keepalive: None,
            heard: false,
            idle_since: None,
            pings: 0,
            pinged: None,
            latency: None,
        }
    }

    /// Something arrived.
    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// A message, or a part of one, has come or gone.
    pub(super) fn stirred(&mut self) {
        self.idle_since = None;
    }

    /// A write made progress.
    pub(super) fn wrote(&mut self) {
        self.stalled_since = None;
    }

    /// The connection's clock.
    pub(super) fn timer(&self) -> Option<&Arc<dyn Timer>> {
        self.timer.as_ref()
    }

    /// The time between the last keepalive ping that was answered and its pong.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.latency
    }

    /// A pong arrived; perhaps it answers the keepalive ping.
    pub(super) fn pong(&mut self, payload: &[u8]) {
        if let (Some(pinged), Some(timer)) = (self.pinged, &self.timer) {
            if *payload == self.pings.to_be_bytes() {
                self.latency = Some(timer.now().saturating_duration_since(pinged));
                self.pinged = None;
            }
        }
    }

    /// Uses `timer` where the configuration gave none: for a task that nobody watches.
    pub(super) fn insist(&mut self, timer: impl FnOnce() -> Arc<dyn Timer>) {
        self.timer.get_or_insert_with(timer);
    }

    /// Waits for the next time that means something. Without a timer there is none.
    #[inline]
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        config: &Config,
        situation: Situation,
    ) -> Poll<Expired> {
        let Some(timer) = &self.timer else { return Poll::Pending };
        let now = timer.now();
        if situation.listening && situation.asks_at.is_none() && self.is_put_off(cx.waker(), now) {
            return Poll::Pending;
        }
        self.poll_from(now, cx, config, situation)
    }

    fn poll_from(
        &mut self,
        mut now: Instant,
        cx: &mut Context<'_>,
        config: &Config,
        situation: Situation,
    ) -> Poll<Expired> {
        for _ in 0..2 {
            let next = match self.judge(now, config, situation) {
                Ok(Some(next)) => next,
                Ok(None) => return Poll::Pending,
                Err(expired) => return Poll::Ready(expired),
            };
            if let Poll::Ready(later) = self.poll_alarm(cx, now, next) {
                now = later;
            } else {
                return Poll::Pending;
            }
        }
        // A sleep that was kept may end early, but one that was just made should not: a timer that
        // does not keep time must not keep the task.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// While the connection only listens, what happens puts off all that may expire: then the alarm
    /// comes early enough, and there is nothing to judge.
    #[inline]
    fn is_put_off(&mut self, waker: &Waker, now: Instant) -> bool {
        let Some(alarm) = &self.alarm else { return false };
        let Some(Keepalive::Quiet { since }) = &mut self.keepalive else { return false };
        if alarm.at <= now || !alarm.will_wake(waker) {
            return false;
        }
        if mem::take(&mut self.heard) {
            *since = now;
        }
        self.idle_since.get_or_insert(now);
        true
    }

    /// Sleeps until `next`, or less; returns what the time is then.
    fn poll_alarm(&mut self, cx: &mut Context<'_>, now: Instant, next: Instant) -> Poll<Instant> {
        let Some(timer) = &self.timer else { return Poll::Pending };
        let alarm = match &mut self.alarm {
            Some(alarm) if alarm.at <= next => alarm,
            alarm => {
                let sleep = timer.sleep(next.saturating_duration_since(now));
                alarm.insert(Alarm::new(next, sleep))
            }
        };
        ready!(alarm.poll(cx));
        self.alarm = None;
        Poll::Ready(timer.now())
    }

    /// What has expired, or when that may be.
    fn judge(
        &mut self,
        now: Instant,
        config: &Config,
        situation: Situation,
    ) -> Result<Option<Instant>, Expired> {
        let mut closing = None;
        if situation.closing {
            let since = *self.closing_since.get_or_insert(now);
            closing = since.checked_add(config.close_timeout);
        }
        let mut write = None;
        if situation.write_blocked {
            let since = *self.stalled_since.get_or_insert(now);
            write = since.checked_add(config.write_timeout);
        } else {
            self.stalled_since = None;
        }
        let asking = situation.asks_at;
        for (deadline, expired) in
            [(closing, Expired::Closing), (write, Expired::Write), (asking, Expired::Asking)]
        {
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(expired);
            }
        }
        let keepalive = self.judge_peer(now, config, situation.listening)?;
        let idle = self.judge_idleness(now, config, situation.listening)?;
        Ok([closing, write, asking, keepalive, idle].into_iter().flatten().min())
    }

    /// Keepalive: only time in which the connection was listening counts.
    fn judge_peer(
        &mut self,
        now: Instant,
        config: &Config,
        listening: bool,
    ) -> Result<Option<Instant>, Expired> {
        let interval = config.keepalive_interval.filter(|interval| !interval.is_zero());
        let Some(interval) = interval else { return Ok(None) };
        if !listening {
            self.keepalive = None;
            return Ok(None);
        }
        let quiet = Keepalive::Quiet { since: now };
        let heard = mem::take(&mut self.heard);
        let keepalive = match self.keepalive {
            Some(keepalive) if !heard => keepalive,
            _ => *self.keepalive.insert(quiet),
        };
        let (deadline, expired) = match keepalive {
            Keepalive::Asked { since } => {
                (since.checked_add(config.keepalive_timeout), Expired::Silence)
            }
            Keepalive::Quiet { since } => {
                let ping = (self.pings + 1).to_be_bytes();
                (since.checked_add(interval), Expired::Keepalive(ping))
            }
        };
        if deadline.is_none_or(|deadline| now < deadline) {
            return Ok(deadline);
        }
        if let Expired::Keepalive(_) = expired {
            self.keepalive = Some(Keepalive::Asked { since: now });
            self.pings += 1;
            self.pinged = Some(now);
        }
        Err(expired)
    }

    /// Only time in which nothing is on its way, not even to a reader, is idle.
    fn judge_idleness(
        &mut self,
        now: Instant,
        config: &Config,
        listening: bool,
    ) -> Result<Option<Instant>, Expired> {
        let timeout = config.idle_timeout.filter(|timeout| !timeout.is_zero());
        let Some(timeout) = timeout else { return Ok(None) };
        if !listening {
            self.idle_since = None;
            return Ok(None);
        }
        let deadline = self.idle_since.get_or_insert(now).checked_add(timeout);
        if deadline.is_some_and(|deadline| deadline <= now) {
            Err(Expired::Idle)
        } else {
            Ok(deadline)
        }
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("keepalive", &self.keepalive)
            .field("latency", &self.latency)
            .finish_non_exhaustive()
    }
}
