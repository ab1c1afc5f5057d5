//! [`Wakers`]: two halves in two tasks over a transport that keeps one waker.

use std::{
    mem,
    sync::{Arc, PoisonError},
    task::{Wake, Waker},
};

use crate::sync::{Mutex, MutexGuard};

/// Which half of the connection is polled: after a `split` each may live in a task of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
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
    /// Which of them are in `shared`.
    in_shared: [bool; 2],
    /// The stream half waited, was woken, and has not polled since.
    called: bool,
}

#[derive(Debug, Default)]
struct Shared([Mutex<Option<Waker>>; 2]);

impl Wakers {
    /// The waker to give to the transport instead of the polling task's own, if it has to be another.
    #[inline]
    pub(super) fn for_transport(&mut self, half: Half, own: &Waker) -> Option<Waker> {
        if half == Half::Stream {
            self.called = false;
        }
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
        self.in_shared = [true; 2];
        Some(waker.clone())
    }

    /// A half is about to wait.
    #[inline]
    pub(super) fn wait(&mut self, half: Half, waker: &Waker) {
        match &mut self.waiting[half as usize] {
            Some(waiting) => waiting.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// A half waits no more.
    #[inline]
    pub(super) fn ready(&mut self, half: Half) {
        drop(self.take(half));
    }

    /// Wakes the other half if it waits.
    pub(super) fn wake_other(&mut self, half: Half) {
        self.wake(half.other());
    }

    /// Tells whether neither half waits, nor is about to poll because it was woken.
    #[inline]
    pub(super) fn nobody_waits(&self) -> bool {
        !self.called && self.waiting.iter().all(Option::is_none)
    }

    /// Tells, once, whether the stream half is about to poll because it was woken.
    pub(super) fn take_call(&mut self) -> bool {
        mem::take(&mut self.called)
    }

    /// Wakes whoever waits.
    pub(super) fn wake_all(&mut self) {
        self.wake(Half::Stream);
        self.wake(Half::Sink);
    }

    fn wake(&mut self, half: Half) {
        if let Some(waker) = self.take(half) {
            self.called |= half == Half::Stream;
            waker.wake();
        }
    }

    #[inline]
    fn take(&mut self, half: Half) -> Option<Waker> {
        let in_shared = mem::take(&mut self.in_shared[half as usize]);
        if let (true, Some((shared, _))) = (in_shared, &self.shared) {
            shared.replace(half, None);
        }
        self.waiting[half as usize].take()
    }
}

// Wakers are cloned, woken and dropped outside of the locks: they run the code of an executor.
impl Shared {
    fn set(&self, half: Half, waker: &Waker) {
        if !self.slot(half).as_ref().is_some_and(|old| old.will_wake(waker)) {
            self.replace(half, Some(waker.clone()));
        }
    }

    fn replace(&self, half: Half, waker: Option<Waker>) {
        let old = mem::replace(&mut *self.slot(half), waker);
        drop(old);
    }

    fn slot(&self, half: Half) -> MutexGuard<'_, Option<Waker>> {
        self.0[half as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Taken, not cloned: whoever is woken polls, and registers anew.
        let wakers = [Half::Stream, Half::Sink].map(|half| self.slot(half).take());
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}
