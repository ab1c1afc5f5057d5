//! Many threads at once.

use std::{sync::Barrier, thread};

use futures::StreamExt;
use wsweave::{Config, Connection, ConnectionExt, Group, Message};

use crate::support::{rt::spawn, within};

#[test]
fn all_members_see_one_order_whoever_publishes() {
    const EACH: usize = 200;
    within(async {
        let group = Group::new();
        let mut peers = Vec::new();
        for _ in 0..4 {
            let (mut conn, peer) = Connection::pair_with(Config::default(), Config::default());
            let member = group.join("t", &conn.handle()).unwrap();
            let serving = spawn(async move {
                let _member = member;
                conn.run().await
            });
            let peer = spawn(async move { peer.take(3 * EACH).collect::<Vec<Message>>().await });
            peers.push((peer, serving));
        }
        let barrier = Barrier::new(3);
        thread::scope(|scope| {
            for publisher in 0..3 {
                let (group, barrier) = (&group, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for n in 0..EACH {
                        group.publish("t", format!("{publisher} {n}"));
                    }
                });
            }
        });
        let mut seen = Vec::new();
        for (peer, serving) in peers {
            seen.push(peer.await);
            serving.await;
        }
        assert!(seen.iter().all(|messages| messages == &seen[0]));
        for publisher in 0..3 {
            let own = seen[0].iter().filter_map(|message| {
                message.as_text().unwrap().strip_prefix(&format!("{publisher} "))
            });
            assert!(own.eq((0..EACH).map(|n| n.to_string()).collect::<Vec<_>>()));
        }
    });
}

#[test]
fn joining_leaving_ending_and_publishing_at_once_leave_nothing_behind() {
    let group = Group::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..300 {
                    let (mut conn, _peer) = Connection::pair();
                    let members =
                        ["a", "b"].map(|topic| group.join(topic, &conn.handle()).unwrap());
                    if n % 2 == 0 {
                        drop(conn);
                        drop(members);
                    } else {
                        drop(members);
                    }
                }
            });
        }
        scope.spawn(|| {
            for n in 0..600 {
                group.publish(if n % 2 == 0 { "a" } else { "b" }, "x");
            }
        });
    });
    assert_eq!(group.topics(), []);
}
