//! [`Pending`]: the calls in flight.

use std::{
    collections::HashMap,
    future::poll_fn,
    hash::Hash,
    mem,
    sync::{Arc, PoisonError},
    task::{Context, Poll},
};

use event_listener::IntoNotification;

use crate::{
    close::Finish,
    sync::{AtomicWaker, Event, Mutex, MutexGuard},
};

/// The calls in flight on one connection, shared by it and its callers.
///
/// Of the user's code only an id's `Hash` and `Eq` run under the lock: answers, ids and wakers go out of
/// it before they are dropped or woken.
#[derive(Debug)]
pub(super) struct Pending<Id, In> {
    state: Mutex<State<Id, In>>,
    room: Event,
}

#[derive(Debug)]
struct State<Id, In> {
    max_in_flight: usize,
    stage: Stage<Id, In>,
}

#[derive(Debug)]
enum Stage<Id, In> {
    Running(HashMap<Id, Arc<Slot<In>>>),
    Ended(Finish),
}

/// Where one call finds what became of it. It is filled once, by who takes it out of the map.
#[derive(Debug)]
struct Slot<In> {
    outcome: Mutex<Option<Outcome<In>>>,
    waker: AtomicWaker,
}

#[derive(Debug)]
pub(super) enum Outcome<In> {
    Answer(In),
    Ended(Finish),
}

/// Why a call does not begin.
#[derive(Debug)]
pub(super) enum Refused {
    InFlight,
    Ended(Finish),
}

impl<Id: Clone + Eq + Hash, In> Pending<Id, In> {
    pub(super) fn new(max_in_flight: usize) -> Self {
        let stage = Stage::Running(HashMap::new());
        Self { state: Mutex::new(State { max_in_flight, stage }), room: Event::new() }
    }

    pub(super) fn set_max_in_flight(&self, max_in_flight: usize) {
        self.lock().max_in_flight = max_in_flight;
        self.room.notify(usize::MAX);
    }

    /// Begins a call, when there is room.
    pub(super) async fn begin(&self, id: Id) -> Result<Call<'_, Id, In>, Refused> {
        loop {
            if let Some(begun) = self.try_begin(&id) {
                return begun;
            }
            let listener = self.room.listen();
            // Room may have come before the listener.
            if let Some(begun) = self.try_begin(&id) {
                return begun;
            }
            listener.await;
        }
    }

    /// Begins a call; `None` if there is no room.
    fn try_begin(&self, id: &Id) -> Option<Result<Call<'_, Id, In>, Refused>> {
        let mut state = self.lock();
        let max_in_flight = state.max_in_flight;
        let calls = match &mut state.stage {
            Stage::Running(calls) => calls,
            Stage::Ended(finish) => return Some(Err(Refused::Ended(finish.clone()))),
        };
        if calls.contains_key(id) {
            drop(state);
            // If this has waited, the room that it was woken for is another's.
            self.room.notify(1.additional());
            return Some(Err(Refused::InFlight));
        }
        if calls.len() >= max_in_flight.max(1) {
            return None;
        }
        let slot = Arc::new(Slot { outcome: Mutex::new(None), waker: AtomicWaker::new() });
        calls.insert(id.clone(), Arc::clone(&slot));
        drop(state);
        Some(Ok(Call { pending: self, id: id.clone(), slot }))
    }

    /// Hands an answer to the call that waits for it; gives it back if there is none.
    pub(super) fn answer(&self, id: &Id, answer: In) -> Result<(), In> {
        match self.take(id, |_| true) {
            Some(slot) => {
                slot.fill(Outcome::Answer(answer));
                Ok(())
            }
            None => Err(answer),
        }
    }

    /// The connection has ended.
    pub(super) fn end(&self, finish: &Finish) {
        let stage = mem::replace(&mut self.lock().stage, Stage::Ended(finish.clone()));
        if let Stage::Running(calls) = stage {
            for slot in calls.into_values() {
                slot.fill(Outcome::Ended(finish.clone()));
            }
        }
        self.room.notify(usize::MAX);
    }

    /// Takes a call out if it is the one that is meant.
    fn take(&self, id: &Id, meant: impl FnOnce(&Arc<Slot<In>>) -> bool) -> Option<Arc<Slot<In>>> {
        let mut state = self.lock();
        let Stage::Running(calls) = &mut state.stage else { return None };
        let taken = calls.get(id).is_some_and(meant).then(|| calls.remove_entry(id)).flatten();
        drop(state);
        let (_id, slot) = taken?;
        self.room.notify(1.additional());
        Some(slot)
    }

    fn lock(&self) -> MutexGuard<'_, State<Id, In>> {
        // A map whose keys panic as they are compared is still a map.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<In> Slot<In> {
    fn fill(&self, outcome: Outcome<In>) {
        *self.lock() = Some(outcome);
        self.waker.wake();
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Outcome<In>> {
        self.waker.register(cx.waker());
        self.lock().take().map_or(Poll::Pending, Poll::Ready)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Outcome<In>>> {
        // Nothing panics while it is held.
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in flight; dropped, it is forgotten.
#[derive(Debug)]
pub(super) struct Call<'a, Id: Clone + Eq + Hash, In> {
    pending: &'a Pending<Id, In>,
    id: Id,
    slot: Arc<Slot<In>>,
}

impl<Id: Clone + Eq + Hash, In> Call<'_, Id, In> {
    pub(super) async fn outcome(&self) -> Outcome<In> {
        poll_fn(|cx| self.slot.poll(cx)).await
    }
}

impl<Id: Clone + Eq + Hash, In> Drop for Call<'_, Id, In> {
    fn drop(&mut self) {
        // Answered, its id may be another call's by now.
        self.pending.take(&self.id, |slot| Arc::ptr_eq(slot, &self.slot));
    }
}
