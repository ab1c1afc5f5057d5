//! A clock on a thread of its own, which rings while one task takes a connection over from another.

mod support;

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures::StreamExt;
use shuttle::{
    future::block_on,
    sync::{Condvar, Mutex},
    thread,
};
use wsweave::{Config, ConnectionExt, Sleep, Timer};

use self::support::{check, pair};

/// A clock that goes on when somebody sleeps. A sleep keeps one waker.
#[derive(Clone)]
struct Clock(Arc<(Mutex<State>, Condvar)>);

struct State {
    now: Instant,
    sleeper: Option<(Instant, Waker)>,
    stopped: bool,
}

impl Clock {
    fn new() -> Self {
        let state = State { now: Instant::now(), sleeper: None, stopped: false };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn run(&self) {
        loop {
            let waiting = |state: &mut State| state.sleeper.is_none() && !state.stopped;
            let mut state = self.0.1.wait_while(self.0.0.lock().unwrap(), waiting).unwrap();
            let Some((until, waker)) = state.sleeper.take() else { return };
            state.now = state.now.max(until);
            drop(state);
            waker.wake();
        }
    }
}

impl Timer for Clock {
    fn now(&self) -> Instant {
        self.0.0.lock().unwrap().now
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let (clock, until) = (self.clone(), self.now() + duration);
        Box::pin(poll_fn(move |cx| {
            if clock.now() >= until {
                return Poll::Ready(());
            }
            clock.change(|state| state.sleeper = Some((until, cx.waker().clone())));
            Poll::Pending
        }))
    }
}

#[test]
fn the_clock_wakes_whoever_has_taken_a_connection_over() {
    check(1000, || {
        let clock = Clock::new();
        let (mut conn, _peer) = pair(64, Config::default().timer(clock.clone()));
        let ticking = thread::spawn({
            let clock = clock.clone();
            move || clock.run()
        });
        let first = thread::spawn(move || {
            let once = |cx: &mut Context<'_>| Poll::Ready(conn.poll_next_unpin(cx));
            assert_eq!(block_on(poll_fn(once)), Poll::Pending);
            conn
        });
        let mut conn = first.join().unwrap();
        let second = thread::spawn(move || {
            assert_eq!(block_on(conn.next()), None);
            conn
        });
        let conn = second.join().unwrap();
        assert_eq!(
            conn.finish().unwrap().error.as_ref().unwrap().to_string(),
            "no answer to keepalive"
        );
        clock.change(|state| state.stopped = true);
        ticking.join().unwrap();
    });
}
