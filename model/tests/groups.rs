//! Groups on other threads: all members get all messages in one order, and whoever goes leaves nothing.

mod support;

use futures::StreamExt;
use shuttle::{future::block_on, thread};
use wsweave::{Change, Config, ConnectionExt, Group, Message};

use self::support::{check, pair};

#[test]
fn all_members_get_all_that_is_published_in_one_order() {
    check(1000, || {
        let group = Group::new();
        let members = [(); 2].map(|()| member(&group));
        let publishers = ["a", "b"].map(|name| {
            let group = group.clone();
            thread::spawn(move || {
                for number in 0..2 {
                    assert_eq!(group.publish("t", format!("{name}{number}")), 2);
                }
            })
        });
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        let seen = members.map(|(serving, received)| {
            let received: Vec<Message> = received.join().unwrap();
            assert!(serving.join().unwrap());
            received
        });
        assert_eq!(seen[0], seen[1]);
    });
}

#[test]
fn a_connection_that_ends_and_a_membership_that_is_dropped_meet_a_publisher() {
    check(1000, || {
        let group = Group::new();
        let (mut conn, peer) = pair(64, Config::default());
        let membership = group.join("t", &conn.handle()).unwrap();
        let publisher = {
            let group = group.clone();
            thread::spawn(move || group.publish("t", "x"))
        };
        let ending = thread::spawn(move || drop((conn, peer)));
        drop(membership);
        publisher.join().unwrap();
        ending.join().unwrap();
        assert_eq!(group.topics(), []);
    });
}

#[test]
fn a_topic_that_the_last_one_leaves_can_be_joined() {
    check(1000, || {
        let group = Group::new();
        let (mut first, _first) = pair(64, Config::default());
        let (mut second, _second) = pair(64, Config::default());
        let leaving = group.join("t", &first.handle()).unwrap();
        let leaving = thread::spawn(move || drop(leaving));
        let stays = group.join("t", &second.handle()).unwrap();
        leaving.join().unwrap();
        assert_eq!(group.members("t"), [stays.id()]);
        assert_eq!(group.publish("t", "x"), 1);
    });
}

#[test]
fn those_who_join_a_new_topic_at_once_belong_to_the_same() {
    check(1000, || {
        let group = Group::new();
        let joining = [(); 2].map(|()| {
            let group = group.clone();
            thread::spawn(move || {
                let (mut conn, peer) = pair(64, Config::default());
                let member = group.join("t", &conn.handle()).unwrap();
                (member, conn, peer)
            })
        });
        let joined = joining.map(|joining| joining.join().unwrap());
        assert_eq!(group.publish("t", "x"), 2);
        drop(joined);
    });
}

#[test]
fn whoever_watches_is_woken_by_the_changes_and_the_end() {
    check(1000, || {
        let group = Group::new();
        let changes = group.changes();
        let watching = thread::spawn(move || block_on(changes.collect::<Vec<_>>()));
        let (mut conn, _peer) = pair(64, Config::default());
        let member = group.join("t", &conn.handle()).unwrap();
        let id = member.id();
        drop(member);
        drop(group);
        let topic = || "t".into();
        assert_eq!(
            watching.join().unwrap(),
            [
                Change::Joined { topic: topic(), member: id, members: 1 },
                Change::Left { topic: topic(), member: id, members: 0 },
            ]
        );
    });
}

/// A member that runs until its peer closes, and that peer, which does so after four messages.
fn member(group: &Group) -> (thread::JoinHandle<bool>, thread::JoinHandle<Vec<Message>>) {
    let (mut peer, mut conn) = pair(64, Config::default());
    let membership = group.join("t", &conn.handle()).unwrap();
    let serving = thread::spawn(move || {
        let clean = block_on(conn.run()).clean;
        drop(membership);
        clean
    });
    let receiving = thread::spawn(move || {
        let received = block_on(peer.by_ref().take(4).collect());
        block_on(peer.close_with(1000, "")).unwrap();
        received
    });
    (serving, receiving)
}
