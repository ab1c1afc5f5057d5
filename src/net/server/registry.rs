//! [`Registry`]: the connections of a server, from the answer to their request until nothing is left
//! of them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use event_listener::Event;
use futures_util::future::AbortHandle;

use super::Shutdown;
use crate::{close::CloseCode, connection::Handle};

/// Shared by a server, its handles and its connections.
pub(super) struct Registry {
    state: Mutex<State>,
    /// The last connection is gone, or the shutdown over.
    settled: Event,
}

struct State {
    stage: Stage,
    entries: HashMap<u64, Entry>,
    next_id: u64,
    /// How many connections the shutdown closed, and how many of them it aborted.
    closed: usize,
    aborted: usize,
}

/// How far a shutdown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    /// Connections are asked to close.
    Closing,
    /// Those that are left are ended.
    Aborting,
    /// The tasks that are left are cancelled.
    Cancelling,
    Over,
}

/// A connection, as far as there is one: it gets these one after the other.
#[derive(Clone, Default)]
struct Entry {
    handle: Option<Handle>,
    /// What [`serve`](super::Server::serve) has spawned for it.
    task: Option<AbortHandle>,
}

/// The right to be a connection of a server; given back when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Permit {
    // Held for its drop.
    ticket: Arc<Ticket>,
}

struct Ticket {
    registry: Arc<Registry>,
    id: u64,
}

impl Registry {
    pub(super) fn new() -> Self {
        let (stage, entries) = (Stage::Serving, HashMap::new());
        Self {
            state: Mutex::new(State { stage, entries, next_id: 0, closed: 0, aborted: 0 }),
            settled: Event::new(),
        }
    }

    /// Lets a connection in if there are fewer than `max`, and no shutdown has begun.
    pub(super) fn admit(self: &Arc<Self>, max: usize) -> Option<Permit> {
        let mut state = self.lock();
        if state.stage > Stage::Serving || state.entries.len() >= max {
            return None;
        }
        let id = state.next_id;
        state.next_id += 1;
        state.entries.insert(id, Entry::default());
        Some(Permit { ticket: Arc::new(Ticket { registry: Arc::clone(self), id }) })
    }

    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Goes on to a stage of the shutdown; never back.
    pub(super) fn enter(&self, next: Stage) {
        let entries: Vec<Entry> = {
            let mut state = self.lock();
            if state.stage >= next {
                return;
            }
            state.stage = next;
            let count = state.entries.values().filter(|entry| entry.handle.is_some()).count();
            match next {
                Stage::Closing => state.closed = count,
                Stage::Aborting => state.aborted = count,
                Stage::Serving | Stage::Cancelling | Stage::Over => {}
            }
            state.entries.values().cloned().collect()
        };
        // Without the lock: this wakes tasks.
        for entry in &entries {
            entry.obey(next);
        }
        if next == Stage::Over {
            self.settled.notify(usize::MAX);
        }
    }

    /// Waits for the last connection to go, or for the shutdown to be over.
    pub(super) async fn settled(&self) {
        loop {
            let listener = self.settled.listen();
            if self.is_settled() {
                return;
            }
            listener.await;
        }
    }

    pub(super) fn report(&self) -> Shutdown {
        let state = self.lock();
        Shutdown { drained: state.closed - state.aborted, aborted: state.aborted }
    }

    fn is_settled(&self) -> bool {
        let state = self.lock();
        state.stage == Stage::Over || state.entries.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The connection is there. A shutdown that came first goes for it, too.
    pub(super) fn attach(&self, handle: Handle) {
        let mut state = self.ticket.registry.lock();
        state.entry(self).handle = Some(handle.clone());
        let reached = state.stage;
        state.closed += usize::from(reached >= Stage::Closing);
        state.aborted += usize::from(reached >= Stage::Aborting);
        drop(state);
        Entry { handle: Some(handle), task: None }.catch_up(reached);
    }

    /// The connection has a task.
    pub(super) fn attach_task(&self, task: AbortHandle) {
        let mut state = self.ticket.registry.lock();
        state.entry(self).task = Some(task.clone());
        let reached = state.stage;
        drop(state);
        Entry { handle: None, task: Some(task) }.catch_up(reached);
    }
}

impl State {
    fn entry(&mut self, permit: &Permit) -> &mut Entry {
        self.entries.entry(permit.ticket.id).or_default()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.registry.lock();
        let entry = state.entries.remove(&self.id);
        let is_last = state.entries.is_empty();
        drop(state);
        // Without the lock: it may be the last that is left of a task.
        drop(entry);
        if is_last {
            self.registry.settled.notify(usize::MAX);
        }
    }
}

impl Entry {
    fn catch_up(&self, reached: Stage) {
        let stages = [Stage::Closing, Stage::Aborting, Stage::Cancelling].into_iter();
        stages.filter(|stage| *stage <= reached).for_each(|stage| self.obey(stage));
    }

    fn obey(&self, stage: Stage) {
        match (stage, &self.handle, &self.task) {
            (Stage::Closing, Some(handle), _) => {
                // One that is closing already goes on with that.
                let _ = handle.close_with(CloseCode::GOING_AWAY, "the server is shutting down");
            }
            (Stage::Aborting, Some(handle), _) => handle.abort(),
            (Stage::Cancelling, _, Some(task)) => task.abort(),
            _ => {}
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("id", &self.ticket.id).finish_non_exhaustive()
    }
}
