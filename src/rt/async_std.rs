//! async-std.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use ::async_std::task;

use super::Task;
use crate::config::{Sleep, Timer};

/// One for all connections.
pub(super) fn timer() -> Arc<dyn Timer> {
    static TIMER: OnceLock<Arc<dyn Timer>> = OnceLock::new();
    Arc::clone(TIMER.get_or_init(|| Arc::new(AsyncStdTimer)))
}

pub(super) fn spawn(task: Task) {
    task::spawn(task);
}

struct AsyncStdTimer;

impl Timer for AsyncStdTimer {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(task::sleep(duration))
    }
}
