//! The end of a node.

use std::time::Duration;

use futures::StreamExt;
use wsweave::Group;
use wsweave_backplane::{Backplane, ErrorKind, Event, Status, UnsentReason};

use crate::{
    on_each_engine,
    support::{Engine, Member, Server, event, soon},
};

on_each_engine! {
    closing_sends_what_waits_and_says_farewell,
    closing_without_a_broker_gives_up,
    the_events_end_with_the_last_clone,
}

async fn closing_sends_what_waits_and_says_farewell(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    // So that nothing but the farewell can tell.
    let long = Duration::from_secs(600);
    let one = Backplane::attach(&here, server.broker().heartbeat(long)).await.unwrap();
    let two = Backplane::attach(&there, server.broker().heartbeat(long)).await.unwrap();
    let _near = Member::ready(&here, &one, "t").await;
    let mut far = Member::ready(&there, &two, "t").await;
    let mut events = two.events();
    if two.nodes().is_empty() {
        event(&mut events, "the node", |event| matches!(event, Event::NodeJoined(_)).then_some(()))
            .await;
    }
    one.publish("t", "known").unwrap();
    assert_eq!(far.text().await, "known");
    for number in 0..100 {
        one.publish("t", number.to_string()).unwrap();
    }
    assert_eq!(one.close().await, 0);
    for number in 0..100 {
        assert_eq!(far.text().await, number.to_string());
    }
    let left = event(&mut events, "the farewell", |event| match event {
        Event::NodeLeft(node) => Some(*node),
        _ => None,
    });
    assert_eq!(left.await, one.node());
    assert_eq!(two.presence("t").total, 1);

    assert!(matches!(one.status(), Status::Closed));
    assert_eq!(one.publish("t", "late").unwrap_err().reason, UnsentReason::Closed);
    assert_eq!(one.ready("other").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(one.close().await, 0, "once more does nothing");
}

async fn closing_without_a_broker_gives_up(engine: Engine) {
    let mut server = Server::start(engine).await;
    let backplane = Backplane::attach(&Group::new(), server.broker()).await.unwrap();
    let mut events = backplane.events();
    server.kill().await;
    event(&mut events, "the end", |event| matches!(event, Event::Disconnected(_)).then_some(()))
        .await;
    backplane.publish("t", "for nobody").unwrap();
    assert_eq!(backplane.close().await, 1);
}

async fn the_events_end_with_the_last_clone(engine: Engine) {
    let server = Server::start(engine).await;
    let backplane = Backplane::attach(&Group::new(), server.broker()).await.unwrap();
    let (events, clone) = (backplane.events(), backplane.clone());
    drop(backplane);
    assert!(matches!(clone.status(), Status::Connected | Status::Connecting));
    drop(clone);
    soon("the end", events.collect::<Vec<_>>()).await;
}
