//! [`Wakers`]: two halves in two tasks over a transport that keeps one waker.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Wake, Waker},
};

/// Which half of the connection is polled: after a `split` each may live in a task of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Stream,
    Sink,
}

impl Half {
    fn other(self) -> Self {
        match self {
            Self::Stream => Self::Sink,
            Self::Sink => Self::Stream,
        }
    }
}

/// The wakers of the halves that wait.
///
/// While only one task waits, the transport gets its own waker. When both halves wait, in different
/// tasks, the transport gets a shared one that wakes both: two wakers that replace each other would
/// be lost, or make the tasks wake each other without end.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    waiting: [Option<Waker>; 2],
    shared: Option<(Arc<Shared>, Waker)>,
}

#[derive(Debug, Default)]
struct Shared([Mutex<Option<Waker>>; 2]);

impl Wakers {
    /// The waker to give to the transport instead of the polling task's own, if it has to be another.
    pub(super) fn for_transport(&mut self, half: Half, own: &Waker) -> Option<Waker> {
        let other = self.waiting[half.other() as usize].as_ref()?;
        if other.will_wake(own) {
            return None;
        }
        let (shared, waker) = self.shared.get_or_insert_with(|| {
            let shared = Arc::<Shared>::default();
            let waker = Waker::from(Arc::clone(&shared));
            (shared, waker)
        });
        shared.set(half.other(), other);
        shared.set(half, own);
        Some(waker.clone())
    }

    /// A half is about to wait.
    pub(super) fn wait(&mut self, half: Half, waker: &Waker) {
        match &mut self.waiting[half as usize] {
            Some(waiting) => waiting.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// A half waits no more.
    pub(super) fn ready(&mut self, half: Half) {
        drop(self.take(half));
    }

    /// Wakes the other half if it waits.
    pub(super) fn wake_other(&mut self, half: Half) {
        if let Some(waker) = self.take(half.other()) {
            waker.wake();
        }
    }

    fn take(&mut self, half: Half) -> Option<Waker> {
        let waker = self.waiting[half as usize].take()?;
        if let Some((shared, _)) = &self.shared {
            shared.clear(half);
        }
        Some(waker)
    }
}

impl Shared {
    fn set(&self, half: Half, waker: &Waker) {
        let mut slot = self.0[half as usize].lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *slot {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn clear(&self, half: Half) {
        let cleared = self.0[half as usize].lock().unwrap_or_else(PoisonError::into_inner).take();
        // Dropped here, after the lock: a waker may run the code of an executor.
        drop(cleared);
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        for slot in &self.0 {
            let waker = slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
