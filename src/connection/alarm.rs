//! [`Alarm`]: a sleep that is polled when it has something to say.

use std::{
    mem, ptr,
    sync::{Arc, PoisonError, atomic::Ordering},
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use crate::{
    config::Sleep,
    sync::{AtomicBool, Mutex},
};

/// A sleep with a bell of its own. Until that rings the sleep is not polled, whatever else wakes the task,
/// and whichever task it is: runtimes put wakers in order and ask the clock for each such poll.
pub(super) struct Alarm {
    /// When the sleep completes.
    pub(super) at: Instant,
    sleep: Sleep,
    bell: Arc<Bell>,
    /// Whose waker the bell was given.
    task: Option<Identity>,
}

/// What tells wakers apart. To keep a waker for that would keep its task, which may own this, alive for
/// longer than until it rings.
type Identity = (usize, usize);

/// The waker that the sleep gets.
struct Bell {
    /// The sleep has to be polled.
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Alarm {
    pub(super) fn new(at: Instant, sleep: Sleep) -> Self {
        // Rung, so that the sleep gets its first poll.
        let bell = Bell { rung: AtomicBool::new(true), task: Mutex::new(None) };
        Self { at, sleep, bell: Arc::new(bell), task: None }
    }

    /// Tells whether it has not rung, and will wake `waker` when it does.
    #[inline]
    pub(super) fn will_wake(&self, waker: &Waker) -> bool {
        // A bell that has not rung still has the waker, so that no other one can look like it.
        !self.bell.rung.load(Ordering::Acquire) && self.task == Some(identity(waker))
    }

    /// Waits for the sleep to complete, be it early.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let task = cx.waker().clone();
        self.task = Some(identity(&task));
        if !self.bell.wakes(task) {
            return Poll::Pending;
        }
        let bell = Waker::from(Arc::clone(&self.bell));
        self.sleep.as_mut().poll(&mut Context::from_waker(&bell))
    }
}

fn identity(waker: &Waker) -> Identity {
    (waker.data().addr(), ptr::from_ref(waker.vtable()).addr())
}

impl Bell {
    /// Has `waker` woken when it rings; tells whether it has rung before.
    fn wakes(&self, waker: Waker) -> bool {
        self.exchange(Some(waker), false).0
    }

    // Wakers are cloned, woken and dropped outside of the lock: they run the code of an executor.
    fn exchange(&self, waker: Option<Waker>, rung: bool) -> (bool, Option<Waker>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        (self.rung.swap(rung, Ordering::AcqRel), mem::replace(&mut *task, waker))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let (_, Some(task)) = self.exchange(None, true) {
            task.wake();
        }
    }
}
