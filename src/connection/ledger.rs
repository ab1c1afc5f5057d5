//! [`Ledger`]: what was accepted for sending and is not known to have arrived.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{config::Timer, message::Message};

/// The messages that may be lost if a connection ends: it goes from one connection to the next.
///
/// Written is not arrived. TCP keeps the order, so a pong says that the peer has had all that was sent
/// before its ping (RFC 6455, sections 5.5.2 and 5.5.3): pings of its own, one at a time, are how the
/// ledger asks.
pub(crate) struct Ledger {
    /// How many bytes may be in it for more to be accepted.
    limit: usize,
    /// How far what was accepted goes beyond that: its last message fits whatever its size.
    stretch: usize,
    /// How long to wait after a ping with the next one, while there is room.
    interval: Duration,
    /// That of the connection. Without one there is no waiting.
    timer: Option<Arc<dyn Timer>>,
    link: Link,
    end: End,
    /// Of this connection, and not known to have arrived, in order.
    pending: VecDeque<Message>,
    /// How many messages were sent on this connection, how many have arrived, and after how many the last
    /// ping went out.
    sent: u64,
    arrived: u64,
    asked: u64,
    asked_at: Option<Instant>,
    /// A peer may answer the latest of several pings only: other pongs than ours say so.
    skipped: bool,
    /// What tells our pings from others, and those of one connection from those of another.
    nonce: u64,
    /// Of connections that have ended.
    lost: Vec<Message>,
    /// The size of both, each message counted with a little for itself.
    size: usize,
}

/// Whether there is a connection to send on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Absent,
    Present,
}

/// What the end of the connection means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Another one follows, if that can be had.
    Temporary,
    ForGood,
}

impl Ledger {
    pub(crate) fn new(limit: usize, interval: Duration) -> Self {
        Self {
            limit,
            stretch: 0,
            interval,
            timer: None,
            link: Link::Absent,
            end: End::Temporary,
            pending: VecDeque::new(),
            sent: 0,
            arrived: 0,
            asked: 0,
            asked_at: None,
            skipped: false,
            nonce: 0,
            lost: Vec::new(),
            size: 0,
        }
    }

    /// A connection begins, which may have a clock.
    pub(super) fn connect(&mut self, timer: Option<Arc<dyn Timer>>) {
        (self.sent, self.arrived, self.asked) = (0, 0, 0);
        (self.asked_at, self.skipped) = (None, false);
        self.nonce = rand::random();
        self.timer = timer;
        self.link = Link::Present;
    }

    /// It has ended: what is not known to have arrived may be lost.
    pub(super) fn disconnect(&mut self) {
        self.link = Link::Absent;
        self.lost.extend(mem::take(&mut self.pending));
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link == Link::Present
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn end_for_good(&mut self) {
        self.end = End::ForGood;
    }

    pub(super) fn is_for_good(&self) -> bool {
        self.end == End::ForGood
    }

    /// Whether more is accepted: a message of any size fits as long as the limit is not reached.
    pub(super) fn has_room(&self) -> bool {
        self.size < self.limit
    }

    /// Whether an answer of the peer has to come first for there to be room.
    pub(super) fn awaits_answer(&self) -> bool {
        !self.has_room() && self.arrived < self.sent
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How many bytes there may be of what waits for room.
    pub(super) fn window(&self) -> usize {
        self.limit.saturating_add(self.stretch)
    }

    /// What was just sent waited for room.
    pub(super) fn stretch(&mut self) {
        self.stretch = self.stretch.max(self.size.saturating_sub(self.limit));
    }

    /// A message was accepted, and is sent, unless the connection is about to end, or there is none.
    pub(super) fn keep(&mut self, message: Message, is_sent: bool) {
        self.size += size(&message);
        self.sent += u64::from(is_sent);
        match self.link {
            Link::Present => self.pending.push_back(message),
            Link::Absent => self.lost.push(message),
        }
    }

    /// The payload of a ping behind all that was sent, if one is due.
    pub(super) fn ask(&mut self) -> Option<Bytes> {
        if !self.wants_to_ask() {
            return None;
        }
        let now = self.timer.as_ref().map(|timer| timer.now());
        let passed = now.zip(self.asked_at).map(|(now, at)| now.saturating_duration_since(at));
        let half_full = self.size >= self.limit / 2;
        if !half_full && passed.is_some_and(|passed| passed < self.interval) {
            return None;
        }
        (self.asked, self.asked_at, self.skipped) = (self.sent, now, false);
        let payload = [self.nonce.to_be_bytes(), self.asked.to_be_bytes()].concat();
        Some(payload.into())
    }

    /// When the next ping is due, if one is to be sent.
    pub(super) fn due(&self) -> Option<Instant> {
        let asked_at = self.asked_at.filter(|_| self.wants_to_ask())?;
        asked_at.checked_add(self.interval)
    }

    /// A pong came. Returns whether there is room again.
    pub(super) fn pong(&mut self, payload: &[u8]) -> bool {
        let was_full = !self.has_room();
        match self.position(payload) {
            Some(position) => self.settle(position),
            None => self.skipped = self.asked > self.arrived,
        }
        was_full && self.has_room()
    }

    /// All that was sent has arrived.
    pub(super) fn settle_all(&mut self) {
        self.settle(self.sent);
    }

    pub(super) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// What may be lost, in the order in which it was accepted.
    pub(super) fn take_lost(&mut self) -> Vec<Message> {
        let lost = mem::take(&mut self.lost);
        self.size -= lost.iter().map(size).sum::<usize>();
        lost
    }

    fn wants_to_ask(&self) -> bool {
        self.asked < self.sent && (self.asked <= self.arrived || self.skipped)
    }

    /// After how many messages the ping was sent that this answers, if it is one of ours.
    fn position(&self, payload: &[u8]) -> Option<u64> {
        let (nonce, position) = payload.split_first_chunk()?;
        let position = u64::from_be_bytes(position.try_into().ok()?);
        (u64::from_be_bytes(*nonce) == self.nonce && position <= self.asked).then_some(position)
    }

    /// As many messages of this connection have arrived, at least.
    fn settle(&mut self, position: u64) {
        while self.arrived < position {
            let Some(message) = self.pending.pop_front() else { break };
            self.size -= size(&message);
            self.arrived += 1;
        }
        if self.has_room() {
            self.stretch = 0;
        }
        if self.pending.is_empty() {
            // An idle connection holds nothing.
            self.pending = VecDeque::new();
        }
    }
}

fn size(message: &Message) -> usize {
    message.len() + size_of::<Message>()
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("link", &self.link)
            .field("end", &self.end)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
