//! [`Drain`]: the end of a group.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
    vec,
};

use super::group::Shared;
use crate::{
    close::{CloseCode, CloseFrame},
    config::{Sleep, Timer},
    connection::Outbox,
    rt,
};

/// The future of [`Group::drain`](crate::Group::drain): closes the members' connections, one after the
/// other; gives how many that were.
#[must_use = "futures do nothing unless polled"]
pub struct Drain {
    group: Arc<Shared>,
    window: Duration,
    state: Option<Draining>,
}

struct Draining {
    left: vec::IntoIter<Arc<Outbox>>,
    turn: u32,
    interval: Duration,
    closed: usize,
    clock: Option<(Arc<dyn Timer>, Instant)>,
    sleep: Option<Sleep>,
}

impl Drain {
    pub(super) fn new(group: Arc<Shared>, window: Duration) -> Self {
        Self { group, window, state: None }
    }
}

impl Future for Drain {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let Self { group, window, state } = self.get_mut();
        let draining = state.get_or_insert_with(|| Draining::new(group, *window));
        while draining.left.len() > 0 {
            ready!(draining.poll_due(cx));
            draining.close_next();
        }
        Poll::Ready(draining.closed)
    }
}

impl Draining {
    fn new(group: &Shared, window: Duration) -> Self {
        let left = group.close();
        let all = u32::try_from(left.len()).unwrap_or(u32::MAX).max(1);
        let clock = rt::timer(&group.config.clock).map(|timer| {
            let now = timer.now();
            (timer, now)
        });
        let interval = window / all;
        Self { left: left.into_iter(), turn: 0, interval, closed: 0, clock, sleep: None }
    }

    /// Waits until it is time for the next one.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((timer, began)) = &self.clock else { return Poll::Ready(()) };
        loop {
            let due = self.interval.saturating_mul(self.turn);
            let wait = due.saturating_sub(timer.now().saturating_duration_since(*began));
            if wait.is_zero() {
                self.sleep = None;
                return Poll::Ready(());
            }
            let sleep = self.sleep.get_or_insert_with(|| timer.sleep(wait));
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
    }

    fn close_next(&mut self) {
        self.turn = self.turn.saturating_add(1);
        let reason = "the server is going away".into();
        let close = CloseFrame { code: CloseCode::GOING_AWAY, reason };
        if self.left.next().is_some_and(|outbox| outbox.close_soon(close)) {
            self.closed += 1;
        }
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("window", &self.window).finish_non_exhaustive()
    }
}
