use std::{thread::sleep, time::Duration};

use wsweave::Group;

use super::*;
use crate::{
    broker::Limits,
    engine::{Cursor, Outgoing, Refusal},
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

fn start(limits: Limits) -> (Shared, Broker) {
    (Shared::new(&Group::new(), limits).unwrap(), Broker)
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

async fn arrive(receiving: &mut Receiving<'_, Broker, Broker>) {
    let arrival = receiving.inbox.next().await.unwrap();
    receiving.arrived(arrival);
}

fn envelope(sequence: u64, body: Body) -> Bytes {
    Envelope { origin: NodeId(7), epoch: 1, sequence, body }.encode()
}

/// Does nothing but what it is told.
#[derive(Clone, Debug, Default)]
struct Broker;

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
        Ok(Stored::default())
    }
}

impl Receiver for Broker {
    async fn subscribe(&mut self, _: &[Arc<str>]) -> Result<(), Error> {
        Ok(())
    }

    async fn unsubscribe(&mut self, _: &[Arc<str>]) -> Result<(), Error> {
        Ok(())
    }
}
