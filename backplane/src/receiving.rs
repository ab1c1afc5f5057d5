//! The half of a connection that receives: subscriptions, messages, and what other nodes say of themselves.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    task::coop::consume_budget,
    time::{MissedTickBehavior, interval},
};

use crate::{
    driver::{connected, within},
    engine::{Cursor, Receiver, Sender, Stored},
    envelope::Envelope,
    error::{Error, ErrorKind, UnsentReason},
    inbox::{Arrival, Inbox, Refused, What},
    node_id::NodeId,
    positions::Observed,
    shared::Shared,
    status::Status,
};

/// Returns when the connection is lost.
pub(crate) async fn run(
    shared: &Shared,
    sender: &impl Sender,
    receiver: impl Receiver,
    inbox: Inbox,
) -> Error {
    match Receiving::new(shared, sender, receiver, inbox).run().await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

struct Receiving<'a, S, R> {
    shared: &'a Shared,
    sender: &'a S,
    receiver: R,
    inbox: Inbox,
    /// What is subscribed, by subject.
    topics: HashMap<Arc<str>, Arc<str>>,
    /// The topics of which what was missed has to be read first.
    behind: HashMap<Arc<str>, Behind>,
    /// The bytes that wait for that.
    parked: usize,
    /// Those of them that nobody reads yet.
    to_read: VecDeque<Arc<str>>,
    reads: FuturesUnordered<BoxFuture<'static, Read>>,
    /// How many were begun.
    read: u64,
    /// What they have brought, and is handed out some at a time: beats go out between.
    found: VecDeque<Found>,
}

/// A topic of which something is missing that the broker may have kept. What comes meanwhile waits, so that
/// the order stays.
#[derive(Default)]
struct Behind {
    reading: Reading,
    has_failed: bool,
    /// What it was read again for.
    read_for: Option<(NodeId, u64, u64)>,
    parked: VecDeque<(Envelope, Instant)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    Waiting,
    /// Which read it is, since when, and how much was dropped before.
    Begun { read: u64, since: Instant, overrun: u64 },
    /// It is tried again with the next tick.
    Failed,
}

struct Read {
    topic: Arc<str>,
    reading: Reading,
    stored: Result<Stored, Error>,
}

/// What a read has brought.
struct Found {
    topic: Arc<str>,
    reading: Reading,
    envelopes: std::vec::IntoIter<Bytes>,
    end: Option<Cursor>,
    since: Instant,
    overrun: u64,
    /// Whether the broker could be asked.
    is_read: bool,
}

impl<'a, S: Sender, R: Receiver> Receiving<'a, S, R> {
    fn new(shared: &'a Shared, sender: &'a S, receiver: R, inbox: Inbox) -> Self {
        Self {
            shared,
            sender,
            receiver,
            inbox,
            topics: HashMap::new(),
            behind: HashMap::new(),
            parked: 0,
            to_read: VecDeque::new(),
            reads: FuturesUnordered::new(),
            read: 0,
            found: VecDeque::new(),
        }
    }

    async fn run(mut self) -> Result<Infallible, Error> {
        let shared = self.shared;
        shared.set_status(Status::Connecting);
        shared.spare_nodes(Instant::now());
        let presence = [Arc::clone(&shared.subjects.presence)];
        within(shared.limits.timeout, self.receiver.subscribe(&presence)).await?;
        self.follow_topics().await?;
        connected(shared);
        let mut ticks = interval(shared.limits.heartbeat);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.begin_reads();
            tokio::select! {
                arrival = self.inbox.next() => self.arrived(arrival?),
                () = shared.local.unsubscribed() => self.follow_topics().await?,
                Some(read) = self.reads.next() => self.finish(read),
                () = consume_budget(), if !self.found.is_empty() => self.hand_out(),
                _ = ticks.tick() => self.tick()?,
            }
        }
    }

    fn arrived(&mut self, Arrival { at, came, what }: Arrival) {
        let shared = self.shared;
        match what {
            What::Envelope { subject, bytes } => self.receive(&subject, bytes, at, came),
            What::Refused(Refused::Publish(subject, error)) => {
                let topic = shared.subjects.topic_of(&subject);
                shared.refused(Some(&topic), error);
                shared.unsent(topic, UnsentReason::Refused);
            }
            What::Refused(Refused::Subscribe(subject, error)) => {
                if let Some(topic) = self.topics.remove(&subject) {
                    self.refuse_topic(&topic, error);
                }
            }
            What::Refused(Refused::Other(error)) => shared.refused(None, error),
        }
    }

    fn receive(&mut self, subject: &Arc<str>, bytes: Bytes, at: Instant, came: Instant) {
        let shared = self.shared;
        let topic = self.topics.get(subject).cloned();
        if topic.is_none() && *subject != shared.subjects.presence {
            // It was on its way when the topic was left.
            return;
        }
        let Some(envelope) = shared.parse(topic.as_ref(), bytes) else { return };
        if envelope.origin == shared.node {
            return;
        }
        let Some(topic) = topic else {
            if shared.hear(envelope, at, came) {
                shared.local.announce_all();
            }
            return;
        };
        if shared.limits.replay.is_some() {
            let observed = shared.positions().look(&topic, &envelope);
            if matches!(observed, Observed::New { missed: 1.. }) {
                self.fall_behind(&topic);
            }
        }
        match self.behind.get_mut(&topic) {
            Some(behind) if self.parked + cost(&envelope) <= shared.limits.max_inbox => {
                self.parked += cost(&envelope);
                behind.parked.push_back((envelope, at));
            }
            Some(_) => shared.counters.overrun.add(1),
            None => self.deliver(&topic, envelope, at),
        }
    }

    fn deliver(&self, topic: &Arc<str>, envelope: Envelope, at: Instant) {
        if self.shared.deliver(topic, envelope, at) == Observed::Duplicate {
            self.shared.counters.duplicates.add(1);
        }
    }

    /// Subscribes and unsubscribes what has changed among the local topics.
    async fn follow_topics(&mut self) -> Result<(), Error> {
        let shared = self.shared;
        let (wanted, unwanted) = shared.local.take_unsubscribed();
        // At once, so that nothing is forgotten if the broker goes away meanwhile.
        let mut subjects = Vec::new();
        for topic in unwanted.into_iter().filter(|topic| shared.leave_topic(topic)) {
            self.forget(&topic);
            let subject = shared.subjects.topic(&topic);
            if self.topics.remove(&subject).is_some() {
                subjects.push(subject);
            }
        }
        for subjects in subjects.chunks(MAX_CHUNK) {
            within(shared.limits.timeout, self.receiver.unsubscribe(subjects)).await?;
        }
        let wanted = wanted.into_iter().map(|topic| (shared.subjects.topic(&topic), topic));
        // The last member may have left, and another one come.
        let wanted: Vec<_> =
            wanted.filter(|(subject, _)| !self.topics.contains_key(subject)).collect();
        self.open(&wanted).await;
        for topics in wanted.chunks(MAX_CHUNK) {
            self.subscribe(topics).await?;
        }
        Ok(())
    }

    /// Counts from now on, and finds out where to read what is missed from now on: what is there before the
    /// first member is, no member has missed.
    async fn open(&mut self, topics: &[(Arc<str>, Arc<str>)]) {
        let shared = self.shared;
        let (mut unknown, mut known) = (Vec::new(), Vec::new());
        {
            let mut positions = shared.positions();
            for (_, topic) in topics {
                let topics =
                    if positions.cursor(topic).is_some() { &mut known } else { &mut unknown };
                topics.push(topic);
                positions.open(topic);
            }
        }
        // We were away.
        for topic in known {
            self.fall_behind(topic);
        }
        if unknown.is_empty() || shared.limits.replay.is_none() {
            return;
        }
        match within(shared.limits.timeout, self.sender.end()).await {
            Ok(end) => {
                for topic in unknown {
                    shared.positions().move_cursor(topic, end.clone());
                }
            }
            Err(error) => shared.refused(None, error),
        }
    }

    async fn subscribe(&mut self, topics: &[(Arc<str>, Arc<str>)]) -> Result<(), Error> {
        match self.try_subscribe(topics).await {
            Err(error) if error.kind() == ErrorKind::Denied => {
                // It may be for one of them.
                for topic in topics {
                    match self.try_subscribe(std::slice::from_ref(topic)).await {
                        Err(error) if error.kind() == ErrorKind::Denied => {
                            self.refuse_topic(&topic.1, error);
                        }
                        result => result?,
                    }
                }
                Ok(())
            }
            result => result,
        }
    }

    async fn try_subscribe(&mut self, topics: &[(Arc<str>, Arc<str>)]) -> Result<(), Error> {
        let subjects: Vec<_> = topics.iter().map(|(subject, _)| Arc::clone(subject)).collect();
        within(self.shared.limits.timeout, self.receiver.subscribe(&subjects)).await?;
        self.topics.extend(topics.iter().cloned());
        self.shared.enter_topics(topics.iter().map(|(_, topic)| topic));
        Ok(())
    }

    fn refuse_topic(&mut self, topic: &Arc<str>, error: Error) {
        self.forget(topic);
        self.shared.refuse_topic(topic, error);
    }

    /// Nothing of it is missed any more.
    fn forget(&mut self, topic: &Arc<str>) {
        self.shared.positions().close(topic);
        if let Some(behind) = self.behind.remove(topic) {
            self.parked -= behind.cost();
        }
    }

    /// What is missing in a topic is to be read.
    fn fall_behind(&mut self, topic: &Arc<str>) {
        if !self.behind.contains_key(topic) {
            self.behind.insert(Arc::clone(topic), Behind::default());
            self.to_read.push_back(Arc::clone(topic));
        }
    }

    /// A few at a time.
    fn begin_reads(&mut self) {
        let shared = self.shared;
        while self.reads.len() + self.found.len() < MAX_READS {
            let Some(topic) = self.to_read.pop_front() else { return };
            let Some(behind) = self.behind.get_mut(&topic) else { continue };
            if behind.reading != Reading::Waiting {
                continue;
            }
            self.read += 1;
            let (since, overrun) = (self.inbox.clock(), shared.counters.overrun.get());
            let reading = Reading::Begun { read: self.read, since, overrun };
            behind.reading = reading;
            let after = shared.positions().cursor(&topic);
            let (sender, subject) = (self.sender.clone(), shared.subjects.topic(&topic));
            let max = shared.limits.replay.map_or(0, |retention| retention.max_messages);
            let limit = shared.limits.timeout;
            let read = async move {
                let stored = match after {
                    Some(after) => within(limit, sender.stored(&subject, Some(&after), max)).await,
                    // That it is not known was told.
                    None => Ok(Stored::default()),
                };
                Read { topic, reading, stored }
            };
            self.reads.push(read.boxed());
        }
    }

    fn finish(&mut self, Read { topic, reading, stored }: Read) {
        let shared = self.shared;
        // It may have been left meanwhile, and even joined again.
        let behind = self.behind.get_mut(&topic).filter(|behind| behind.reading == reading);
        let (Some(behind), Reading::Begun { since, overrun, .. }) = (behind, reading) else {
            return;
        };
        let mut is_read = true;
        let Stored { envelopes, end } = match stored {
            Ok(stored) => stored,
            Err(error) if error.kind() != ErrorKind::Denied && !behind.has_failed => {
                (behind.reading, behind.has_failed) = (Reading::Failed, true);
                return;
            }
            Err(error) => {
                shared.refused(Some(&topic), error);
                is_read = false;
                Stored::default()
            }
        };
        let envelopes = envelopes.into_iter();
        let found = Found { topic, reading, envelopes, end, since, overrun, is_read };
        self.found.push_back(found);
    }

    /// Gives some of what was read to the members, and then some of what has waited for that.
    fn hand_out(&mut self) {
        let Some(mut found) = self.found.pop_front() else { return };
        for _ in 0..MAX_HANDED {
            if !self.hand_out_one(&mut found) {
                return;
            }
        }
        self.found.push_front(found);
    }

    /// Tells whether there may be more.
    fn hand_out_one(&mut self, found: &mut Found) -> bool {
        let (shared, topic) = (self.shared, &found.topic);
        // It may have been left meanwhile.
        let behind = self.behind.get_mut(topic).filter(|behind| behind.reading == found.reading);
        let Some(behind) = behind else { return false };
        if let Some(bytes) = found.envelopes.next() {
            let envelope = shared.parse(Some(topic), bytes);
            if let Some(envelope) = envelope.filter(|envelope| envelope.origin != shared.node) {
                shared.deliver(topic, envelope, found.since);
            }
            return true;
        }
        if let Some(end) = found.end.take() {
            shared.positions().move_cursor(topic, end);
        }
        let Some((envelope, at)) = behind.parked.pop_front() else {
            self.behind.remove(topic);
            let patience = shared.limits.heartbeat;
            let missing = shared.positions().give_up(Some(topic), found.since, patience);
            for missing in missing {
                shared.miss(missing);
            }
            return false;
        };
        // What was dropped behind the end of the read may be kept, too. Once it is read again for a message, all
        // that was kept before that has come.
        let front = Some((envelope.origin, envelope.epoch, envelope.sequence));
        let was_overrun = shared.counters.overrun.get() > found.overrun;
        let reads_on = found.is_read && was_overrun && behind.read_for != front;
        let observed = shared.positions().look(topic, &envelope);
        if reads_on && matches!(observed, Observed::New { missed: 1.. }) {
            behind.parked.push_front((envelope, at));
            (behind.reading, behind.has_failed) = (Reading::Waiting, false);
            behind.read_for = front;
            self.to_read.push_back(Arc::clone(topic));
            return false;
        }
        self.parked -= cost(&envelope);
        self.deliver(topic, envelope, at);
        true
    }

    fn tick(&mut self) -> Result<(), Error> {
        let (shared, patience) = (self.shared, self.shared.limits.heartbeat);
        // Our own beats should come at the least.
        if self.inbox.heard().elapsed() > shared.limits.silence() + shared.limits.timeout {
            return Err(Error::new(ErrorKind::Timeout, "the broker has fallen silent"));
        }
        // What waits in the inbox is not silence.
        let now = self.inbox.clock();
        shared.expire(now);
        for (topic, behind) in &mut self.behind {
            if behind.reading == Reading::Failed {
                behind.reading = Reading::Waiting;
                self.to_read.push_back(Arc::clone(topic));
            }
        }
        if shared.limits.replay.is_some() {
            let overdue = shared.positions().overdue(now, patience);
            for topic in &overdue {
                self.fall_behind(topic);
            }
        } else {
            let missing = shared.positions().give_up(None, now, patience);
            for missing in missing {
                shared.miss(missing);
            }
        }
        Ok(())
    }
}

impl Behind {
    fn cost(&self) -> usize {
        self.parked.iter().map(|(envelope, _)| cost(envelope)).sum()
    }
}

fn cost(envelope: &Envelope) -> usize {
    envelope.len() + size_of::<(Envelope, Instant)>()
}

/// With NATS that takes two answers.
const MAX_CHUNK: usize = 50;
/// Each of them has a consumer at NATS.
const MAX_READS: usize = 8;
const MAX_HANDED: usize = 32;

#[cfg(test)]
mod tests;
