//! [`Queue`]: the messages for the other nodes that the broker does not have yet.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::{Notify, watch};
use wsweave::Message;

use crate::{
    engine::Outgoing,
    envelope::{Body, Envelope, HEAD},
    error::UnsentReason,
    node_id::NodeId,
};

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Notify,
    /// How many are out of it, of all that ever were in it.
    confirmed: watch::Sender<u64>,
    max_bytes: usize,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Outgoing>,
    bytes: usize,
    pushed: u64,
    epoch: u64,
    /// Of each topic the number of the last message, of which not all need to be sent.
    numbers: HashMap<Arc<str>, Last>,
    is_closed: bool,
}

/// The last message of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) number: u64,
    pub(crate) at: Instant,
}

impl Queue {
    pub(crate) fn new(max_bytes: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            bytes: 0,
            pushed: 0,
            epoch: micros(),
            numbers: HashMap::new(),
            is_closed: false,
        };
        let (filled, confirmed) = (Notify::new(), watch::Sender::new(0));
        Self { state: Mutex::new(state), filled, confirmed, max_bytes }
    }

    /// A message that is refused has its number all the same: others see that it is missing.
    pub(crate) fn push(
        &self,
        node: NodeId,
        topic: &str,
        subject: Arc<str>,
        message: Message,
        max_message: usize,
    ) -> Result<(), UnsentReason> {
        let len = message.len();
        let mut state = self.lock();
        if state.is_closed {
            return Err(UnsentReason::Closed);
        }
        let sequence = state.next_number(topic);
        if len > max_message {
            return Err(UnsentReason::TooLarge);
        }
        if state.bytes + cost(&subject, HEAD + len) > self.max_bytes {
            return Err(UnsentReason::Full);
        }
        let body = Body::Message(message);
        let envelope = Envelope { origin: node, epoch: state.epoch, sequence, body }.encode();
        state.bytes += cost(&subject, envelope.len());
        state.pushed += 1;
        state.waiting.push_back(Outgoing { subject, envelope, is_kept: true });
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits until there is something in it. One may wait at a time.
    pub(crate) async fn filled(&self) {
        while self.lock().waiting.is_empty() {
            self.filled.notified().await;
        }
    }

    /// What is to be sent next; it stays until it [was](Self::confirm).
    pub(crate) fn batch(&self) -> Vec<Outgoing> {
        let mut bytes = 0;
        let fits = |outgoing: &&Outgoing| {
            bytes += outgoing.envelope.len();
            bytes <= MAX_BATCH_BYTES || bytes == outgoing.envelope.len()
        };
        self.lock().waiting.iter().take(MAX_BATCH).take_while(fits).cloned().collect()
    }

    /// So many from the front have been sent.
    pub(crate) fn confirm(&self, count: usize) {
        let mut state = self.lock();
        let sent: Vec<_> = state.waiting.drain(..count).collect();
        let cost = |sent: &Outgoing| cost(&sent.subject, sent.envelope.len());
        state.bytes -= sent.iter().map(cost).sum::<usize>();
        drop(state);
        self.confirmed.send_modify(|confirmed| *confirmed += count as u64);
    }

    /// Waits until all that is in it now has been sent.
    pub(crate) async fn flushed(&self) {
        let pushed = self.lock().pushed;
        let mut confirmed = self.confirmed.subscribe();
        // It is there as long as this is.
        let _ = confirmed.wait_for(|confirmed| *confirmed >= pushed).await;
    }

    /// The last messages of the topics, if all of them were sent, and the epoch in which they are.
    pub(crate) fn sent(&self) -> (u64, HashMap<Arc<str>, Last>) {
        let state = self.lock();
        let is_sent = state.waiting.is_empty();
        (state.epoch, if is_sent { state.numbers.clone() } else { HashMap::new() })
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// How many messages wait, and of how many bytes.
    pub(crate) fn len(&self) -> (usize, usize) {
        let state = self.lock();
        (state.waiting.len(), state.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_number(&mut self, topic: &str) -> u64 {
        let at = Instant::now();
        if let Some(last) = self.numbers.get_mut(topic) {
            *last = Last { number: last.number + 1, at };
            return last.number;
        }
        if self.numbers.len() >= MAX_NUMBERED {
            self.numbers.clear();
            self.epoch = micros().max(self.epoch + 1);
        }
        self.numbers.insert(topic.into(), Last { number: 1, at });
        1
    }
}

/// What an envelope counts: also for its place in the queue.
fn cost(subject: &str, len: usize) -> usize {
    subject.len() + len + size_of::<Outgoing>()
}

fn micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// With more topics than that it counts anew, in another epoch.
const MAX_NUMBERED: usize = 65_536;
const MAX_BATCH: usize = 1_024;
const MAX_BATCH_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;
