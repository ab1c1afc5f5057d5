//! A clock that stands still until the test moves it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use wsweave::{Sleep, Timer};

/// A [`Timer`] that only [`advance`](Self::advance) moves.
#[derive(Clone, Debug)]
pub(crate) struct ManualClock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    now: Instant,
    sleepers: Vec<(Instant, Waker)>,
}

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { now: Instant::now(), sleepers: Vec::new() })))
    }

    /// Moves the clock and wakes whoever's time has come.
    pub(crate) fn advance(&self, duration: Duration) {
        let due = {
            let mut state = self.0.lock().unwrap();
            state.now += duration;
            let now = state.now;
            let (due, later) = state.sleepers.drain(..).partition(|(at, _)| *at <= now);
            state.sleepers = later;
            due
        };
        for (_, waker) in due {
            waker.wake();
        }
    }

    pub(crate) fn advance_secs(&self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }
}

impl Timer for ManualClock {
    fn now(&self) -> Instant {
        self.0.lock().unwrap().now
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let due = self.now() + duration;
        Box::pin(ManualSleep { due, clock: self.clone() })
    }
}

struct ManualSleep {
    due: Instant,
    clock: ManualClock,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.0.lock().unwrap();
        if state.now >= self.due {
            return Poll::Ready(());
        }
        let due = self.due;
        let known = |(at, waker): &(Instant, Waker)| *at == due && waker.will_wake(cx.waker());
        if !state.sleepers.iter().any(known) {
            state.sleepers.push((due, cx.waker().clone()));
        }
        Poll::Pending
    }
}
