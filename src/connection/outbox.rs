//! [`Outbox`]: what handles want to send, on its way to whoever drives the connection.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, PoisonError, atomic::Ordering},
    task::Waker,
};

use bytes::Bytes;
use event_listener::EventListener;

use super::deliveries::{Deliveries, Entering, KEPT, Queue};
use crate::{
    close::{CloseCode, CloseFrame, Finish},
    error::{Error, ErrorKind},
    group::{GroupConfig, Keys, Lag, LagPolicy, Seat},
    message::Message,
    protocol::Published,
    stats::{OpenFor, Stats},
    sync::{AtomicBool, AtomicWaker, Event, Mutex, MutexGuard},
    wake::tell_all,
};

/// Shared by a connection and its handles.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    limit: usize,
    /// Whether items wait: a connection that has nothing to take does not lock.
    filled: AtomicBool,
    /// Whether they cannot wait for room.
    urgent: AtomicBool,
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
    /// What groups have published: made by the first that is joined.
    deliveries: Option<Box<Deliveries>>,
    /// How many items have ever been put in, taken, and written to the transport; each ticket is one.
    put: u64,
    taken: u64,
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
    /// The next so many messages of a membership, by its place.
    Tickets(usize, usize),
    /// That message.
    Published(Arc<Published>),
}

/// How much the connection takes, where groups have published to it; else it is all.
#[derive(Clone, Copy, Debug)]
pub(super) enum Take {
    All,
    /// As many bytes, and the message that passes them.
    Bytes(usize),
    /// What handles have sent, and what comes before that.
    Handles,
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
        let position = state.put(item);
        outbox.filled.store(true, Ordering::Release);
        drop(state);
        outbox.driver.wake();
        if closing {
            outbox.room.notify(usize::MAX);
        }
        position
    }
}

impl State {
    fn put(&mut self, item: Item) -> u64 {
        if matches!(item, Item::Close(_)) {
            self.phase = Phase::Closing;
        }
        self.size += item.size();
        self.items.push_back(item);
        self.put += 1;
        self.put
    }

    /// Puts in a ticket for the next message of a membership.
    fn put_ticket(&mut self, place: usize) {
        match self.items.back_mut() {
            Some(Item::Tickets(same, count)) if *same == place => *count += 1,
            _ => self.items.push_back(Item::Tickets(place, 1)),
        }
        self.put += 1;
    }

    /// How many bytes wait.
    fn waiting(&self) -> usize {
        self.size + self.deliveries.as_ref().map_or(0, |deliveries| deliveries.size())
    }

    fn take(&mut self, how_much: Take) -> VecDeque<Item> {
        let Some(deliveries) = &mut self.deliveries else {
            (self.size, self.taken) = (0, self.put);
            return mem::take(&mut self.items);
        };
        let waiting = usize::try_from(self.put - self.taken).unwrap_or(usize::MAX);
        let (mut items, mut size) = (VecDeque::with_capacity(waiting.min(KEPT)), 0);
        loop {
            let goes_on = match how_much {
                Take::All => true,
                Take::Bytes(budget) => size < budget,
                // Each of handles' items counts with something for itself.
                Take::Handles => self.size > 0,
            };
            if !goes_on {
                break;
            }
            let item = match self.items.front_mut() {
                Some(Item::Tickets(place, count)) if *count > 1 => {
                    *count -= 1;
                    deliveries.take(*place).map(Item::Published)
                }
                _ => match self.items.pop_front() {
                    Some(Item::Tickets(place, _)) => deliveries.take(place).map(Item::Published),
                    Some(item) => {
                        self.size -= item.size();
                        Some(item)
                    }
                    None => break,
                },
            };
            self.taken += 1;
            size += item.as_ref().map_or(0, Item::size);
            items.extend(item);
        }
        if self.items.is_empty() && self.items.capacity() > KEPT {
            self.items = VecDeque::new();
        }
        items
    }
}

impl Outbox {
    pub(super) fn new(limit: usize, open_for: OpenFor) -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Open,
                items: VecDeque::new(),
                size: 0,
                deliveries: None,
                put: 0,
                taken: 0,
                written: 0,
                stats: Stats::default(),
                open_for,
            }),
            limit,
            filled: AtomicBool::new(false),
            urgent: AtomicBool::new(false),
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
        self.lock().waiting()
    }

    /// What has gone over the connection.
    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        let queued = state.stats.queued + state.waiting();
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

    /// Asks for the closing handshake, behind what waits; returns whether nobody has done so before.
    pub(crate) fn close(&self, close: CloseFrame) -> bool {
        self.enter_full().map(|entry| entry.put(Item::Close(close))).is_ok()
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

    /// The connection's side: whether there is something that cannot wait for room.
    pub(super) fn is_urgent(&self) -> bool {
        self.urgent.load(Ordering::Acquire)
    }

    /// The connection's side: takes what there is, with the position of the last one, and with queues that are
    /// to be dropped when nothing else is left to do: a policy may have anything.
    pub(super) fn take(&self, how_much: Take) -> Option<(VecDeque<Item>, u64, Vec<Queue>)> {
        if !self.filled.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.lock();
        let before = state.taken;
        let items = state.take(if self.is_urgent() { Take::All } else { how_much });
        let position = state.taken;
        self.filled.store(!state.items.is_empty(), Ordering::Relaxed);
        let retired = state.deliveries.as_mut().map(|deliveries| deliveries.take_retired());
        drop(state);
        if position == before {
            return None;
        }
        // All who wait, not one: that one may be a sink whose task has lost interest.
        self.room.notify(usize::MAX);
        Some((items, position, retired.unwrap_or_default()))
    }

    /// The connection's side: nothing that groups have published is of use any more.
    pub(super) fn drop_published(&self) {
        let dropped = self.lock().deliveries.as_mut().map(|deliveries| deliveries.clear());
        // After the lock: payloads may run their owner's code when dropped.
        drop(dropped);
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
        state.written = state.taken;
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
        let mut delivered = state.deliveries.as_mut().map(|deliveries| deliveries.end());
        drop(state);
        // After the lock: members leave their groups, before anybody hears of the end; payloads and policies may run
        // their owners' code when dropped.
        let ending = Ending(self);
        drop(delivered.as_mut().map(|delivered| mem::take(&mut delivered.seats)));
        drop(ending);
        drop((items, delivered));
    }

    /// A group's side: makes a queue for what it publishes; returns its place.
    pub(crate) fn join(
        &self,
        policy: LagPolicy,
        limits: &GroupConfig,
        seat: impl FnOnce() -> Seat,
    ) -> Result<usize, Error> {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Open) {
            return Err(Error::closed());
        }
        let deliveries = state.deliveries.get_or_insert_default();
        let most = limits.max_memberships;
        if deliveries.len() >= most {
            let what = format!("a connection can have {most} memberships");
            return Err(Error::new(ErrorKind::LimitExceeded, what));
        }
        Ok(deliveries.open(policy, limits.max_waiting, seat()))
    }

    /// A group's side: the member at `place` leaves.
    pub(crate) fn leave(&self, place: usize) {
        // Done last, whatever panics: until the topic has let go of the seat it may still publish to this
        // place, which is nobody else's before that.
        let _leaving = Leaving { outbox: self, place };
        let seat =
            self.lock().deliveries.as_mut().and_then(|deliveries| deliveries.take_seat(place));
        // After the lock: a seat locks the group.
        drop(seat);
    }

    /// A group's side: the connection is to close without waiting for room; returns whether it was open.
    pub(crate) fn close_soon(&self, close: CloseFrame) -> bool {
        self.urgent.store(true, Ordering::Release);
        self.close(close)
    }

    /// A group's side: how far behind the member at `place` is.
    pub(crate) fn lag(&self, place: usize) -> Lag {
        let state = self.lock();
        state.deliveries.as_ref().map(|deliveries| deliveries.lag(place)).unwrap_or_default()
    }

    /// A group's side: queues a message for the member at `place`. What other code has to hear of that
    /// `round` is told: the group holds a lock.
    pub(crate) fn deliver(
        self: &Arc<Self>,
        place: usize,
        published: &Arc<Published>,
        round: &mut Round,
    ) -> bool {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Open) {
            return false;
        }
        let was_empty = state.items.is_empty();
        let Some(deliveries) = &mut state.deliveries else { return false };
        let entering = deliveries.enter(place, published, &round.keys, &mut round.dropped);
        match entering {
            Entering::Refused => return false,
            Entering::InPlace => return true,
            Entering::Ticket => state.put_ticket(place),
            Entering::Disconnect => {
                let reason = "too slow for what is published".into();
                let close = CloseFrame { code: CloseCode::TRY_AGAIN_LATER, reason };
                state.put(Item::Close(close));
                self.urgent.store(true, Ordering::Release);
                round.waiting.push(Waits::Senders(Arc::clone(self)));
            }
        }
        // It is awake, or has been woken, if there was something before.
        if was_empty || entering == Entering::Disconnect {
            self.filled.store(true, Ordering::Release);
            round.waiting.extend(self.driver.take().map(Waits::Driver));
        }
        entering == Entering::Ticket
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An end that all who wait hear of when this is dropped, whatever panics before.
struct Ending<'a>(&'a Outbox);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        for event in [&self.0.room, &self.0.written, &self.0.ended] {
            event.notify(usize::MAX);
        }
    }
}

/// A member that has left its topic when this is dropped.
struct Leaving<'a> {
    outbox: &'a Outbox,
    place: usize,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.outbox.lock();
        let retired = state.deliveries.as_mut().map(|deliveries| deliveries.leave(self.place));
        drop(state);
        // After the lock: a policy may have anything.
        drop(retired);
    }
}

impl Item {
    /// What counts against the limit: the payload, and something for the item itself.
    fn size(&self) -> usize {
        let payload = match self {
            Self::Message(message) => message.len(),
            Self::Ping(payload) => payload.len(),
            Self::Close(_) => 0,
            // Its membership counts that.
            Self::Tickets(..) => return 0,
            Self::Published(published) => published.message().len(),
        };
        payload + size_of::<Self>()
    }
}

/// What a message that is published to many leaves to do, when no lock is held any more.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) keys: Keys,
    waiting: Vec<Waits>,
    dropped: Vec<Arc<Published>>,
}

/// Who is to hear of it.
#[derive(Debug)]
enum Waits {
    Driver(Waker),
    /// Those who wait for room where nothing is accepted any more.
    Senders(Arc<Outbox>),
}

impl Round {
    pub(crate) fn end(self) {
        tell_all(self.waiting, |waits| match waits {
            Waits::Driver(waker) => waker.wake(),
            Waits::Senders(outbox) => drop(outbox.room.notify(usize::MAX)),
        });
    }
}
