//! [`Deliveries`]: what groups have published to a connection, and nobody has taken.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::Arc,
};

use crate::{
    group::{Excess, KeyBytes, Keys, Lag, LagPolicy, Seat},
    protocol::Published,
};

/// A queue for each membership of a connection. The outbox has the order among them and its other items:
/// a ticket for each message here.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    queues: Vec<Option<Queue>>,
    vacant: Vec<usize>,
    /// How many bytes wait in all of them.
    size: usize,
    /// Queues that nobody needs, with what is the user's in them: to be dropped without a lock.
    retired: Vec<Queue>,
}

/// The messages of one membership.
#[derive(Debug)]
pub(super) struct Queue {
    policy: LagPolicy,
    waiting: VecDeque<Waiting>,
    /// Where the message of a key is, counted from the first that ever was.
    places: HashMap<KeyBytes, u64>,
    /// How many have been taken off the front.
    gone: u64,
    lag: Lag,
    /// At least as many as there are messages: what is dropped leaves its ticket to the next one.
    tickets: usize,
    /// `None` when the connection has ended, or the member has left: that is the end of the queue, but for
    /// what waits.
    seat: Option<Seat>,
    is_left: bool,
}

#[derive(Debug)]
struct Waiting {
    published: Arc<Published>,
    key: Option<KeyBytes>,
}

/// What a message that was published asks of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entering {
    /// It has no room.
    Refused,
    /// It takes the place of what was dropped for it.
    InPlace,
    Ticket,
    /// The member is too slow, and has to go.
    Disconnect,
}

/// What is dropped when a connection has ended.
#[derive(Debug)]
#[allow(dead_code, reason = "to be dropped is what it is for")]
pub(super) struct Ended {
    seats: Vec<Seat>,
    messages: Vec<Arc<Published>>,
}

impl Deliveries {
    /// How many queues there are, of those included who have left and for whom something waits.
    pub(super) fn len(&self) -> usize {
        self.queues.len() - self.vacant.len()
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Makes a queue; returns its place.
    pub(super) fn open(&mut self, policy: LagPolicy, seat: Seat) -> usize {
        let queue = Some(Queue::new(policy, seat));
        if let Some(place) = self.vacant.pop() {
            self.queues[place] = queue;
            return place;
        }
        self.queues.push(queue);
        self.queues.len() - 1
    }

    /// The member leaves, and gives back its seat. What waits still goes out; then the queue is no more.
    pub(super) fn leave(&mut self, place: usize) -> Option<Seat> {
        let queue = self.queues[place].as_mut()?;
        queue.is_left = true;
        let seat = queue.seat.take();
        self.retire(place);
        seat
    }

    /// What is to be dropped without a lock.
    pub(super) fn take_retired(&mut self) -> Vec<Queue> {
        mem::take(&mut self.retired)
    }

    pub(super) fn lag(&self, place: usize) -> Lag {
        self.queues[place].as_ref().map(|queue| queue.lag).unwrap_or_default()
    }

    /// Takes in what was published, and gives what has to make room for it to `dropped`.
    pub(super) fn enter(
        &mut self,
        place: usize,
        published: &Arc<Published>,
        keys: &Keys,
        dropped: &mut Vec<Arc<Published>>,
    ) -> Entering {
        let Some(queue) = &mut self.queues[place] else { return Entering::Refused };
        let before = queue.lag.bytes;
        let entering = queue.enter(published, keys, dropped);
        self.size = self.size - before + queue.lag.bytes;
        entering
    }

    /// Takes out the next message of the queue that a ticket is for, if one is left.
    pub(super) fn take(&mut self, place: usize) -> Option<Arc<Published>> {
        let queue = self.queues[place].as_mut()?;
        queue.tickets -= 1;
        let before = queue.lag.bytes;
        let published = queue.pop().map(|waiting| waiting.published);
        self.size = self.size - before + queue.lag.bytes;
        self.retire(place);
        published
    }

    /// Drops all that waits: gives it back, to be dropped without a lock.
    pub(super) fn clear(&mut self) -> Vec<Arc<Published>> {
        self.size = 0;
        self.queues.iter_mut().flatten().flat_map(Queue::clear).collect()
    }

    /// The connection has ended, and nothing is delivered any more; gives back what is to be dropped.
    pub(super) fn end(&mut self) -> Ended {
        let messages = self.clear();
        let queues = self.queues.iter_mut().flatten();
        Ended { seats: queues.filter_map(|queue| queue.seat.take()).collect(), messages }
    }

    fn retire(&mut self, place: usize) {
        let queue = &mut self.queues[place];
        if queue.as_ref().is_some_and(|queue| queue.is_left && queue.tickets == 0) {
            self.retired.extend(queue.take());
            self.vacant.push(place);
        }
    }
}

impl Queue {
    fn new(policy: LagPolicy, seat: Seat) -> Self {
        Self {
            policy,
            waiting: VecDeque::new(),
            places: HashMap::new(),
            gone: 0,
            lag: Lag::default(),
            tickets: 0,
            seat: Some(seat),
            is_left: false,
        }
    }

    fn enter(
        &mut self,
        published: &Arc<Published>,
        keys: &Keys,
        dropped: &mut Vec<Arc<Published>>,
    ) -> Entering {
        let mut waiting = Waiting { published: Arc::clone(published), key: None };
        match &self.policy.excess {
            Excess::DropNewest if !self.has_room(&waiting) => {
                self.lag.dropped += 1;
                return Entering::Refused;
            }
            Excess::Disconnect if !self.has_room(&waiting) => {
                self.lag.dropped += self.waiting.len() as u64 + 1;
                dropped.extend(self.clear());
                return Entering::Disconnect;
            }
            Excess::Latest(key) => waiting.key = keys.of(key),
            Excess::DropOldest | Excess::DropNewest | Excess::Disconnect => {}
        }
        match self.place(waiting.key.as_ref()) {
            Some(place) => dropped.push(self.replace(place, waiting)),
            None => self.push(waiting),
        }
        self.shrink(published, dropped);
        if self.tickets >= self.waiting.len() {
            return Entering::InPlace;
        }
        self.tickets += 1;
        Entering::Ticket
    }

    /// Whether it fits: anything does where nothing waits.
    fn has_room(&self, waiting: &Waiting) -> bool {
        self.waiting.is_empty() || self.lag.bytes + waiting.size() <= self.policy.max_bytes
    }

    fn push(&mut self, waiting: Waiting) {
        if let Some(key) = &waiting.key {
            self.places.insert(Arc::clone(key), self.gone + self.waiting.len() as u64);
        }
        self.lag.messages += 1;
        self.lag.bytes += waiting.size();
        self.waiting.push_back(waiting);
    }

    fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.gone += 1;
        self.lag.messages -= 1;
        self.lag.bytes -= waiting.size();
        if let Some(key) = &waiting.key {
            self.places.remove(key);
        }
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT {
            // It was behind once, and need not be again.
            (self.waiting, self.places) = (VecDeque::new(), HashMap::new());
        }
        Some(waiting)
    }

    /// Drops the oldest messages until there is room again, but not the newest, wherever that is.
    fn shrink(&mut self, newest: &Arc<Published>, dropped: &mut Vec<Arc<Published>>) {
        while self.lag.bytes > self.policy.max_bytes && self.waiting.len() > 1 {
            let Some(first) = self.pop() else { return };
            if Arc::ptr_eq(&first.published, newest) {
                self.push(first);
            } else {
                self.lag.dropped += 1;
                dropped.push(first.published);
            }
        }
    }

    /// Where the message waits that has this key, too.
    fn place(&self, key: Option<&KeyBytes>) -> Option<usize> {
        let place = self.places.get(key?)? - self.gone;
        usize::try_from(place).ok()
    }

    fn replace(&mut self, place: usize, waiting: Waiting) -> Arc<Published> {
        self.lag.replaced += 1;
        self.lag.bytes += waiting.size();
        let old = mem::replace(&mut self.waiting[place], waiting);
        self.lag.bytes -= old.size();
        old.published
    }

    fn clear(&mut self) -> impl Iterator<Item = Arc<Published>> + use<> {
        self.gone += self.waiting.len() as u64;
        self.places.clear();
        (self.lag.messages, self.lag.bytes) = (0, 0);
        mem::take(&mut self.waiting).into_iter().map(|waiting| waiting.published)
    }
}

impl Waiting {
    /// What counts against the bound: the payload, the key, and what the message itself takes.
    fn size(&self) -> usize {
        let key = self.key.as_ref().map_or(0, |key| key.len());
        self.published.message().len() + key + OVERHEAD
    }
}

/// What a message takes beside its payload, about: here, in the outbox, and of what is shared.
const OVERHEAD: usize = 128;
/// The room for messages that an empty queue keeps.
pub(super) const KEPT: usize = 64;
