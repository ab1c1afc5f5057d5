//! What the broker does not do, and what does not fit.

use std::time::{Duration, Instant};

use wsweave::Group;
use wsweave_backplane::{Backplane, ErrorKind, Event, Events, Status, UnsentReason};

use crate::{
    on_each_engine,
    support::{Engine, Member, Server, Way, event, soon},
};

on_each_engine! {
    a_message_that_may_not_be_published_is_dropped_and_told,
    a_message_that_may_not_be_published_is_not_kept_either,
    a_message_that_is_too_large_for_the_broker_is_dropped_and_told,
    a_topic_that_may_not_be_subscribed_is_told,
    without_presence_there_is_no_connection,
    what_cannot_be_read_is_told_and_the_rest_goes_on,
    what_does_not_fit_in_the_inbox_is_a_gap,
}

async fn a_message_that_may_not_be_published_is_dropped_and_told(engine: Engine) {
    one_topic_is_denied(engine, false).await;
}

async fn a_message_that_may_not_be_published_is_not_kept_either(engine: Engine) {
    one_topic_is_denied(engine, true).await;
}

async fn one_topic_is_denied(engine: Engine, is_kept: bool) {
    let server = Server::start_denying(engine, &["wsweave.topic.no"]).await;
    let broker = || {
        let broker = server.broker_for_us();
        if is_kept { broker.replay(10, Duration::from_secs(60)) } else { broker }
    };
    let (here, there) = (Group::new(), Group::new());
    let one = Backplane::attach(&here, broker()).await.unwrap();
    let two = Backplane::attach(&there, broker()).await.unwrap();
    let mut far = Member::ready(&there, &two, "t").await;
    let mut events = one.events();
    let began = Instant::now();
    for topic in ["no", "t"] {
        one.publish(topic, topic).unwrap();
    }
    assert_eq!(far.text().await, "t", "it waits for nothing");
    assert_eq!(refused(&mut events, Some("no")).await, ErrorKind::Denied);
    assert_eq!(unsent(&mut events).await, ("no".into(), UnsentReason::Refused));
    soon("the broker", one.flush()).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "nor does it take the time of an answer");
    let stats = one.stats();
    assert_eq!((stats.unsent, stats.queued, stats.reconnects), (1, 0, 0));
    assert!(matches!(one.status(), Status::Connected));
}

async fn a_message_that_is_too_large_for_the_broker_is_dropped_and_told(engine: Engine) {
    let server = match engine {
        Engine::Nats => Server::start(engine).await,
        Engine::Redis => Server::start_with(engine, &["--proto-max-bulk-len", "1mb"]).await,
    };
    let (here, there) = (Group::new(), Group::new());
    let broker = || server.broker().max_message(4_000_000);
    let one = Backplane::attach(&here, broker()).await.unwrap();
    let two = Backplane::attach(&there, broker()).await.unwrap();
    let mut far = Member::ready(&there, &two, "t").await;
    let mut events = one.events();
    for message in ["first".into(), vec![0; 1_500_000].into(), wsweave::Message::from("last")] {
        one.publish("t", message).unwrap();
    }
    assert_eq!(far.text().await, "first");
    assert_eq!(far.text().await, "last");
    assert_eq!(unsent(&mut events).await, ("t".into(), UnsentReason::TooLarge));
    // The members may have it before it is counted here.
    soon("the broker", one.flush()).await.unwrap();
    assert_eq!((one.stats().sent, one.stats().unsent, one.stats().reconnects), (2, 1, 0));
    assert_eq!(two.stats().missed, 1, "it is a gap to others");
}

async fn a_topic_that_may_not_be_subscribed_is_told(engine: Engine) {
    let server = Server::start_denying(engine, &["wsweave.topic.no"]).await;
    let group = Group::new();
    let backplane = Backplane::attach(&group, server.broker_for_us()).await.unwrap();
    let mut events = backplane.events();
    let _members = [Member::join(&group, "t"), Member::join(&group, "no")];
    assert_eq!(refused(&mut events, Some("no")).await, ErrorKind::Denied);
    let error = soon("the answer", backplane.ready("no")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    soon("the subscription", backplane.ready("t")).await.unwrap();
    assert_eq!(backplane.stats().reconnects, 0);
}

async fn without_presence_there_is_no_connection(engine: Engine) {
    let server = Server::start_denying(engine, &["wsweave.presence", "wsweave.echo.*"]).await;
    let group = Group::new();
    let attached = soon("the answer", Backplane::attach(&group, server.broker_for_us()));
    let error = match attached.await {
        Err(error) => error,
        Ok(backplane) => {
            soon("the error", async {
                loop {
                    if let Status::Disconnected { error, .. } = backplane.status() {
                        break error;
                    }
                    tokio::task::yield_now().await;
                }
            })
            .await
        }
    };
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

async fn what_cannot_be_read_is_told_and_the_rest_goes_on(engine: Engine) {
    let server = Server::start_denying(engine, &["$JS.API.CONSUMER.>"]).await;
    let way = Way::new(server.port()).await;
    let (here, there) = (Group::new(), Group::new());
    let with = |address: String| {
        let broker = engine.broker(address).replay(10, Duration::from_secs(60));
        broker.timeout(Duration::from_secs(1)).heartbeat(Duration::from_millis(300))
    };
    let address = engine.address(way.port).replace("://", "://us:ri@");
    let one = Backplane::attach(&here, with(server.address_for_us())).await.unwrap();
    let two = Backplane::attach(&there, with(address)).await.unwrap();
    let mut far = Member::ready(&there, &two, "t").await;
    one.publish("t", "first").unwrap();
    assert_eq!(far.text().await, "first");

    let mut events = two.events();
    way.cut();
    event(&mut events, "the end", |event| matches!(event, Event::Disconnected(_)).then_some(()))
        .await;
    one.publish("t", "lost").unwrap();
    soon("the broker", one.flush()).await.unwrap();
    if engine == Engine::Redis {
        let client = ::redis::Client::open(server.address_for_us()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut set = ::redis::cmd("SET");
        set.arg("wsweave.topic.t.kept").arg("no stream");
        set.query_async::<()>(&mut connection).await.unwrap();
    }
    way.mend();
    refused(&mut events, Some("t")).await;
    one.publish("t", "after").unwrap();
    assert_eq!(far.text().await, "after");
    let stats = two.stats();
    assert_eq!((stats.reconnects, stats.missed), (1, 1));
    assert!(matches!(two.status(), Status::Connected));
}

async fn what_does_not_fit_in_the_inbox_is_a_gap(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let one = Backplane::attach(&here, server.broker()).await.unwrap();
    let two = Backplane::attach(&there, server.broker().max_inbox(2_000)).await.unwrap();
    let mut far = Member::ready(&there, &two, "t").await;
    one.publish("t", "first").unwrap();
    assert_eq!(far.text().await, "first");
    let mut events = two.events();
    one.publish("t", vec![0; 3_000]).unwrap();
    soon("the broker", one.flush()).await.unwrap();
    one.publish("t", "last").unwrap();
    let missed = event(&mut events, "the gap", |event| match event {
        Event::Gap { missed, .. } => Some(*missed),
        _ => None,
    });
    assert_eq!(missed.await, 1);
    assert_eq!(far.text().await, "last");
    assert_eq!(two.stats().overrun, 1);
}

/// On one thread, where all take their turns.
#[tokio::test]
async fn the_inbox_is_what_bounds_a_burst_at_nats() {
    a_burst_is_bounded(Engine::Nats).await;
}

#[tokio::test]
async fn the_inbox_is_what_bounds_a_burst_at_redis() {
    a_burst_is_bounded(Engine::Redis).await;
}

async fn a_burst_is_bounded(engine: Engine) {
    const COUNT: u64 = 10_000;
    let server = Server::start(engine).await;
    let group = Group::new();
    // There is room for more than the driver takes in a turn, and for far less than comes.
    let backplane = Backplane::attach(&group, server.broker().max_inbox(256 << 10)).await.unwrap();
    let _member = Member::ready(&group, &backplane, "t").await;
    let address = server.address();
    let publish = move || {
        let publish = async move {
            let one = Backplane::attach(&Group::new(), engine.broker(address)).await.unwrap();
            for _ in 0..COUNT {
                one.publish("t", "burst").unwrap();
            }
            one.flush().await.unwrap();
        };
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(publish);
    };
    // Nothing is taken in here before all of it is there.
    std::thread::spawn(publish).join().unwrap();
    soon("what was dropped", async {
        while backplane.stats().received + backplane.stats().overrun < COUNT {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(backplane.stats().overrun > 0, "{:?}", backplane.stats());
}

async fn refused(events: &mut Events, of: Option<&str>) -> ErrorKind {
    event(events, "the refusal", |event| match event {
        Event::Refused { topic, error } if topic.as_deref() == of => Some(error.kind()),
        _ => None,
    })
    .await
}

async fn unsent(events: &mut Events) -> (String, UnsentReason) {
    event(events, "what is unsent", |event| match event {
        Event::Unsent { topic, reason } => Some((topic.to_string(), *reason)),
        _ => None,
    })
    .await
}
