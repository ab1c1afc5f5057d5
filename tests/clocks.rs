//! Clocks and timeouts as they may be.

mod support;

use std::{
    future::{pending, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, future::poll_fn};
use wsweave::{Config, Connection, Role, Sleep, Timer};

use crate::support::{BOTH, Frame, ManualClock, Rig, Task, Wire};

/// A clock that stands still, whose sleeps end at once.
struct Hasty {
    now: Instant,
    sleeps: AtomicUsize,
}

impl Timer for Hasty {
    fn now(&self) -> Instant {
        self.now
    }

    fn sleep(&self, _: Duration) -> Sleep {
        assert!(self.sleeps.fetch_add(1, Ordering::Relaxed) < 1_000, "an endless poll");
        Box::pin(ready(()))
    }
}

#[test]
fn a_sleep_that_ends_too_early_does_not_keep_the_executor() {
    for role in BOTH {
        let (script, _wire) = Wire::new();
        let hasty = Hasty { now: Instant::now(), sleeps: AtomicUsize::new(0) };
        let mut conn = Connection::from_raw(script, role, Config::default().timer(hasty));
        let task = Task::new();
        assert!(task.next(&mut conn).is_pending());
        assert!(task.wakes() > 0, "it looks at the clock again");
    }
}

#[test]
fn times_beyond_what_a_clock_can_tell_are_never() {
    for role in BOTH {
        let config = Config::default()
            .close_timeout(Duration::MAX)
            .write_timeout(Duration::MAX)
            .keepalive_interval(Some(Duration::MAX))
            .keepalive_timeout(Duration::MAX);
        let mut rig = Rig::with(role, config);
        rig.wire.block_writes();
        rig.feed("stuck");
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(1 << 30);
        assert!(rig.next().is_pending());
        rig.wire.unblock_writes();
        assert!(rig.close().is_pending());
        rig.clock.advance_secs(1 << 30);
        assert!(rig.close().is_pending());
        assert_eq!(rig.sent(), [Frame::text("stuck"), Frame::close(1000, "")]);
    }
}

/// A connection with the clock that `timer` makes of the one that the test moves.
fn timed<T: Timer>(role: Role, timer: impl FnOnce(ManualClock) -> T) -> Rig {
    let (clock, (script, wire)) = (ManualClock::new(), Wire::new());
    let config = Config::default().idle_timeout(Some(Duration::from_secs(60)));
    let conn = Connection::from_raw(script, role, config.timer(timer(clock.clone())));
    Rig { conn, wire, clock, task: Task::new(), role }
}

/// A clock that counts what it is asked.
struct Counting {
    clock: ManualClock,
    looks: Arc<AtomicUsize>,
    polls: Arc<AtomicUsize>,
}

impl Timer for Counting {
    fn now(&self) -> Instant {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut sleep = self.clock.sleep(duration);
        let polls = self.polls.clone();
        Box::pin(poll_fn(move |cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            sleep.poll_unpin(cx)
        }))
    }
}

#[test]
fn a_wake_up_is_one_look_at_the_clock_and_no_poll_of_a_sleep() {
    for role in BOTH {
        let (looks, polls) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let count = || (looks.load(Ordering::Relaxed), polls.load(Ordering::Relaxed));
        let counting = |clock| Counting { clock, looks: looks.clone(), polls: polls.clone() };
        let mut rig = timed(role, counting);
        assert!(rig.next().is_pending());
        let (looked, polled) = count();
        assert!(polled > 0, "the runtime may not know of a sleep before its first poll");
        let other = Task::new();
        for wake_up in 1..=100 {
            rig.clock.advance(Duration::from_millis(100));
            rig.receive([Frame::text("x")]);
            assert!(rig.next().is_ready());
            let task = if wake_up % 2 == 0 { &rig.task } else { &other };
            assert!(task.next(&mut rig.conn).is_pending());
            assert_eq!(count(), (looked + wake_up, polled));
        }
    }
}

#[test]
fn the_clock_wakes_the_task_that_waits_now() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let other = Task::new();
        assert!(rig.next().is_pending());
        for _ in 0..3 {
            assert!(other.next(&mut rig.conn).is_pending());
            let wakes = (rig.task.wakes(), other.wakes());
            rig.clock.advance_secs(20);
            assert_eq!(rig.task.wakes(), wakes.0);
            assert!(other.wakes() > wakes.1);
            assert!(other.until_stalled(|cx| rig.conn.poll_next_unpin(cx)).is_pending());
            let ping = rig.sent().pop().expect("a ping after 20 s");
            rig.receive([Frame::pong(ping.payload)]);
            assert!(rig.next().is_pending());
        }
    }
}

#[test]
fn what_arrives_puts_a_ping_off_by_exactly_the_interval() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.next().is_pending());
        for second in [3, 5] {
            rig.clock.advance_secs(second);
            rig.receive([Frame::text("x")]);
            assert_eq!(rig.settle().len(), 1);
        }
        rig.clock.advance_secs(12);
        assert!(rig.next().is_pending());
        rig.clock.advance(Duration::new(7, 999_999_999));
        let wakes = rig.task.wakes();
        assert!(rig.next().is_pending());
        assert_eq!((rig.sent(), rig.task.wakes()), (vec![], wakes));
        rig.clock.advance(Duration::from_nanos(1));
        assert!(rig.task.wakes() > wakes);
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent().len(), 1);
    }
}

/// A clock whose sleeps are too short by half.
struct Early(ManualClock);

impl Timer for Early {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.sleep(duration / 2)
    }
}

#[test]
fn a_sleep_that_ends_early_while_something_arrives_is_followed_by_another() {
    for role in BOTH {
        let mut rig = timed(role, Early);
        assert!(rig.next().is_pending());
        rig.receive([Frame::text("x")]);
        rig.clock.advance_secs(10);
        assert_eq!(rig.settle().len(), 1);
        for second in 1..=20 {
            assert_eq!(rig.sent(), [], "{second}");
            let wakes = rig.task.wakes();
            rig.clock.advance_secs(1);
            if rig.task.wakes() > wakes {
                assert_eq!(rig.settle(), []);
            }
        }
        assert_eq!(rig.sent().len(), 1);
    }
}

/// A clock whose sleeps never end.
struct Dumb(ManualClock);

impl Timer for Dumb {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(pending())
    }
}

#[test]
fn whoever_polls_learns_what_time_it_is() {
    for role in BOTH {
        let mut rig = timed(role, Dumb);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(5);
        rig.receive([Frame::text("x")]);
        assert_eq!(rig.settle().len(), 1);
        rig.clock.advance_secs(20);
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent().len(), 1);
    }
}

/// A waker of a task that does nothing more.
struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_sleep_that_has_ended_keeps_no_task() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let nobody = Arc::new(Nobody);
        let waker = Waker::from(nobody.clone());
        assert!(rig.conn.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
        rig.receive([Frame::text("x")]);
        assert!(rig.conn.poll_next_unpin(&mut Context::from_waker(&waker)).is_ready());
        drop(waker);
        rig.clock.advance_secs(20);
        assert_eq!(Arc::strong_count(&nobody), 1);
    }
}
