//! Who is there.

use std::time::Duration;

use wsweave::Group;
use wsweave_backplane::{Backplane, Event, Events};

use crate::{
    on_each_engine,
    support::{Engine, Member, Server, event},
};

on_each_engine! {
    counts_follow_who_joins_and_leaves,
    without_a_broker_the_others_count_no_more,
}

async fn counts_follow_who_joins_and_leaves(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    // So that all is said when it happens.
    let broker = || server.broker().heartbeat(Duration::from_secs(600));
    let one = Backplane::attach(&here, broker()).await.unwrap();
    let first = {
        // All who listen have heard of it.
        let witness = Backplane::attach(&there, broker()).await.unwrap();
        let mut events = witness.events();
        let first = Member::ready(&here, &one, "t").await;
        total(&mut events, 1).await;
        let mut events = one.events();
        witness.close().await;
        event(&mut events, "the farewell", |event| {
            matches!(event, Event::NodeLeft(_)).then_some(())
        })
        .await;
        first
    };
    // It comes later, and is told all the same.
    let two = Backplane::attach(&there, broker()).await.unwrap();
    let mut events = two.events();
    if two.presence("t").total == 0 {
        total(&mut events, 1).await;
    }
    let second = Member::ready(&here, &one, "t").await;
    total(&mut events, 2).await;
    let third = Member::ready(&there, &two, "t").await;
    total(&mut events, 3).await;
    let presence = two.presence("t");
    assert_eq!((presence.total, presence.local), (3, 1));
    assert_eq!(presence.remote, [(one.node(), 2)]);
    assert_eq!(two.nodes(), [one.node()]);
    drop((first, third));
    total(&mut events, 1).await;
    drop(second);
    total(&mut events, 0).await;
    assert_eq!(two.presence("t").remote, []);
}

async fn without_a_broker_the_others_count_no_more(engine: Engine) {
    let mut server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let broker = || server.broker().heartbeat(Duration::from_millis(300));
    let one = Backplane::attach(&here, broker()).await.unwrap();
    let two = Backplane::attach(&there, broker()).await.unwrap();
    let mut events = two.events();
    let _near = Member::ready(&here, &one, "t").await;
    total(&mut events, 1).await;
    server.kill().await;
    total(&mut events, 0).await;
    assert_eq!(two.nodes(), []);
    server.restart().await;
    total(&mut events, 1).await;
}

async fn total(events: &mut Events, expected: usize) {
    event(events, "the count", |event| match event {
        Event::Presence { topic, total } if &**topic == "t" && *total == expected => Some(()),
        _ => None,
    })
    .await;
}
