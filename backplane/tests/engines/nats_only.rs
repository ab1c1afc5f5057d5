//! What only NATS has: permissions of which it tells when it likes.

use std::time::Duration;

use futures::{StreamExt, future::join_all};
use wsweave::Group;
use wsweave_backplane::{Backplane, ErrorKind, Event, Events, Status};

use crate::support::{Engine, Member, Server, event, soon};

#[tokio::test]
async fn somebody_who_listens_to_everything_is_in_nobodys_way() {
    let server = Server::start(Engine::Nats).await;
    let client = async_nats::connect(server.address()).await.unwrap();
    let mut everything = client.subscribe(">").await.unwrap();
    client.flush().await.unwrap();
    let (here, there) = (Group::new(), Group::new());
    let one = Backplane::attach(&here, server.broker()).await.unwrap();
    let two = Backplane::attach(&there, server.broker()).await.unwrap();
    let mut far = Member::ready(&there, &two, "t").await;
    one.publish("t", "hello").unwrap();
    assert_eq!(far.text().await, "hello");
    soon("the broker", one.flush()).await.unwrap();
    soon("the message", async {
        while everything.next().await.unwrap().subject.as_str() != "wsweave.topic.t" {}
    })
    .await;
    assert!(matches!(one.status(), Status::Connected));
    assert_eq!((one.stats().reconnects, two.stats().reconnects), (0, 0));
}

#[tokio::test]
async fn of_many_topics_that_may_not_be_subscribed_each_is_told() {
    const COUNT: usize = 500;
    let server = Server::start_denying(Engine::Nats, &["wsweave.topic.*"]).await;
    let group = Group::new();
    let broker = server.broker_for_us().max_events(4 * COUNT);
    let backplane = Backplane::attach(&group, broker).await.unwrap();
    let mut events = backplane.events();
    let _members: Vec<_> =
        (0..COUNT).map(|topic| Member::join(&group, &topic.to_string())).collect();
    for _ in 0..COUNT {
        refused(&mut events).await;
    }
    let topics: Vec<_> = (0..COUNT).map(|topic| topic.to_string()).collect();
    let ready = join_all(topics.iter().map(|topic| backplane.ready(topic)));
    for answer in soon("the answers", ready).await {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Denied);
    }
    assert_eq!(backplane.stats().reconnects, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_messages_that_may_not_be_published_each_is_told() {
    const COUNT: usize = 1_000;
    let server = Server::start_denying(Engine::Nats, &["wsweave.topic.no"]).await;
    let broker = server.broker_for_us().max_events(4 * COUNT);
    let backplane = Backplane::attach(&Group::new(), broker).await.unwrap();
    let mut events = backplane.events();
    for _ in 0..COUNT {
        backplane.publish("no", "").unwrap();
    }
    for _ in 0..COUNT {
        refused(&mut events).await;
    }
    assert_eq!((backplane.stats().unsent, backplane.stats().reconnects), (COUNT as u64, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_messages_that_may_not_be_kept_each_is_told() {
    const COUNT: usize = 1_000;
    let server = Server::start_denying(Engine::Nats, &["wsweave.topic.*"]).await;
    let broker = server.broker_for_us().replay(10, Duration::from_secs(60));
    let backplane = Backplane::attach(&Group::new(), broker).await.unwrap();
    for topic in 0..COUNT {
        backplane.publish(&topic.to_string(), "").unwrap();
    }
    soon("the broker", backplane.flush()).await.unwrap();
    let stats = backplane.stats();
    assert_eq!((stats.sent, stats.unsent, stats.reconnects), (0, COUNT as u64, 0));
}

async fn refused(events: &mut Events) {
    let kind = event(events, "a refusal", |event| match event {
        Event::Refused { error, .. } => Some(error.kind()),
        _ => None,
    });
    assert_eq!(kind.await, ErrorKind::Denied);
}
