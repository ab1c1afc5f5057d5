//! The half of a connection that sends: what is queued, beats, and the requests for history.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    driver::{End, within},
    engine::{Outgoing, Sender},
    envelope::{Body, Entry, Envelope},
    error::{Error, UnsentReason},
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
    let sending = Sending { shared, sender, announcement: None };
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
                Some(request) = requests.recv() => self.answer(request),
                _ = closing.changed() => {}
            }
        }
    }

    async fn send_queued(&self) -> Result<(), Error> {
        let batch = self.shared.queue.batch();
        let (count, max) = (batch.len(), self.sender.max_envelope());
        let (batch, large): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|outgoing| outgoing.envelope.len() <= max);
        self.send(&batch).await?;
        self.shared.queue.confirm(count);
        self.shared.counters.sent.add(batch.len() as u64);
        for outgoing in large {
            let topic = self.shared.subjects.topic_of(&outgoing.subject);
            self.shared.unsent(topic, UnsentReason::TooLarge);
        }
        Ok(())
    }

    /// All topics with members, or with messages of ours.
    async fn beat(&self) -> Result<(), Error> {
        self.shared.rounds.fetch_add(1, Ordering::Relaxed);
        let mut members = self.shared.local.topics();
        let (_, numbers) = self.shared.queue.sent();
        for topic in numbers.keys() {
            members.entry(Arc::clone(topic)).or_default();
        }
        let entry = |(topic, members): (Arc<str>, usize)| {
            let last = numbers.get(&topic).copied().unwrap_or(0);
            Entry { topic, members: u32::try_from(members).unwrap_or(u32::MAX), last }
        };
        let entries = members.into_iter().take(self.shared.limits.max_topics).map(entry);
        self.say(parts(entries).map(Body::Beat).collect()).await
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

    async fn say(&self, bodies: Vec<Body>) -> Result<(), Error> {
        let (origin, epoch) = (self.shared.node, self.shared.queue.epoch());
        let sequence = self.shared.rounds.load(Ordering::Relaxed);
        let outgoing = |body| Outgoing {
            subject: Arc::clone(&self.shared.subjects.presence),
            envelope: Envelope { origin, epoch, sequence, body }.encode(),
            is_kept: false,
        };
        let batch: Vec<_> = bodies.into_iter().map(outgoing).collect();
        self.send(&batch).await
    }

    async fn send(&self, batch: &[Outgoing]) -> Result<(), Error> {
        within(self.shared.limits.timeout, self.sender.send(batch)).await
    }

    /// Beside everything else: the broker may take its time.
    fn answer(&self, History { subject, max, mut reply }: History) {
        let (sender, limit) = (self.sender.clone(), self.shared.limits.timeout);
        tokio::spawn(async move {
            tokio::select! {
                stored = within(limit, sender.stored(&subject, max)) => {
                    // Nobody may be there to take it.
                    let _ = reply.send(stored);
                }
                () = reply.closed() => {}
            }
        });
    }
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
