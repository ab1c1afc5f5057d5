use std::{sync::Mutex, thread::sleep, time::Duration};

use wsweave::Group;

use super::*;
use crate::{
    broker::Limits,
    engine::{Cursor, Outgoing, Refusal, Retention},
    envelope::{Body, Entry},
    node_id::NodeId,
};

const BEAT: Duration = Duration::from_millis(10);

#[tokio::test]
async fn beats_that_come_without_a_pause_are_heard_when_they_come() {
    let (shared, broker) = start(Limits { heartbeat: BEAT, ..Limits::default() });
    let mut receiving = receiving(&shared, &broker);
    push_beat(&receiving);
    arrive(&mut receiving).await;
    // Time goes by, of which the reader sees nothing.
    sleep(shared.limits.silence() * 2);
    push_beat(&receiving);
    arrive(&mut receiving).await;
    receiving.inbox.idle();
    receiving.tick().unwrap();
    assert_eq!(shared.node_ids(), [NodeId(7)]);
}

#[tokio::test]
async fn what_is_dropped_while_a_topic_is_read_is_read_again() {
    let (shared, broker) = start(replay());
    let mut receiving = receiving(&shared, &broker);
    subscribe(&mut receiving, "t").await;
    for sequence in [1, 3] {
        push_message(&receiving, sequence);
        arrive(&mut receiving).await;
    }
    receiving.begin_reads();
    broker.keep(&[2, 3]);
    receiving.inbox.overrun();
    for sequence in [5, 6] {
        push_message(&receiving, sequence);
        arrive(&mut receiving).await;
    }
    read(&mut receiving).await;
    assert_eq!((shared.counters.received.get(), shared.counters.gaps.get()), (3, 0));
    broker.keep(&[4, 5]);
    receiving.begin_reads();
    read(&mut receiving).await;
    assert_eq!((shared.counters.received.get(), shared.counters.gaps.get()), (6, 0));
    assert_eq!((receiving.behind.len(), receiving.parked), (0, 0));
}

#[tokio::test]
async fn what_is_not_kept_is_a_gap_whatever_is_dropped_meanwhile() {
    let (shared, broker) = start(replay());
    let mut receiving = receiving(&shared, &broker);
    subscribe(&mut receiving, "t").await;
    for sequence in [1, 3] {
        push_message(&receiving, sequence);
        arrive(&mut receiving).await;
    }
    for _ in 0..2 {
        assert_eq!(shared.counters.gaps.get(), 0);
        // It may be others' messages that are kept.
        broker.keep(&[1]);
        receiving.begin_reads();
        receiving.inbox.overrun();
        read(&mut receiving).await;
    }
    assert_eq!((shared.counters.received.get(), shared.counters.missed.get()), (2, 1));
    assert_eq!((receiving.behind.len(), receiving.parked), (0, 0));
}

#[tokio::test]
async fn what_was_read_is_handed_out_some_at_a_time() {
    const COUNT: u64 = 1_000;
    let (shared, broker) = start(replay());
    let mut receiving = receiving(&shared, &broker);
    subscribe(&mut receiving, "t").await;
    for sequence in [1, COUNT] {
        push_message(&receiving, sequence);
        arrive(&mut receiving).await;
    }
    broker.keep(&(2..COUNT).collect::<Vec<_>>());
    receiving.begin_reads();
    let read = receiving.reads.next().await.unwrap();
    receiving.finish(read);
    receiving.hand_out();
    assert!((1..100).contains(&shared.counters.received.get()), "{:?}", shared.counters);
    // What comes meanwhile waits.
    push_message(&receiving, COUNT + 1);
    arrive(&mut receiving).await;
    while !receiving.found.is_empty() {
        receiving.hand_out();
    }
    assert_eq!((shared.counters.received.get(), shared.counters.gaps.get()), (COUNT + 1, 0));
    assert_eq!((receiving.behind.len(), receiving.parked), (0, 0));
}

#[tokio::test]
async fn a_topic_that_is_refused_is_not_read() {
    let (shared, mut broker) = start(replay());
    broker.denied = Some(shared.subjects.topic("no"));
    let mut receiving = receiving(&shared, &broker);
    subscribe(&mut receiving, "no").await;
    assert!(shared.subscription("no").unwrap().is_err());
    assert!(!shared.positions().has("no"));
    // It is said later, too.
    subscribe(&mut receiving, "t").await;
    for sequence in [1, 3] {
        push_message(&receiving, sequence);
        arrive(&mut receiving).await;
    }
    let (at, came) = (Instant::now(), Instant::now());
    let refused = Refused::Subscribe(shared.subjects.topic("t"), denied());
    receiving.arrived(Arrival { at, came, what: What::Refused(refused) });
    assert!(shared.subscription("t").unwrap().is_err());
    assert!(!shared.positions().has("t"));
    assert_eq!((receiving.behind.len(), receiving.parked), (0, 0));
}

fn replay() -> Limits {
    let replay = Some(Retention { max_messages: 10, max_age: Duration::from_secs(60) });
    Limits { replay, ..Limits::default() }
}

fn start(limits: Limits) -> (Shared, Broker) {
    (Shared::new(&Group::new(), limits).unwrap(), Broker::default())
}

fn receiving<'a>(shared: &'a Shared, broker: &'a Broker) -> Receiving<'a, Broker, Broker> {
    let presence = Arc::clone(&shared.subjects.presence);
    let overrun = Arc::clone(&shared.counters.overrun);
    let inbox = Inbox::new(presence, shared.limits.max_inbox, overrun);
    Receiving::new(shared, broker, broker.clone(), inbox)
}

fn push_beat(receiving: &Receiving<'_, Broker, Broker>) {
    let entry = Entry { topic: "t".into(), members: 1, last: 0 };
    let envelope = envelope(1, Body::Beat(vec![entry]));
    receiving.inbox.push(Arc::clone(&receiving.shared.subjects.presence), envelope);
}

fn push_message(receiving: &Receiving<'_, Broker, Broker>, sequence: u64) {
    receiving.inbox.push(receiving.shared.subjects.topic("t"), message(sequence));
}

async fn subscribe(receiving: &mut Receiving<'_, Broker, Broker>, topic: &str) {
    receiving.shared.local.set(topic.into(), 1);
    receiving.follow_topics().await.unwrap();
}

async fn read(receiving: &mut Receiving<'_, Broker, Broker>) {
    let read = receiving.reads.next().await.unwrap();
    receiving.finish(read);
    while !receiving.found.is_empty() {
        receiving.hand_out();
    }
}

async fn arrive(receiving: &mut Receiving<'_, Broker, Broker>) {
    let arrival = receiving.inbox.next().await.unwrap();
    receiving.arrived(arrival);
}

fn envelope(sequence: u64, body: Body) -> Bytes {
    Envelope { origin: NodeId(7), epoch: 1, sequence, body }.encode()
}

fn message(sequence: u64) -> Bytes {
    envelope(sequence, Body::Message("".into()))
}

fn denied() -> Error {
    Error::new(ErrorKind::Denied, "why")
}

/// Does nothing but what it is told.
#[derive(Clone, Debug, Default)]
struct Broker {
    /// For the next one who reads.
    kept: Arc<Mutex<Vec<Bytes>>>,
    denied: Option<Arc<str>>,
}

impl Broker {
    fn keep(&self, sequences: &[u64]) {
        self.kept.lock().unwrap().extend(sequences.iter().copied().map(message));
    }
}

impl Sender for Broker {
    fn max_envelope(&self) -> usize {
        usize::MAX
    }

    async fn send(&self, _: &[Outgoing]) -> Result<Vec<Refusal>, Error> {
        Ok(Vec::new())
    }

    async fn end(&self) -> Result<Cursor, Error> {
        Ok(Cursor("0".into()))
    }

    async fn stored(&self, _: &str, _: Option<&Cursor>, _: usize) -> Result<Stored, Error> {
        let envelopes = std::mem::take(&mut *self.kept.lock().unwrap());
        Ok(Stored { envelopes, end: None })
    }
}

impl Receiver for Broker {
    async fn subscribe(&mut self, subjects: &[Arc<str>]) -> Result<(), Error> {
        let is_denied = self.denied.as_ref().is_some_and(|denied| subjects.contains(denied));
        if is_denied { Err(denied()) } else { Ok(()) }
    }

    async fn unsubscribe(&mut self, _: &[Arc<str>]) -> Result<(), Error> {
        Ok(())
    }
}
