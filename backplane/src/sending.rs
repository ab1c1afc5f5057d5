//! The half of a connection that sends: what is queued, beats, and the requests for history.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    driver::{End, within},
    engine::{Outgoing, Refusal, Sender},
    envelope::{Body, Entry, Envelope},
    error::{Error, UnsentReason},
    queue::Last,
    shared::{MAX_BEAT, Shared},
};

/// Someone asks for what the broker has kept.
pub(crate) struct History {
    pub(crate) subject: Arc<str>,
    pub(crate) max: usize,
    pub(crate) reply: oneshot::Sender<Result<Vec<Bytes>, Error>>,
}

pub(crate) async fn run(
    shared: &Arc<Shared>,
    sender: &impl Sender,
    requests: &mut mpsc::Receiver<History>,
    closing: watch::Receiver<bool>,
) -> End {
    let sending = Sending { shared, sender, announcement: None, answers: JoinSet::new() };
    match sending.run(requests, closing).await {
        Ok(()) => End::Closed,
        Err(error) => End::Lost(error),
    }
}

struct Sending<'a, S> {
    shared: &'a Shared,
    sender: &'a S,
    /// When the changes of presence go out: a little later, so that several go at once.
    announcement: Option<Instant>,
    /// The requests that the broker works on.
    answers: JoinSet<()>,
}

impl<S: Sender> Sending<'_, S> {
    /// Returns when the backplane was closed.
    async fn run(
        mut self,
        requests: &mut mpsc::Receiver<History>,
        mut closing: watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let (shared, heartbeat) = (self.shared, self.shared.limits.heartbeat);
        let mut beats = interval(heartbeat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_closing = *closing.borrow_and_update();
            if is_closing && shared.queue.is_empty() {
                return self.say(vec![Body::Farewell]).await;
            }
            let announcement = self.announcement;
            tokio::select! {
                _ = beats.tick() => self.beat().await?,
                () = shared.queue.filled() => self.send_queued().await?,
                () = shared.local.unannounced(), if announcement.is_none() => {
                    self.announcement = Some(Instant::now() + GATHERING);
                }
                () = until(announcement) => self.announce().await?,
                Some(_) = self.answers.join_next() => {}
                Some(request) = requests.recv(), if self.answers.len() < MAX_ANSWERS => {
                    self.answer(request);
                }
                _ = closing.changed() => {}
            }
        }
    }

    async fn send_queued(&self) -> Result<(), Error> {
        let shared = self.shared;
        let batch = shared.queue.batch();
        let (count, max) = (batch.len(), self.sender.max_envelope());
        let (batch, large): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|outgoing| outgoing.envelope.len() <= max);
        let refusals = self.send(&batch).await?;
        shared.counters.sent.add((batch.len() - refusals.len()) as u64);
        for outgoing in large {
            let topic = shared.subjects.topic_of(&outgoing.subject);
            shared.unsent(topic, UnsentReason::TooLarge);
        }
        for Refusal { index, reason, error } in refusals {
            let topic = shared.subjects.topic_of(&batch[index].subject);
            shared.refused(Some(&topic), error);
            shared.unsent(topic, reason);
        }
        // Who waits for that finds it counted.
        shared.queue.confirm(count);
        Ok(())
    }

    async fn beat(&self) -> Result<(), Error> {
        let Shared { rounds, local, queue, limits, .. } = self.shared;
        rounds.fetch_add(1, Ordering::Relaxed);
        let recent = limits.heartbeat * REMEMBERED;
        let (epoch, sent) = queue.sent();
        let entries = entries(local.topics(), &sent, limits.max_topics, recent);
        self.say_in(epoch, parts(entries.into_iter()).map(Body::Beat).collect()).await
    }

    async fn announce(&mut self) -> Result<(), Error> {
        self.announcement = None;
        let entry = |(topic, members)| {
            let members = u32::try_from(members).unwrap_or(u32::MAX);
            Entry { topic, members, last: 0 }
        };
        let changes = self.shared.local.take_unannounced().into_iter().map(entry);
        self.say(parts(changes).map(Body::Changes).collect()).await
    }

    /// Without numbers of messages, so that any epoch will do.
    async fn say(&self, bodies: Vec<Body>) -> Result<(), Error> {
        self.say_in(self.shared.queue.epoch(), bodies).await
    }

    async fn say_in(&self, epoch: u64, bodies: Vec<Body>) -> Result<(), Error> {
        let origin = self.shared.node;
        let sequence = self.shared.rounds.load(Ordering::Relaxed);
        let outgoing = |body| Outgoing {
            subject: Arc::clone(&self.shared.subjects.presence),
            envelope: Envelope { origin, epoch, sequence, body }.encode(),
            is_kept: false,
        };
        let batch: Vec<_> = bodies.into_iter().map(outgoing).collect();
        // Without presence there is no backplane.
        self.send(&batch).await?.into_iter().next().map_or(Ok(()), |refusal| Err(refusal.error))
    }

    async fn send(&self, batch: &[Outgoing]) -> Result<Vec<Refusal>, Error> {
        self.sender.send(batch).await
    }

    /// Beside everything else: the broker may take its time.
    fn answer(&mut self, History { subject, max, mut reply }: History) {
        let (sender, limit) = (self.sender.clone(), self.shared.limits.timeout);
        self.answers.spawn(async move {
            tokio::select! {
                stored = within(limit, sender.stored(&subject, None, max)) => {
                    // Nobody may be there to take it.
                    let _ = reply.send(stored.map(|stored| stored.envelopes));
                }
                () = reply.closed() => {}
            }
        });
    }
}

/// What a beat says: the topics with members, and behind them those in which we have published lately, the
/// last ones first. Where there are too many it is the same ones each time.
fn entries(
    members: HashMap<Arc<str>, usize>,
    sent: &HashMap<Arc<str>, Last>,
    max: usize,
    recent: Duration,
) -> Vec<Entry> {
    let now = std::time::Instant::now();
    let is_recent = |(topic, last): &(Arc<str>, Last)| {
        !members.contains_key(topic) && now.duration_since(last.at) < recent
    };
    let mut others: Vec<_> =
        sent.iter().map(|(topic, last)| (Arc::clone(topic), *last)).filter(is_recent).collect();
    others.sort_unstable_by_key(|(_, last)| std::cmp::Reverse(last.at));
    let mut topics: Vec<_> = members.into_iter().collect();
    if topics.len() > max {
        topics.sort_unstable();
    }
    let members = topics.into_iter().map(|(topic, members)| {
        let last = sent.get(&topic).map_or(0, |last| last.number);
        Entry { topic, members: u32::try_from(members).unwrap_or(u32::MAX), last }
    });
    let others =
        others.into_iter().map(|(topic, last)| Entry { topic, members: 0, last: last.number });
    members.chain(others).take(max).collect()
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// One at least: it says that there is nothing.
fn parts(entries: impl Iterator<Item = Entry>) -> impl Iterator<Item = Vec<Entry>> {
    let (mut parts, mut len) = (vec![Vec::new()], 0);
    for entry in entries {
        len += entry.len();
        if len > MAX_BEAT {
            parts.push(Vec::new());
            len = entry.len();
        }
        if let Some(part) = parts.last_mut() {
            part.push(entry);
        }
    }
    parts.into_iter()
}

const GATHERING: Duration = Duration::from_millis(50);
/// For so many heartbeats a node repeats what it has sent last in a topic without members of its own.
const REMEMBERED: u32 = 30;
const MAX_ANSWERS: usize = 8;

#[cfg(test)]
mod tests;
