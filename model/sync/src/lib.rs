//! What `src/sync.rs` lets in: the model checker's locks and atomics; and of `atomic-waker` and
//! `event-listener` what the library uses, each call with a point before and behind it at which another
//! thread may get its turn.
//!
//! The calls of these two themselves are the real crates', on the standard library's atomics and locks, so
//! that to the model each happens at once. To find faults in them is those crates' affair.

use std::task::Waker;

use event_listener::{EventListener, IntoNotification};
use shuttle::sync::atomic::Ordering;
pub use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64},
};

#[derive(Debug, Default)]
pub struct AtomicWaker(atomic_waker::AtomicWaker);

impl AtomicWaker {
    pub const fn new() -> Self {
        Self(atomic_waker::AtomicWaker::new())
    }

    pub fn register(&self, waker: &Waker) {
        between_points(|| self.0.register(waker));
    }

    pub fn take(&self) -> Option<Waker> {
        between_points(|| self.0.take())
    }

    pub fn wake(&self) {
        // The waker may be the library's own, with locks that the model checks.
        if let Some(waker) = self.take() {
            waker.wake();
        }
    }
}

#[derive(Debug, Default)]
pub struct Event(event_listener::Event);

impl Event {
    pub const fn new() -> Self {
        Self(event_listener::Event::new())
    }

    pub fn listen(&self) -> EventListener {
        between_points(|| self.0.listen())
    }

    pub fn notify(&self, notify: impl IntoNotification<Tag = ()>) -> usize {
        between_points(|| self.0.notify(notify))
    }
}

fn between_points<T>(call: impl FnOnce() -> T) -> T {
    point();
    let result = call();
    point();
    result
}

fn point() {
    AtomicBool::new(false).load(Ordering::SeqCst);
}
