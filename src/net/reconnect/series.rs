//! [`Series`]: attempts in a row.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{Outage, ReconnectPolicy, retry_after::retry_after};

/// Counts the attempts in a row, and plans the next one as the policy says.
pub(super) struct Series {
    policy: ReconnectPolicy,
    attempts: u32,
    /// `None` before the first attempt of all.
    began: Option<Instant>,
    backoff: ExponentialBackoff,
    /// `None`: the thread's generator.
    seeded: Option<Box<StdRng>>,
}

/// What follows an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// An attempt then.
    Wait(Instant),
    /// It is not one after which another attempt makes sense.
    Stop,
    /// There were enough attempts.
    GiveUp,
}

impl Series {
    pub(super) fn new(policy: ReconnectPolicy) -> Self {
        let backoff = backoff(&policy);
        let seeded = policy.seed.map(|seed| Box::new(StdRng::seed_from_u64(seed)));
        Self { policy, attempts: 0, began: None, backoff, seeded }
    }

    /// An attempt begins: returns its number, and how much time it has.
    pub(super) fn attempt(&mut self, now: Instant) -> (u32, Option<Duration>) {
        self.attempts = self.attempts.saturating_add(1);
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        (self.attempts, self.policy.give_up_after.map(|limit| limit.saturating_sub(passed)))
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// A connection has ended that lasted so long.
    pub(super) fn lasted(&mut self, uptime: Duration, now: Instant) {
        if uptime >= self.policy.min_uptime {
            self.attempts = 0;
            self.began = Some(now);
            self.backoff = backoff(&self.policy);
        }
    }

    /// Whether and when there is another attempt.
    pub(super) fn plan(&mut self, outage: &Outage, now: Instant) -> Plan {
        if !self.policy.retries(outage) {
            return Plan::Stop;
        }
        self.next_attempt(outage, now).map_or(Plan::GiveUp, Plan::Wait)
    }

    fn next_attempt(&mut self, outage: &Outage, now: Instant) -> Option<Instant> {
        if self.policy.max_attempts.is_some_and(|max| self.attempts >= max) {
            return None;
        }
        let backoff = self.backoff.next().unwrap_or(self.policy.backoff.1);
        let asked = match outage {
            Outage::Failed(error) => error.response().and_then(retry_after),
            Outage::NoClient(_) | Outage::Ended(_) => None,
        };
        let asked = asked.unwrap_or_default().min(self.policy.max_retry_after);
        let until = now.checked_add(asked.saturating_add(self.jitter(backoff)))?;
        let began = *self.began.get_or_insert(now);
        let limit = self.policy.give_up_after.and_then(|limit| began.checked_add(limit));
        limit.is_none_or(|limit| until < limit).then_some(until)
    }

    /// A random part of a time: `backon`'s own jitter would come on top of it.
    fn jitter(&mut self, time: Duration) -> Duration {
        let range = Duration::ZERO..=time;
        match &mut self.seeded {
            Some(rng) => rng.random_range(range),
            None => rand::random_range(range),
        }
    }
}

fn backoff(policy: &ReconnectPolicy) -> ExponentialBackoff {
    let (first, max) = policy.backoff;
    ExponentialBuilder::new().with_min_delay(first).with_max_delay(max).without_max_times().build()
}
