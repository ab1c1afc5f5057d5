//! [`Outbox`]: what handles want to send, on its way to whoever drives the connection.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use event_listener::{Event, EventListener};

use crate::{
    close::{CloseFrame, Finish},
    message::Message,
};

/// Shared by a connection and its handles.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    limit: usize,
    /// Whoever drives the connection.
    driver: AtomicWaker,
    room: Event,
    written: Event,
    ended: Event,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    items: VecDeque<Item>,
    size: usize,
    /// How many items have ever been put in, and how many of them written to the transport.
    put: u64,
    written: u64,
}

#[derive(Debug)]
enum Phase {
    Open,
    /// Nothing is accepted any more.
    Closing,
    Ended(Finish),
}

/// What a handle asks for.
#[derive(Debug)]
pub(super) enum Item {
    Message(Message),
    Ping(Bytes),
    Close(CloseFrame),
}

/// Why an item was not taken; gives it back.
#[derive(Debug)]
pub(super) enum NotPut {
    Full(Item),
    Closed(Item),
}

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        let (phase, items) = (Phase::Open, VecDeque::new());
        Self {
            state: Mutex::new(State { phase, items, size: 0, put: 0, written: 0 }),
            limit,
            driver: AtomicWaker::new(),
            room: Event::new(),
            written: Event::new(),
            ended: Event::new(),
        }
    }

    /// Puts an item in; returns its position for [`is_written`](Self::is_written).
    pub(super) fn put(&self, item: Item) -> Result<u64, NotPut> {
        let state = self.lock();
        if !matches!(state.phase, Phase::Open) {
            return Err(NotPut::Closed(item));
        }
        // A Close takes no room and must not be kept waiting by what it ends. Anything else finds
        // room while the limit is not reached, so that a message beyond it fits an empty queue.
        if state.size >= self.limit && !matches!(item, Item::Close(_)) {
            return Err(NotPut::Full(item));
        }
        Ok(self.put_into(state, item))
    }

    /// Puts an item in whether or not there is room: a sink promised that there is.
    pub(super) fn force(&self, item: Item) -> Option<u64> {
        let state = self.lock();
        matches!(state.phase, Phase::Open).then(|| self.put_into(state, item))
    }

    fn put_into(&self, mut state: MutexGuard<'_, State>, item: Item) -> u64 {
        state.size += item.size();
        if matches!(item, Item::Close(_)) {
            state.phase = Phase::Closing;
        }
        state.items.push_back(item);
        state.put += 1;
        let (position, room) = (state.put, state.size < self.limit);
        drop(state);
        self.driver.wake();
        if room {
            // One waiting sender at a time is woken: it passes the word on here.
            self.room.notify(1);
        }
        position
    }

    pub(super) fn has_room(&self) -> bool {
        self.lock().size < self.limit
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.lock().phase, Phase::Open)
    }

    pub(super) fn is_written(&self, position: u64) -> bool {
        self.lock().written >= position
    }

    pub(super) fn finish(&self) -> Option<Finish> {
        match &self.lock().phase {
            Phase::Ended(finish) => Some(finish.clone()),
            Phase::Open | Phase::Closing => None,
        }
    }

    pub(super) fn listen_room(&self) -> EventListener {
        self.room.listen()
    }

    pub(super) fn listen_written(&self) -> EventListener {
        self.written.listen()
    }

    pub(super) fn listen_ended(&self) -> EventListener {
        self.ended.listen()
    }

    /// The connection's side: takes all there is, with the position of the last one.
    pub(super) fn take(&self) -> Option<(VecDeque<Item>, u64)> {
        let mut state = self.lock();
        if state.items.is_empty() {
            return None;
        }
        state.size = 0;
        let taken = (mem::take(&mut state.items), state.put);
        drop(state);
        self.room.notify(1);
        Some(taken)
    }

    /// The connection's side: has `waker` woken when an item is put in.
    pub(super) fn register(&self, waker: &Waker) {
        self.driver.register(waker);
    }

    /// The connection's side: all items up to `position` have been written.
    pub(super) fn note_written(&self, position: u64) {
        self.lock().written = position;
        self.written.notify(usize::MAX);
    }

    /// The connection's side: nothing is accepted any more.
    pub(super) fn seal(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Closing;
        }
        drop(state);
        self.room.notify(usize::MAX);
    }

    /// The connection's side: it has ended. The first `finish` stays.
    pub(super) fn end(&self, finish: Finish) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Ended(_)) {
            return;
        }
        state.phase = Phase::Ended(finish);
        let items = mem::take(&mut state.items);
        drop(state);
        // After the lock: payloads may run their owner's code when dropped.
        drop(items);
        for event in [&self.room, &self.written, &self.ended] {
            event.notify(usize::MAX);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Item {
    /// What counts against the limit: the payload, and something for the item itself.
    fn size(&self) -> usize {
        let payload = match self {
            Self::Message(message) => message.len(),
            Self::Ping(payload) => payload.len(),
            Self::Close(_) => 0,
        };
        payload + size_of::<Self>()
    }
}
