//! Clocks and timeouts as they may be.

mod support;

use std::{
    future::ready,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use wsweave::{Config, Connection, Sleep, Timer};

use crate::support::{BOTH, Frame, Rig, Task, Wire};

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
