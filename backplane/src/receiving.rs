//! The half of a connection that receives: subscriptions, messages, and what other nodes say of themselves.

use std::{
    collections::{HashMap, HashSet},
    future::ready,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    driver::{connected, within},
    engine::{Receiver, Sender},
    error::{Error, ErrorKind},
    positions::Observed,
    shared::Shared,
    status::Status,
};

/// Returns when the connection is lost.
pub(crate) async fn run(shared: &Shared, sender: &impl Sender, receiver: impl Receiver) -> Error {
    let receiving = Receiving {
        shared,
        sender,
        receiver,
        topics: HashMap::new(),
        behind: HashSet::new(),
        heard: Instant::now(),
    };
    match receiving.run().await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

struct Receiving<'a, S, R> {
    shared: &'a Shared,
    sender: &'a S,
    receiver: R,
    /// What is subscribed, by subject.
    topics: HashMap<Arc<str>, Arc<str>>,
    /// The topics that were subscribed again, of which what was missed has not been read yet.
    behind: HashSet<Arc<str>>,
    /// When something came, be it our own beat.
    heard: Instant,
}

impl<S: Sender, R: Receiver> Receiving<'_, S, R> {
    async fn run(mut self) -> Result<std::convert::Infallible, Error> {
        let shared = self.shared;
        shared.status.send_replace(Status::Connecting);
        let presence = [Arc::clone(&shared.subjects.presence)];
        within(shared.limits.timeout, self.receiver.subscribe(&presence)).await?;
        self.follow_topics().await?;
        connected(shared);
        let mut ticks = interval(shared.limits.heartbeat);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = self.receiver.next() => {
                    let (subject, bytes) = received?;
                    self.receive(&subject, bytes).await?;
                }
                () = shared.local.unsubscribed() => self.follow_topics().await?,
                () = ready(()), if !self.behind.is_empty() => {
                    let topic = self.behind.iter().next().cloned();
                    self.catch_up(topic.as_ref()).await?;
                }
                _ = ticks.tick() => self.tick().await?,
            }
        }
    }

    async fn receive(&mut self, subject: &Arc<str>, bytes: Bytes) -> Result<(), Error> {
        let shared = self.shared;
        self.heard = Instant::now();
        let topic = self.topics.get(subject).cloned();
        if topic.is_none() && *subject != shared.subjects.presence {
            // It was on its way when the topic was left.
            return Ok(());
        }
        let Some(envelope) = shared.parse(topic.as_ref(), bytes) else { return Ok(()) };
        if envelope.origin == shared.node {
            return Ok(());
        }
        let Some(topic) = topic else {
            if shared.hear(envelope) {
                shared.local.announce_all();
            }
            return Ok(());
        };
        if shared.limits.replay.is_some() {
            let observed = shared.positions().look(&topic, &envelope);
            let is_gap = matches!(observed, Observed::New { missed: 1.. });
            if is_gap || self.behind.contains(&topic) {
                self.catch_up(Some(&topic)).await?;
            }
        }
        if shared.deliver(&topic, envelope) == Observed::Duplicate {
            shared.counters.duplicates.add(1);
        }
        Ok(())
    }

    /// Subscribes and unsubscribes what has changed among the local topics.
    async fn follow_topics(&mut self) -> Result<(), Error> {
        let shared = self.shared;
        let (wanted, unwanted) = shared.local.take_unsubscribed();
        for topics in wanted.chunks(MAX_CHUNK) {
            self.subscribe(topics).await?;
        }
        for topics in unwanted.chunks(MAX_CHUNK) {
            let subjects: Vec<_> =
                topics.iter().map(|topic| shared.subjects.topic(topic)).collect();
            for (topic, subject) in topics.iter().zip(&subjects) {
                self.topics.remove(subject);
                self.behind.remove(topic);
                shared.positions().close(topic);
            }
            shared.set_subscribed(topics, false);
            within(shared.limits.timeout, self.receiver.unsubscribe(&subjects)).await?;
        }
        Ok(())
    }

    async fn subscribe(&mut self, topics: &[Arc<str>]) -> Result<(), Error> {
        let shared = self.shared;
        for topic in topics {
            if shared.limits.replay.is_some() && !shared.positions().has(topic) {
                self.skip(topic).await?;
            }
            shared.positions().open(topic);
        }
        let subjects: Vec<_> = topics.iter().map(|topic| shared.subjects.topic(topic)).collect();
        within(shared.limits.timeout, self.receiver.subscribe(&subjects)).await?;
        self.topics.extend(subjects.into_iter().zip(topics.iter().cloned()));
        if shared.limits.replay.is_some() {
            self.behind.extend(topics.iter().cloned());
        }
        shared.set_subscribed(topics, true);
        Ok(())
    }

    /// What is there before the first member is, no member has missed.
    async fn skip(&mut self, topic: &Arc<str>) -> Result<(), Error> {
        let shared = self.shared;
        let stored = self.stored(topic).await?;
        let mut positions = shared.positions();
        positions.open(topic);
        for envelope in stored.into_iter().filter_map(|bytes| shared.parse(Some(topic), bytes)) {
            positions.observe(topic, &envelope, Instant::now());
        }
        Ok(())
    }

    /// Reads from what the broker has kept what has not come.
    async fn catch_up(&mut self, topic: Option<&Arc<str>>) -> Result<(), Error> {
        let (shared, Some(topic)) = (self.shared, topic) else { return Ok(()) };
        self.behind.remove(topic);
        for bytes in self.stored(topic).await? {
            let envelope = shared.parse(Some(topic), bytes);
            if let Some(envelope) = envelope.filter(|envelope| envelope.origin != shared.node) {
                shared.deliver(topic, envelope);
            }
        }
        Ok(())
    }

    async fn stored(&mut self, topic: &Arc<str>) -> Result<Vec<Bytes>, Error> {
        let (limits, subject) = (&self.shared.limits, self.shared.subjects.topic(topic));
        let max = limits.replay.map_or(0, |retention| retention.max_messages);
        within(limits.timeout, self.sender.stored(&subject, max)).await
    }

    async fn tick(&mut self) -> Result<(), Error> {
        let (shared, patience) = (self.shared, self.shared.limits.heartbeat);
        // Our own beats should come at the least.
        if self.heard.elapsed() > shared.limits.silence() + shared.limits.timeout {
            return Err(Error::new(ErrorKind::Timeout, "the broker has fallen silent"));
        }
        shared.expire();
        if shared.limits.replay.is_some() {
            let overdue = shared.positions().overdue(Instant::now(), patience);
            for topic in overdue {
                self.catch_up(Some(&topic)).await?;
            }
        }
        let missing = shared.positions().give_up(Instant::now(), patience);
        for missing in missing {
            shared.miss(missing);
        }
        Ok(())
    }
}

const MAX_CHUNK: usize = 500;
