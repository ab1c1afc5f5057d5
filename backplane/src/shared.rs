//! [`Shared`]: what a backplane and its connection have in common.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Instant,
};

use bytes::Bytes;
use tokio::sync::{broadcast, watch};
use wsweave::{Group, Message};

use crate::{
    broker::Limits,
    envelope::{Body, Envelope, HEAD, Invalid},
    error::{Error, Unsent, UnsentReason},
    events::Event,
    local::Local,
    node_id::NodeId,
    positions::{Missing, Observed, Positions},
    presence::{Nodes, Presence},
    queue::Queue,
    stats::Counters,
    status::Status,
    subject::{Subjects, is_topic},
};

pub(crate) struct Shared {
    pub(crate) node: NodeId,
    pub(crate) group: Group,
    pub(crate) limits: Limits,
    pub(crate) subjects: Subjects,
    pub(crate) queue: Queue,
    pub(crate) local: Local,
    pub(crate) counters: Counters,
    pub(crate) status: watch::Sender<Status>,
    /// Set once, by whoever closes the backplane.
    pub(crate) is_closing: watch::Sender<bool>,
    /// Counts what was subscribed, so that one can wait for that.
    pub(crate) subscriptions: watch::Sender<u64>,
    /// How many beats there were.
    pub(crate) rounds: AtomicU64,
    /// Since when we were not connected, however many attempts there are.
    lost: Mutex<Option<Instant>>,
    events: broadcast::Sender<Event>,
    positions: Mutex<Positions>,
    nodes: Mutex<Nodes>,
    /// The topics that are, or why one cannot be.
    subscribed: Mutex<HashMap<Arc<str>, Result<(), Error>>>,
}

impl Shared {
    pub(crate) fn new(group: &Group, limits: Limits) -> Result<Self, Error> {
        Ok(Self {
            node: NodeId::random(),
            group: group.clone(),
            subjects: Subjects::new(&limits.prefix)?,
            queue: Queue::new(limits.max_queue),
            local: Local::default(),
            counters: Counters::default(),
            status: watch::Sender::new(Status::Connecting),
            is_closing: watch::Sender::new(false),
            subscriptions: watch::Sender::new(0),
            rounds: AtomicU64::new(1),
            lost: Mutex::default(),
            events: broadcast::Sender::new(limits.max_events),
            positions: Mutex::new(Positions::new(limits.max_nodes)),
            nodes: Mutex::new(Nodes::new(limits.max_nodes, limits.max_topics)),
            subscribed: Mutex::default(),
            limits,
        })
    }

    pub(crate) fn publish(
        &self,
        topic: &str,
        message: Message,
        local: impl FnOnce(&Group, Message) -> usize,
    ) -> Result<usize, Unsent> {
        if !is_topic(topic) {
            let unsent = Unsent { reason: UnsentReason::InvalidTopic, message, delivered: 0 };
            self.unsent(topic.chars().take(255).collect::<String>().into(), unsent.reason);
            return Err(unsent);
        }
        let delivered = local(&self.group, message.clone());
        let (subject, max) = (self.subjects.topic(topic), self.limits.max_message);
        match self.queue.push(self.node, topic, subject, message.clone(), max) {
            Ok(()) => Ok(delivered),
            Err(reason) => {
                self.unsent(topic.into(), reason);
                Err(Unsent { reason, message, delivered })
            }
        }
    }

    pub(crate) fn unsent(&self, topic: Arc<str>, reason: UnsentReason) {
        self.counters.unsent.add(1);
        self.tell(Event::Unsent { topic, reason });
    }

    /// The broker does not do what we want.
    pub(crate) fn refused(&self, topic: Option<&Arc<str>>, error: Error) {
        self.tell(Event::Refused { topic: topic.cloned(), error });
    }

    /// Reads an envelope, or says why it is none.
    pub(crate) fn parse(&self, topic: Option<&Arc<str>>, bytes: Bytes) -> Option<Envelope> {
        let max = if topic.is_some() { self.limits.max_message } else { MAX_BEAT };
        let max = max.saturating_add(HEAD);
        let parsed =
            if bytes.len() > max { Err(Invalid::TooLarge) } else { Envelope::parse(bytes) };
        let parsed = parsed.and_then(|envelope| {
            let is_message = matches!(envelope.body, Body::Message(_));
            if is_message == topic.is_some() { Ok(envelope) } else { Err(Invalid::Malformed) }
        });
        let invalid = |reason: &Invalid| {
            self.counters.invalid.add(1);
            self.tell(Event::Invalid { topic: topic.cloned(), reason: *reason });
        };
        parsed.inspect_err(invalid).ok()
    }

    /// Gives a message of another node to the members, unless they have it.
    pub(crate) fn deliver(&self, topic: &Arc<str>, envelope: Envelope, at: Instant) -> Observed {
        let observed = self.positions().observe(topic, &envelope, at);
        let Observed::New { missed } = observed else { return observed };
        if missed > 0 {
            let (topic, node) = (Arc::clone(topic), envelope.origin);
            self.miss(Missing { topic, node, missed });
        }
        if let Body::Message(message) = envelope.body {
            self.counters.received.add(1);
            self.group.publish(topic, message);
        }
        observed
    }

    pub(crate) fn miss(&self, Missing { topic, node, missed }: Missing) {
        self.counters.gaps.add(1);
        self.counters.missed.add(missed);
        self.tell(Event::Gap { topic, node, missed });
    }

    /// Takes in what a node says about itself; tells whether it is a new one. It was there when that came; what
    /// it speaks of may have waited somewhere since the run began that it came in.
    pub(crate) fn hear(&self, envelope: Envelope, at: Instant, came: Instant) -> bool {
        let Envelope { origin, epoch, sequence, body } = envelope;
        let entries = match body {
            Body::Beat(entries) | Body::Changes(entries) => entries,
            Body::Farewell => {
                let removed = self.nodes().remove(origin);
                if let Some(topics) = removed {
                    self.left(origin, topics);
                }
                return false;
            }
            Body::Message(_) => return false,
        };
        let heard = self.nodes().hear(origin, sequence, &entries, came);
        let Some(heard) = heard else {
            self.counters.ignored.add(1);
            return false;
        };
        let mut positions = self.positions();
        for entry in entries.iter().filter(|entry| entry.last > 0) {
            positions.claim(&entry.topic, origin, epoch, entry.last, at);
        }
        drop(positions);
        if heard.is_new {
            self.tell(Event::NodeJoined(origin));
        }
        self.tell_presence(heard.topics);
        heard.is_new
    }

    /// Who was there when the connection was lost has time to say so again.
    pub(crate) fn spare_nodes(&self, now: Instant) {
        self.nodes().spare(now);
    }

    pub(crate) fn expire(&self, now: Instant) {
        let silent = self.nodes().expire(now, self.limits.silence());
        for (node, topics) in silent {
            self.left(node, topics);
        }
    }

    fn left(&self, node: NodeId, topics: Vec<Arc<str>>) {
        self.tell(Event::NodeLeft(node));
        self.tell_presence(topics);
    }

    pub(crate) fn tell_presence(&self, topics: impl IntoIterator<Item = Arc<str>>) {
        for topic in topics {
            let total = self.presence(&topic).total;
            self.tell(Event::Presence { topic, total });
        }
    }

    pub(crate) fn presence(&self, topic: &str) -> Presence {
        let local = self.group.member_count(topic);
        self.nodes().presence(topic, local)
    }

    pub(crate) fn node_ids(&self) -> Vec<NodeId> {
        self.nodes().ids()
    }

    pub(crate) fn subscribe_events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub(crate) fn tell(&self, event: Event) {
        // It fails when nobody listens.
        let _ = self.events.send(event);
    }

    /// Whether a topic is subscribed, or why it cannot be; `None` if nothing is known yet.
    pub(crate) fn subscription(&self, topic: &str) -> Option<Result<(), Error>> {
        self.subscribed().get(topic).cloned()
    }

    pub(crate) fn enter_topics<'a>(&self, topics: impl Iterator<Item = &'a Arc<str>>) {
        self.subscribed().extend(topics.map(|topic| (Arc::clone(topic), Ok(()))));
        self.subscriptions.send_modify(|count| *count += 1);
    }

    pub(crate) fn refuse_topic(&self, topic: &Arc<str>, error: Error) {
        self.subscribed().insert(Arc::clone(topic), Err(error.clone()));
        self.subscriptions.send_modify(|count| *count += 1);
        self.refused(Some(topic), error);
    }

    /// Unless somebody has joined it meanwhile. Whoever joins behind this finds that it is not subscribed.
    pub(crate) fn leave_topic(&self, topic: &str) -> bool {
        let mut subscribed = self.subscribed();
        let is_left = self.group.members(topic).is_empty();
        if is_left {
            subscribed.remove(topic);
        }
        is_left
    }

    /// The last one is `Closed`.
    pub(crate) fn set_status(&self, status: Status) {
        self.change_status(|before| {
            if matches!(status, Status::Connected) {
                *self.lost() = None;
            }
            *before = status;
        });
    }

    fn change_status(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_if_modified(|status| {
            let is_open = !matches!(status, Status::Closed);
            if is_open {
                change(status);
            }
            is_open
        });
    }

    /// Nothing comes any more.
    pub(crate) fn disconnected(&self, error: &Error) {
        self.subscribed().clear();
        self.local.disconnected();
        let mut is_news = false;
        self.change_status(|status| {
            let mut lost = self.lost();
            is_news = lost.is_none();
            let since = *lost.get_or_insert_with(Instant::now);
            *status = Status::Disconnected { since, error: error.clone() };
        });
        if is_news {
            self.tell(Event::Disconnected(error.clone()));
        }
    }

    pub(crate) fn positions(&self) -> MutexGuard<'_, Positions> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self) -> MutexGuard<'_, Option<Instant>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribed(&self) -> MutexGuard<'_, HashMap<Arc<str>, Result<(), Error>>> {
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A beat comes in parts that are no larger.
pub(crate) const MAX_BEAT: usize = 64 << 10;

#[cfg(test)]
mod tests;
