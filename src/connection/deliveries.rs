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
    /// Nothing but what all members share: of many that wait for many, little memory is touched.
    waiting: VecDeque<Arc<Published>>,
    bytes: usize,
    /// At least as many as there are messages: what is dropped leaves its ticket to the next one.
    tickets: usize,
    policy: LagPolicy,
    /// How many bytes may wait in all queues of the connection.
    max_together: usize,
    /// Where the policy wants them.
    keyed: Option<Box<Keyed>>,
    dropped: u64,
    replaced: u64,
    /// `None` when the connection has ended, or the member has left: that is the end of the queue, but for
    /// what waits.
    seat: Option<Seat>,
    is_left: bool,
}

/// The keys of the messages that wait.
#[derive(Debug, Default)]
struct Keyed {
    /// One for each message. `None` if the member joined while that was published.
    keys: VecDeque<Option<KeyBytes>>,
    /// Where the message of a key is, counted from the first that ever was.
    places: HashMap<KeyBytes, u64>,
    /// How many have been taken off the front.
    gone: u64,
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
    pub(super) seats: Vec<Seat>,
    policies: Vec<LagPolicy>,
    messages: Vec<Arc<Published>>,
    retired: Vec<Queue>,
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
    pub(super) fn open(&mut self, policy: LagPolicy, max_together: usize, seat: Seat) -> usize {
        let queue = Some(Queue::new(policy, max_together, seat));
        if let Some(place) = self.vacant.pop() {
            self.queues[place] = queue;
            return place;
        }
        self.queues.push(queue);
        self.queues.len() - 1
    }

    /// The member gives back its seat: nobody else gets its place before it has [left](Self::leave).
    pub(super) fn take_seat(&mut self, place: usize) -> Option<Seat> {
        self.queues[place].as_mut()?.seat.take()
    }

    /// The member has left: what waits still goes out, then the queue is no more. Gives back what is to be
    /// dropped without a lock.
    pub(super) fn leave(&mut self, place: usize) -> Vec<Queue> {
        if let Some(queue) = &mut self.queues[place] {
            queue.is_left = true;
        }
        self.retire(place);
        self.take_retired()
    }

    /// What is to be dropped without a lock.
    pub(super) fn take_retired(&mut self) -> Vec<Queue> {
        mem::take(&mut self.retired)
    }

    pub(super) fn lag(&self, place: usize) -> Lag {
        self.queues[place].as_ref().map(Queue::lag).unwrap_or_default()
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
        let others = self.size - queue.bytes;
        let entering = queue.enter(published, keys, others, dropped);
        self.size = others + queue.bytes;
        entering
    }

    /// Takes out the next message of the queue that a ticket is for, if one is left.
    pub(super) fn take(&mut self, place: usize) -> Option<Arc<Published>> {
        let queue = self.queues[place].as_mut()?;
        queue.tickets -= 1;
        let before = queue.bytes;
        let published = queue.pop().map(|(published, _)| published);
        self.size -= before - queue.bytes;
        if queue.waiting.is_empty() {
            queue.rest();
            self.retire(place);
        }
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
        let (seats, policies): (Vec<_>, _) = queues.map(Queue::end).unzip();
        let seats = seats.into_iter().flatten().collect();
        // Nobody takes out what was for them any more.
        let is_left = |queue: &Option<Queue>| queue.as_ref().is_some_and(|queue| queue.is_left);
        let left: Vec<_> = (0..self.queues.len()).filter(|&at| is_left(&self.queues[at])).collect();
        for place in left {
            self.retire(place);
        }
        Ended { seats, policies, messages, retired: self.take_retired() }
    }

    fn retire(&mut self, place: usize) {
        let queue = &mut self.queues[place];
        if queue.as_ref().is_some_and(|queue| queue.is_left && queue.tickets == 0) {
            self.retired.extend(queue.take());
            self.vacant.push(place);
        }
        if self.vacant.len() == self.queues.len() {
            // There were more once perhaps, and need not be again.
            (self.queues, self.vacant) = (Vec::new(), Vec::new());
        }
    }
}

impl Queue {
    fn new(policy: LagPolicy, max_together: usize, seat: Seat) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            tickets: 0,
            keyed: policy.key().map(|_| Box::default()),
            policy,
            max_together,
            dropped: 0,
            replaced: 0,
            seat: Some(seat),
            is_left: false,
        }
    }

    fn lag(&self) -> Lag {
        Lag {
            messages: self.waiting.len(),
            bytes: self.bytes,
            dropped: self.dropped,
            replaced: self.replaced,
        }
    }

    /// Takes a message in; `others` is what waits in the other queues.
    fn enter(
        &mut self,
        published: &Arc<Published>,
        keys: &Keys,
        others: usize,
        dropped: &mut Vec<Arc<Published>>,
    ) -> Entering {
        let key = self.policy.key().and_then(|key| keys.of(key));
        let place = self.place(key.as_ref());
        if let Some(place) = place.filter(|&place| self.is_as_large(place, published)) {
            // For that there is room, whatever else waits.
            dropped.push(self.replace(place, published));
            return Entering::InPlace;
        }
        let size = size(published, key.as_ref());
        match &self.policy.excess {
            _ if self.has_room(size, others) => {}
            Excess::Disconnect => {
                self.dropped += self.waiting.len() as u64 + 1;
                dropped.extend(self.clear());
                return Entering::Disconnect;
            }
            Excess::DropOldest | Excess::Latest(_) if fits(size, others, self.max_together) => {}
            // The others would have to make room.
            Excess::DropNewest | Excess::DropOldest | Excess::Latest(_) => {
                self.dropped += 1;
                return Entering::Refused;
            }
        }
        match place {
            Some(place) => dropped.push(self.replace(place, published)),
            None => self.push(Arc::clone(published), key, size),
        }
        self.shrink(published, others, dropped);
        if self.tickets >= self.waiting.len() {
            return Entering::InPlace;
        }
        self.tickets += 1;
        Entering::Ticket
    }

    fn has_room(&self, size: usize, others: usize) -> bool {
        fits(size, self.bytes, self.policy.max_bytes)
            && fits(size, others + self.bytes, self.max_together)
    }

    fn push(&mut self, published: Arc<Published>, key: Option<KeyBytes>, size: usize) {
        if let Some(keyed) = &mut self.keyed {
            keyed.push(key);
        }
        self.bytes += size;
        self.waiting.push_back(published);
    }

    fn pop(&mut self) -> Option<(Arc<Published>, Option<KeyBytes>)> {
        let published = self.waiting.pop_front()?;
        let key = self.keyed.as_mut().and_then(|keyed| keyed.pop());
        self.bytes -= size(&published, key.as_ref());
        Some((published, key))
    }

    /// Nothing waits: it was behind once perhaps, and need not be again.
    fn rest(&mut self) {
        if self.waiting.capacity() > KEPT {
            self.waiting = VecDeque::new();
            self.keyed = self.keyed.take().map(|_| Box::default());
        }
    }

    /// Drops the oldest messages until there is room again, but not the newest, wherever that is.
    fn shrink(
        &mut self,
        newest: &Arc<Published>,
        others: usize,
        dropped: &mut Vec<Arc<Published>>,
    ) {
        let most = self.policy.max_bytes.min(self.max_together.saturating_sub(others));
        // Each message once at most, so that it ends whatever waits.
        for _ in 0..self.waiting.len() {
            if self.bytes <= most || self.waiting.len() == 1 {
                return;
            }
            let Some((first, key)) = self.pop() else { return };
            if Arc::ptr_eq(&first, newest) {
                let size = size(&first, key.as_ref());
                self.push(first, key, size);
            } else {
                self.dropped += 1;
                dropped.push(first);
            }
        }
    }

    /// Where the message waits that has this key, too.
    fn place(&self, key: Option<&KeyBytes>) -> Option<usize> {
        let keyed = self.keyed.as_ref()?;
        usize::try_from(keyed.places.get(key?)? - keyed.gone).ok()
    }

    fn is_as_large(&self, place: usize, published: &Published) -> bool {
        self.waiting[place].message().len() >= published.message().len()
    }

    fn replace(&mut self, place: usize, published: &Arc<Published>) -> Arc<Published> {
        let old = mem::replace(&mut self.waiting[place], Arc::clone(published));
        self.replaced += 1;
        // The key is the same.
        self.bytes = self.bytes + published.message().len() - old.message().len();
        old
    }

    /// Nothing comes in or goes out any more, and the outbox has dropped the tickets: gives back what the user
    /// may have code in.
    fn end(&mut self) -> (Option<Seat>, LagPolicy) {
        self.tickets = 0;
        (self.seat.take(), mem::take(&mut self.policy))
    }

    fn clear(&mut self) -> VecDeque<Arc<Published>> {
        self.bytes = 0;
        self.keyed = self.keyed.take().map(|_| Box::default());
        mem::take(&mut self.waiting)
    }
}

impl Keyed {
    fn push(&mut self, key: Option<KeyBytes>) {
        if let Some(key) = &key {
            self.places.insert(Arc::clone(key), self.gone + self.keys.len() as u64);
        }
        self.keys.push_back(key);
    }

    fn pop(&mut self) -> Option<KeyBytes> {
        let key = self.keys.pop_front()?;
        self.gone += 1;
        if let Some(key) = &key {
            self.places.remove(key);
        }
        key
    }
}

/// What counts against the bounds: the payload, the key, and what the message itself takes.
fn size(published: &Published, key: Option<&KeyBytes>) -> usize {
    published.message().len() + key.map_or(0, |key| key.len()) + OVERHEAD
}

/// Whether there is room beside what waits: where nothing does, for anything.
fn fits(size: usize, waiting: usize, most: usize) -> bool {
    waiting == 0 || waiting + size <= most
}

/// What a message takes beside its payload, about: here, in the outbox, and of what is shared.
const OVERHEAD: usize = 128;
/// The room for messages that an empty queue keeps.
pub(super) const KEPT: usize = 64;
