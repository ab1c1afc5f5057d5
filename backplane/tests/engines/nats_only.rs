//! What only NATS has: permissions of which it tells when it likes, and streams that others may set up.

use std::time::Duration;

use async_nats::jetstream;
use futures::{StreamExt, future::join_all};
use wsweave::Group;
use wsweave_backplane::{Backplane, Broker, ErrorKind, Event, Events, Status};

use crate::support::{Engine, Member, Server, Way, event, soon};

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

#[tokio::test]
async fn a_stream_that_was_made_anew_is_read_whole_however_long_it_is_by_now() {
    let server = Server::start(Engine::Nats).await;
    let way = Way::new(server.port()).await;
    let (here, there) = (Group::new(), Group::new());
    let kept = |broker: Broker| broker.replay(100, Duration::from_secs(60));
    let one = Backplane::attach(&here, kept(server.broker())).await.unwrap();
    let far_broker = Engine::Nats.broker(Engine::Nats.address(way.port));
    let two = Backplane::attach(&there, kept(far_broker)).await.unwrap();
    for _ in 0..10 {
        one.publish("t", "before there was anybody").unwrap();
    }
    soon("the broker", one.flush()).await.unwrap();
    let mut far = Member::ready(&there, &two, "t").await;
    away(&two, &way).await;
    let context = jetstream::new(async_nats::connect(server.address()).await.unwrap());
    let config = context.get_stream("wsweave").await.unwrap().cached_info().config.clone();
    context.delete_stream("wsweave").await.unwrap();
    context.create_stream(config).await.unwrap();
    for number in 0..20 {
        one.publish("t", number.to_string()).unwrap();
    }
    soon("the broker", one.flush()).await.unwrap();
    way.mend();
    for number in 0..20 {
        assert_eq!(far.text().await, number.to_string());
    }
    assert_eq!(two.stats().gaps, 0);
}

#[tokio::test]
async fn a_stream_is_the_same_when_the_broker_was_started_again() {
    let mut server = Server::start(Engine::Nats).await;
    let (here, there) = (Group::new(), Group::new());
    let broker = || server.broker().replay(100, Duration::from_secs(60));
    let one = Backplane::attach(&here, broker()).await.unwrap();
    let two = Backplane::attach(&there, broker()).await.unwrap();
    one.publish("t", "before there was anybody").unwrap();
    soon("the broker", one.flush()).await.unwrap();
    let mut far = Member::ready(&there, &two, "t").await;
    let mut events = two.events();
    server.kill().await;
    event(&mut events, "the end", |event| matches!(event, Event::Disconnected(_)).then_some(()))
        .await;
    one.publish("t", "missed").unwrap();
    server.restart().await;
    assert_eq!(far.text().await, "missed");
}

#[tokio::test]
async fn what_an_operator_has_set_of_a_stream_stays() {
    let server = Server::start(Engine::Nats).await;
    let context = jetstream::new(async_nats::connect(server.address()).await.unwrap());
    let broker = || server.broker().replay(10, Duration::from_secs(60));
    let first = Backplane::attach(&Group::new(), broker()).await.unwrap();
    let mut config = context.get_stream("wsweave").await.unwrap().cached_info().config.clone();
    (config.max_bytes, config.description) = (1_000_000, Some("ours".into()));
    context.update_stream(&config).await.unwrap();
    let broker = server.broker().replay(20, Duration::from_secs(60));
    let second = Backplane::attach(&Group::new(), broker).await.unwrap();
    config.max_messages_per_subject = 20;
    let stream = context.get_stream("wsweave").await.unwrap();
    assert_eq!(stream.cached_info().config, config);
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_may_be_kept_for_less_than_before() {
    let server = Server::start(Engine::Nats).await;
    for seconds in [3600, 60] {
        let broker = server.broker().replay(10, Duration::from_secs(seconds));
        let backplane = Backplane::attach(&Group::new(), broker).await.unwrap();
        backplane.close().await;
    }
}

async fn away(backplane: &Backplane, way: &Way) {
    let mut events = backplane.events();
    way.cut();
    event(&mut events, "the end", |event| matches!(event, Event::Disconnected(_)).then_some(()))
        .await;
}

async fn refused(events: &mut Events) {
    let kind = event(events, "a refusal", |event| match event {
        Event::Refused { error, .. } => Some(error.kind()),
        _ => None,
    });
    assert_eq!(kind.await, ErrorKind::Denied);
}
