//! What the broker keeps.

use std::time::Duration;

use wsweave::{Group, Message};
use wsweave_backplane::{Backplane, Broker, ErrorKind, Event};

use crate::{
    on_each_engine,
    support::{Engine, Member, Server, Way, event, soon},
};

on_each_engine! {
    who_was_away_gets_what_it_missed,
    who_comes_back_into_a_load_misses_nothing,
    what_is_no_longer_kept_is_a_gap,
    who_comes_late_can_ask_for_the_last_messages,
    what_is_kept_twice_is_told_once_and_takes_no_place,
    many_can_ask_at_once,
    who_joins_gets_nothing_from_before_even_behind_a_gap,
    what_is_kept_outlives_the_broker,
    what_was_not_confirmed_is_sent_again,
    without_replay_there_is_no_history,
}

async fn who_was_away_gets_what_it_missed(engine: Engine) {
    let server = Server::start(engine).await;
    let way = Way::new(server.port()).await;
    let (here, there) = (Group::new(), Group::new());
    let one = attach(&here, server.broker(), 100).await;
    one.publish("t", "before there was anybody").unwrap();
    flush(&one).await;
    let two = attach(&there, engine.broker(engine.address(way.port)), 100).await;
    let mut far = Member::ready(&there, &two, "t").await;
    one.publish("t", "first").unwrap();
    assert_eq!(far.text().await, "first");

    let mut events = two.events();
    way.cut();
    event(&mut events, "the end", |event| matches!(event, Event::Disconnected(_)).then_some(()))
        .await;
    for number in 0..50 {
        one.publish("t", number.to_string()).unwrap();
    }
    // One that was not there before the cut, too.
    let three = attach(&Group::new(), server.broker(), 100).await;
    three.publish("t", "new").unwrap();
    flush(&one).await;
    flush(&three).await;
    way.mend();
    let mut received = Vec::new();
    for _ in 0..51 {
        received.push(far.text().await);
    }
    let expected: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(received.iter().filter(|text| *text == "new").count(), 1);
    received.retain(|text| text != "new");
    assert_eq!(received, expected);
    one.publish("t", "after").unwrap();
    assert_eq!(far.text().await, "after");
    assert_eq!((two.stats().gaps, two.stats().received), (0, 53));
}

async fn who_comes_back_into_a_load_misses_nothing(engine: Engine) {
    const COUNT: usize = 2_000;
    let server = Server::start(engine).await;
    let way = Way::new(server.port()).await;
    let (here, there) = (Group::new(), Group::new());
    let one = attach(&here, server.broker(), COUNT).await;
    let two = attach(&there, engine.broker(engine.address(way.port)), COUNT).await;
    let mut far = Member::ready(&there, &two, "t").await;
    let mut events = two.events();
    let load = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(1));
        for number in 0..COUNT {
            pace.tick().await;
            one.publish("t", number.to_string()).unwrap();
        }
        one
    });
    for number in 0..COUNT {
        assert_eq!(far.text().await, number.to_string());
        if number == 100 {
            way.cut();
            event(&mut events, "the end", |event| {
                matches!(event, Event::Disconnected(_)).then_some(())
            })
            .await;
            way.mend();
        }
    }
    assert_eq!(two.stats().gaps, 0);
    load.await.unwrap();
}

async fn what_is_no_longer_kept_is_a_gap(engine: Engine) {
    let server = Server::start(engine).await;
    let way = Way::new(server.port()).await;
    let (here, there) = (Group::new(), Group::new());
    let one = attach(&here, server.broker(), 5).await;
    let two = attach(&there, engine.broker(engine.address(way.port)), 5).await;
    let mut far = Member::ready(&there, &two, "t").await;
    one.publish("t", "first").unwrap();
    assert_eq!(far.text().await, "first");
    let mut events = two.events();
    way.cut();
    event(&mut events, "the end", |event| matches!(event, Event::Disconnected(_)).then_some(()))
        .await;
    for number in 0..20 {
        one.publish("t", number.to_string()).unwrap();
    }
    flush(&one).await;
    way.mend();
    let missed = event(&mut events, "the gap", |event| match event {
        Event::Gap { missed, .. } => Some(*missed),
        _ => None,
    });
    assert_eq!(missed.await, 15);
    for number in 15..20 {
        assert_eq!(far.text().await, number.to_string());
    }
}

async fn who_comes_late_can_ask_for_the_last_messages(engine: Engine) {
    let server = Server::start(engine).await;
    let one = attach(&Group::new(), server.broker(), 10).await;
    for number in 0..20 {
        one.publish("a.*", number.to_string()).unwrap();
    }
    one.publish("a.*", vec![1, 2]).unwrap();
    one.publish("other", "of another topic").unwrap();
    flush(&one).await;
    let two = attach(&Group::new(), server.broker(), 10).await;
    let mut expected: Vec<Message> = (11..20).map(|number| number.to_string().into()).collect();
    expected.push(vec![1, 2].into());
    assert_eq!(two.history("a.*", 50).await.unwrap(), expected);
    assert_eq!(one.history("a.*", 3).await.unwrap(), expected[7..]);
    assert_eq!(two.history("empty", 3).await.unwrap(), []);
    if engine == Engine::Redis {
        let client = ::redis::Client::open(server.address()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut length = ::redis::cmd("XLEN");
        length.arg("wsweave.topic.a%2E%2A.kept");
        assert_eq!(length.query_async::<u64>(&mut connection).await.unwrap(), 10);
    }
}

async fn what_is_kept_twice_is_told_once_and_takes_no_place(engine: Engine) {
    let server = Server::start(engine).await;
    let one = attach(&Group::new(), server.broker(), 10).await;
    for number in 0..5 {
        one.publish("t", number.to_string()).unwrap();
    }
    flush(&one).await;
    // As if it had not been confirmed.
    for _ in 0..2 {
        keep_the_last_again(engine, &server).await;
    }
    let expected = ["2", "3", "4"].map(Message::from);
    assert_eq!(one.history("t", 3).await.unwrap(), expected);
    assert_eq!(one.history("t", 50).await.unwrap().len(), 5);
    assert_eq!(one.history("t", 0).await.unwrap(), []);
    assert_eq!(one.history("t", usize::MAX).await.unwrap().len(), 5);
}

async fn keep_the_last_again(engine: Engine, server: &Server) {
    match engine {
        Engine::Nats => {
            let client = async_nats::connect(server.address()).await.unwrap();
            let context = async_nats::jetstream::new(client);
            let stream = context.get_stream("wsweave").await.unwrap();
            let last = stream.get_last_raw_message_by_subject("wsweave.topic.t").await.unwrap();
            context.publish("wsweave.topic.t", last.payload).await.unwrap().await.unwrap();
        }
        Engine::Redis => {
            let client = ::redis::Client::open(server.address()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let mut last = ::redis::cmd("XREVRANGE");
            last.arg("wsweave.topic.t.kept").arg("+").arg("-").arg("COUNT").arg(1);
            let last: Vec<(String, (String, Vec<u8>))> =
                last.query_async(&mut connection).await.unwrap();
            let mut add = ::redis::cmd("XADD");
            add.arg("wsweave.topic.t.kept").arg("*").arg("envelope").arg(&last[0].1.1);
            add.query_async::<String>(&mut connection).await.unwrap();
        }
    }
}

async fn many_can_ask_at_once(engine: Engine) {
    let server = Server::start(engine).await;
    let one = attach(&Group::new(), server.broker(), 10).await;
    one.publish("t", "kept").unwrap();
    flush(&one).await;
    let asked = (0..100).map(|_| one.history("t", 5));
    for answer in soon("the answers", futures::future::join_all(asked)).await {
        assert_eq!(answer.unwrap(), ["kept".into()]);
    }
}

async fn who_joins_gets_nothing_from_before_even_behind_a_gap(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let one = attach(&here, server.broker(), 100).await;
    let three = attach(&Group::new(), server.broker(), 100).await;
    one.publish("t", "before").unwrap();
    three.publish("t", "before").unwrap();
    flush(&one).await;
    flush(&three).await;
    let two = attach(&there, server.broker().max_inbox(2_000), 100).await;
    let mut far = Member::ready(&there, &two, "t").await;
    one.publish("t", "first").unwrap();
    assert_eq!(far.text().await, "first");
    // It does not fit, and is read instead.
    let large = "l".repeat(3_000);
    one.publish("t", large.clone()).unwrap();
    flush(&one).await;
    one.publish("t", "last").unwrap();
    assert_eq!(far.text().await, large);
    assert_eq!(far.text().await, "last");
    assert_eq!((two.stats().received, two.stats().gaps), (3, 0));
}

async fn what_is_kept_outlives_the_broker(engine: Engine) {
    let mut server = Server::start(engine).await;
    let one = attach(&Group::new(), server.broker(), 10).await;
    let mut events = one.events();
    one.publish("t", "kept").unwrap();
    flush(&one).await;
    server.kill().await;
    event(&mut events, "the end", |event| matches!(event, Event::Disconnected(_)).then_some(()))
        .await;
    one.publish("t", "queued").unwrap();
    assert!(one.history("t", 5).await.is_err(), "nobody is there to ask");
    server.restart().await;
    flush(&one).await;
    assert_eq!(one.history("t", 5).await.unwrap(), ["kept".into(), "queued".into()]);
}

async fn what_was_not_confirmed_is_sent_again(engine: Engine) {
    let mut server = Server::start(engine).await;
    let broker = server.broker().timeout(Duration::from_millis(500));
    let one = attach(&Group::new(), broker, 10).await;
    let mut events = one.events();
    server.signal("STOP");
    one.publish("t", "in flight").unwrap();
    event(&mut events, "the end", |event| matches!(event, Event::Disconnected(_)).then_some(()))
        .await;
    assert_eq!(one.stats().queued, 1);
    server.kill().await;
    server.restart().await;
    flush(&one).await;
    assert_eq!(one.history("t", 5).await.unwrap(), ["in flight".into()]);
}

async fn without_replay_there_is_no_history(engine: Engine) {
    let server = Server::start(engine).await;
    let backplane = Backplane::attach(&Group::new(), server.broker()).await.unwrap();
    let error = backplane.history("t", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

async fn attach(group: &Group, broker: Broker, max_messages: usize) -> Backplane {
    let broker = broker.replay(max_messages, Duration::from_secs(3_600));
    let broker = broker.heartbeat(Duration::from_millis(500));
    Backplane::attach(group, broker).await.unwrap()
}

/// The broker has what was published.
async fn flush(backplane: &Backplane) {
    soon("the broker", backplane.flush()).await.unwrap();
}

/// Its numbers begin anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_made_anew_is_read_from_its_beginning() {
    let server = Server::start(Engine::Nats).await;
    let way = Way::new(server.port()).await;
    let (here, there) = (Group::new(), Group::new());
    let one = attach(&here, server.broker(), 100).await;
    let two = attach(&there, Engine::Nats.broker(Engine::Nats.address(way.port)), 100).await;
    for number in 0..10 {
        one.publish("t", number.to_string()).unwrap();
    }
    flush(&one).await;
    let mut far = Member::ready(&there, &two, "t").await;
    one.publish("t", "first").unwrap();
    assert_eq!(far.text().await, "first");
    let mut events = two.events();
    way.cut();
    event(&mut events, "the end", |event| matches!(event, Event::Disconnected(_)).then_some(()))
        .await;
    let context = async_nats::jetstream::new(async_nats::connect(server.address()).await.unwrap());
    let config = context.get_stream("wsweave").await.unwrap().cached_info().config.clone();
    context.delete_stream("wsweave").await.unwrap();
    context.create_stream(config).await.unwrap();
    one.publish("t", "missed").unwrap();
    flush(&one).await;
    way.mend();
    assert_eq!(far.text().await, "missed");
    assert_eq!(two.stats().gaps, 0);
}
