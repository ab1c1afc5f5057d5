//! [`Outbox`]: what handles want to send, on its way to whoever drives the connection.

use std::{
    collections::VecDeque,
    mem,
    sync::{PoisonError, atomic::Ordering},
    task::Waker,
};

use bytes::Bytes;
use event_listener::EventListener;

use crate::{
    close::{CloseFrame, Finish},
    message::Message,
    stats::{OpenFor, Stats},
    sync::{AtomicBool, AtomicWaker, Event, Mutex, MutexGuard},
};

/// Shared by a connection and its handles.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    limit: usize,
    /// Whether items wait: a connection that has nothing to take does not lock.
    filled: AtomicBool,
    aborted: AtomicBool,
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
    /// As of when the connection last waited.
    stats: Stats,
    open_for: OpenFor,
}

#[derive(Debug)]
enum Phase {
    Open,
    /// Nothing is accepted any more.
    Closing,
    /// Boxed, so that an idle connection's outbox is small.
    Ended(Box<Finish>),
}

/// What a handle asks for.
#[derive(Debug)]
pub(super) enum Item {
    Message(Message),
    Ping(Bytes),
    Close(CloseFrame),
}

/// Why nothing is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoEntry {
    Full,
    Closed,
}

/// The right to put one item in.
pub(super) struct Entry<'a> {
    outbox: &'a Outbox,
    state: MutexGuard<'a, State>,
}

impl Entry<'_> {
    /// Puts it in; returns its position for [`is_written`](Outbox::is_written).
    pub(super) fn put(self, item: Item) -> u64 {
        let Self { outbox, mut state } = self;
        let closing = matches!(item, Item::Close(_));
        if closing {
            state.phase = Phase::Closing;
        }
        state.size += item.size();
        state.items.push_back(item);
        state.put += 1;
        let position = state.put;
        outbox.filled.store(true, Ordering::Release);
        drop(state);
        outbox.driver.wake();
        if closing {
            outbox.room.notify(usize::MAX);
        }
        position
    }
}

impl Outbox {
    pub(super) fn new(limit: usize, open_for: OpenFor) -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Open,
                items: VecDeque::new(),
                size: 0,
                put: 0,
                written: 0,
                stats: Stats::default(),
                open_for,
            }),
            limit,
            filled: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            driver: AtomicWaker::new(),
            room: Event::new(),
            written: Event::new(),
            ended: Event::new(),
        }
    }

    /// Lets an item in if there is room: while the limit is not reached, so that a message beyond it
    /// fits an empty queue.
    pub(super) fn enter(&self) -> Result<Entry<'_>, NoEntry> {
        let entry = self.enter_full()?;
        if entry.state.size >= self.limit { Err(NoEntry::Full) } else { Ok(entry) }
    }

    /// Lets an item in whether or not there is room: a Close, or what a sink was promised room for.
    pub(super) fn enter_full(&self) -> Result<Entry<'_>, NoEntry> {
        let state = self.lock();
        match state.phase {
            Phase::Open => Ok(Entry { outbox: self, state }),
            Phase::Closing | Phase::Ended(_) => Err(NoEntry::Closed),
        }
    }

    /// The position of the last item that was put in, for [`is_written`](Self::is_written).
    pub(super) fn position(&self) -> u64 {
        self.lock().put
    }

    pub(super) fn has_room(&self) -> bool {
        self.lock().size < self.limit
    }

    /// How many bytes wait.
    pub(super) fn size(&self) -> usize {
        self.lock().size
    }

    /// What has gone over the connection.
    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        let queued = state.stats.queued + state.size;
        Stats { queued, open_for: state.open_for.get(), ..state.stats }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.lock().phase, Phase::Open)
    }

    pub(super) fn is_written(&self, position: u64) -> bool {
        self.lock().written >= position
    }

    pub(super) fn finish(&self) -> Option<Finish> {
        match &self.lock().phase {
            Phase::Ended(finish) => Some(Finish::clone(finish)),
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

    /// Asks for the end of the connection, whatever waits.
    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        self.seal();
        self.driver.wake();
    }

    /// The connection's side: whether that was asked for.
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// The connection's side: takes all there is, with the position of the last one.
    pub(super) fn take(&self) -> Option<(VecDeque<Item>, u64)> {
        if !self.filled.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.lock();
        self.filled.store(false, Ordering::Relaxed);
        if state.items.is_empty() {
            return None;
        }
        state.size = 0;
        let taken = (mem::take(&mut state.items), state.put);
        drop(state);
        // All who wait, not one: that one may be a sink whose task has lost interest.
        self.room.notify(usize::MAX);
        Some(taken)
    }

    /// The connection's side: has `waker` woken when an item is put in, and by `abort`.
    pub(super) fn register(&self, waker: &Waker) {
        self.driver.register(waker);
    }

    /// The connection's side: all items up to `position` have been written.
    pub(super) fn note_written(&self, position: u64) {
        self.lock().written = position;
        self.written.notify(usize::MAX);
    }

    /// The connection's side: what has gone over it.
    pub(super) fn note_stats(&self, stats: Stats) {
        self.lock().stats = stats;
    }

    /// The connection's side: nobody waits for what was taken, which another one has to see to.
    pub(super) fn hand_over(&self, open_for: OpenFor) {
        let mut state = self.lock();
        state.open_for = open_for;
        state.written = state.put - state.items.len() as u64;
        drop(state);
        self.written.notify(usize::MAX);
    }

    /// Nothing is accepted any more, and what waits stays.
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
        state.phase = Phase::Ended(Box::new(finish));
        state.open_for.end();
        state.size = 0;
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
