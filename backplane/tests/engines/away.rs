//! The broker, or the way to it, goes away and comes back.

use std::time::Duration;

use wsweave::Group;
use wsweave_backplane::{Backplane, ErrorKind, Event, Status, UnsentReason};

use crate::{
    on_each_engine,
    support::{Engine, Member, Server, Way, event, soon},
};

on_each_engine! {
    local_members_go_on_and_what_was_queued_is_sent_later,
    what_does_not_fit_is_given_back,
    topics_are_subscribed_again_as_they_are_then,
    what_was_missed_is_a_gap_even_if_nothing_comes_after_it,
    a_broker_that_falls_silent_is_found_out,
}

async fn local_members_go_on_and_what_was_queued_is_sent_later(engine: Engine) {
    let mut server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let one = Backplane::attach(&here, server.broker()).await.unwrap();
    let two = Backplane::attach(&there, server.broker()).await.unwrap();
    let (mut near, mut far) =
        (Member::ready(&here, &one, "t").await, Member::ready(&there, &two, "t").await);
    assert!(matches!(one.status(), Status::Connected));
    // So that what is missing can be seen.
    one.publish("t", "before").unwrap();
    assert_eq!((near.text().await, far.text().await), ("before".into(), "before".into()));

    let (mut events, mut events_there) = (one.events(), two.events());
    server.kill().await;
    event(&mut events, "the end", disconnected).await;
    event(&mut events_there, "the end", disconnected).await;
    let Status::Disconnected { error, .. } = one.status() else { panic!("{:?}", one.status()) };
    assert_eq!(error.kind(), ErrorKind::Io);
    // Nobody is there to take it before it can be sent.
    there_is_a_member(&one, &mut near, "alone").await;
    assert_eq!(one.stats().queued, 1);

    server.restart().await;
    event(&mut events, "the return", connected).await;
    event(&mut events_there, "the return", connected).await;
    there_is_a_member(&one, &mut near, "again").await;
    // It comes, or is counted: who comes back first, this one or the other, is not said.
    let mut received = far.text().await;
    let missed = u64::from(received != "alone");
    if missed == 0 {
        received = far.text().await;
    }
    assert_eq!(received, "again");
    assert_eq!((two.stats().missed, two.stats().received), (missed, 3 - missed));
    soon("the broker", one.flush()).await.unwrap();
    assert_eq!(one.stats().sent, 3);
    assert_eq!(one.stats().reconnects, 1);
    assert_eq!(one.stats().unsent, 0);
}

async fn what_does_not_fit_is_given_back(engine: Engine) {
    let mut server = Server::start(engine).await;
    let group = Group::new();
    let backplane = Backplane::attach(&group, server.broker().max_queue(10_000)).await.unwrap();
    let mut member = Member::ready(&group, &backplane, "t").await;
    let mut events = backplane.events();
    server.kill().await;
    event(&mut events, "the end", disconnected).await;

    let message = vec![7; 4_000];
    for _ in 0..2 {
        assert_eq!(backplane.publish("t", message.clone()), Ok(1));
    }
    let unsent = backplane.publish("t", message.clone()).unwrap_err();
    assert_eq!((unsent.reason, unsent.delivered), (UnsentReason::Full, 1));
    assert_eq!(unsent.message.as_bytes(), message);
    for _ in 0..3 {
        assert_eq!(member.next().await.as_bytes(), message, "members here get it all the same");
    }
    let reason = event(&mut events, "the loss", |event| match event {
        Event::Unsent { topic, reason } if &**topic == "t" => Some(*reason),
        _ => None,
    });
    assert_eq!(reason.await, UnsentReason::Full);
    let stats = backplane.stats();
    assert_eq!((stats.unsent, stats.queued), (1, 2));
    assert!(stats.queued_bytes <= 10_000);

    let larger = backplane.publish("t", vec![0; 1_000_001]).unwrap_err();
    assert_eq!(larger.reason, UnsentReason::TooLarge);
}

async fn topics_are_subscribed_again_as_they_are_then(engine: Engine) {
    let mut server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let one = Backplane::attach(&here, server.broker()).await.unwrap();
    let two = Backplane::attach(&there, server.broker()).await.unwrap();
    let mut stays = Member::ready(&here, &one, "stays").await;
    let leaves = Member::ready(&here, &one, "leaves").await;
    let (mut events, mut events_there) = (one.events(), two.events());
    server.kill().await;
    event(&mut events, "the end", disconnected).await;
    drop(leaves);
    let mut comes = Member::join(&here, "comes");
    server.restart().await;
    event(&mut events, "the return", connected).await;
    event(&mut events_there, "the return", connected).await;
    soon("the subscription", one.ready("comes")).await.unwrap();
    for topic in ["stays", "comes"] {
        two.publish(topic, topic).unwrap();
    }
    assert_eq!(stays.text().await, "stays");
    assert_eq!(comes.text().await, "comes");
}

async fn what_was_missed_is_a_gap_even_if_nothing_comes_after_it(engine: Engine) {
    let server = Server::start(engine).await;
    let way = Way::new(server.port()).await;
    let beat = Duration::from_millis(300);
    let (here, there) = (Group::new(), Group::new());
    let broker = engine.broker(engine.address(way.port));
    let one = Backplane::attach(&here, server.broker().heartbeat(beat)).await.unwrap();
    let two = Backplane::attach(&there, broker.heartbeat(beat)).await.unwrap();
    let mut far = Member::ready(&there, &two, "t").await;
    one.publish("t", "first").unwrap();
    assert_eq!(far.text().await, "first");

    let mut events = two.events();
    way.cut();
    event(&mut events, "the end", disconnected).await;
    for lost in ["a", "b", "c"] {
        one.publish("t", lost).unwrap();
    }
    soon("the broker", one.flush()).await.unwrap();
    way.mend();
    let (node, missed) = event(&mut events, "the gap", |event| match event {
        Event::Gap { node, missed, .. } => Some((*node, *missed)),
        _ => None,
    })
    .await;
    assert_eq!((node, missed), (one.node(), 3));
    one.publish("t", "after").unwrap();
    assert_eq!(far.text().await, "after");
    assert_eq!((two.stats().gaps, two.stats().missed), (1, 3), "it is told once");
}

async fn a_broker_that_falls_silent_is_found_out(engine: Engine) {
    let server = Server::start(engine).await;
    let group = Group::new();
    let broker = server.broker().heartbeat(Duration::from_millis(200));
    let broker = broker.timeout(Duration::from_secs(1));
    let backplane = Backplane::attach(&group, broker).await.unwrap();
    let mut events = backplane.events();
    server.signal("STOP");
    let error = event(&mut events, "the end", |event| match event {
        Event::Disconnected(error) => Some(error.clone()),
        _ => None,
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    server.signal("CONT");
    event(&mut events, "the return", connected).await;
}

/// What is published reaches the member here.
async fn there_is_a_member(backplane: &Backplane, member: &mut Member, text: &str) {
    assert_eq!(backplane.publish("t", text), Ok(1));
    assert_eq!(member.text().await, text);
}

fn connected(event: &Event) -> Option<()> {
    matches!(event, Event::Connected).then_some(())
}

fn disconnected(event: &Event) -> Option<()> {
    matches!(event, Event::Disconnected(_)).then_some(())
}
