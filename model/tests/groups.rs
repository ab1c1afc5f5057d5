//! Groups on other threads: all members get all messages in one order, and whoever goes leaves nothing.

mod support;

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use shuttle::{future::block_on, thread};
use wsweave::{Change, CloseCode, Config, ConnectionExt, ErrorKind, Group, LagPolicy, Message};

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

/// A place that is free is used again: by then nobody may publish to the one who had it.
#[test]
fn one_who_joins_while_another_membership_of_its_connection_is_left_gets_everything_once() {
    check(1000, || {
        let group = Group::new();
        let (mut conn, _peer) = pair(64, Config::default());
        let handle = conn.handle();
        let leaving = group.join("t", &handle).unwrap();
        let leaving = thread::spawn(move || drop(leaving));
        let policy = LagPolicy::drop_oldest().max_bytes(0);
        let member = group.join_with("t", &handle, policy).unwrap();
        assert!(group.publish("t", "x") >= 1);
        assert_eq!((member.lag().messages, member.lag().dropped), (1, 0));
        leaving.join().unwrap();
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

/// Who leaves last closes the topic; who comes then finds that, or another topic.
#[test]
fn whoever_has_joined_gets_what_is_published_whoever_leaves() {
    check(1000, || {
        let group = Group::new();
        let changes = group.changes();
        let coming = [(); 3].map(|()| {
            let group = group.clone();
            thread::spawn(move || {
                let (mut conn, _peer) = pair(64, Config::default());
                let member = group.join("t", &conn.handle()).unwrap();
                assert!(group.members("t").contains(&member.id()));
                group.publish("t", "x");
                assert!(member.lag().messages > 0);
            })
        });
        coming.into_iter().for_each(|coming| coming.join().unwrap());
        assert_eq!(group.topics(), []);
        drop(group);
        let mut before = 0;
        for change in block_on(changes.collect::<Vec<_>>()) {
            before = match change {
                Change::Joined { members, .. } if members == before + 1 => members,
                Change::Left { members, .. } if members + 1 == before => members,
                change => panic!("{change:?} where there were {before}"),
            };
        }
        assert_eq!(before, 0);
    });
}

#[test]
fn whoever_joins_a_group_that_is_drained_is_closed_or_refused() {
    check(1000, || {
        let group = Group::new();
        let (mut leaves, _peer) = pair(64, Config::default());
        let leaving = group.join("t", &leaves.handle()).unwrap();
        let leaving = thread::spawn(move || drop(leaving));
        let joining = {
            let group = group.clone();
            thread::spawn(move || {
                let (mut conn, peer) = pair(64, Config::default());
                (group.join("t", &conn.handle()), conn, peer)
            })
        };
        let closed = block_on(group.drain(Duration::ZERO));
        let (joined, mut conn, _peer) = joining.join().unwrap();
        leaving.join().unwrap();
        assert_eq!(joined.is_ok(), !conn.handle().is_open());
        assert!(usize::from(joined.is_ok()) <= closed);
        match joined {
            Ok(member) => drop(member),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
        }
        assert_eq!(group.topics(), []);
    });
}

#[test]
fn of_each_key_the_last_arrives_and_a_flush_does_not_wait_for_what_was_replaced() {
    check(1000, || {
        let group = Group::new();
        let (mut peer, mut conn) = pair(8, Config::default().outbox_size(1));
        let handle = conn.handle();
        let policy = LagPolicy::latest(|_: &Message| "");
        let membership = group.join_with("t", &handle, policy).unwrap();
        let serving = thread::spawn(move || block_on(conn.run()).clean);
        let publishers = ["a", "b"].map(|name| {
            let group = group.clone();
            thread::spawn(move || {
                for number in 0..2 {
                    assert_eq!(group.publish("t", format!("{name}{number}")), 1);
                }
            })
        });
        let flushing = {
            let mut handle = handle.clone();
            thread::spawn(move || block_on(handle.flush()).unwrap())
        };
        let receiving = thread::spawn(move || {
            let until_end = |message: &Message| futures::future::ready(message != &"end".into());
            let received: Vec<_> = block_on(peer.by_ref().take_while(until_end).collect());
            block_on(peer.close()).unwrap();
            received
        });
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        block_on(handle.send("end")).unwrap();
        flushing.join().unwrap();
        let received: Vec<Message> = receiving.join().unwrap();
        assert!(serving.join().unwrap());
        assert!(received.last().unwrap().as_text().unwrap().ends_with('1'));
        assert_eq!(received.len() as u64 + membership.lag().replaced, 4);
    });
}

#[test]
fn all_who_wait_learn_that_a_member_was_too_slow() {
    check(1000, || {
        let group = Group::new();
        let (peer, mut conn) = pair(8, Config::default());
        let handle = conn.handle();
        let policy = LagPolicy::disconnect().max_bytes(1);
        let membership = group.join_with("t", &handle, policy).unwrap();
        let serving = thread::spawn(move || block_on(conn.run()));
        let receiving = thread::spawn(move || block_on(peer.collect::<Vec<_>>()));
        let sending = {
            let handle = handle.clone();
            thread::spawn(move || (0..2).all(|_| block_on(handle.send("sent")).is_ok()))
        };
        let taken: usize = (0..3).map(|_| group.publish("t", "published")).sum();
        let sent = sending.join().unwrap();
        // Unless the group has done so.
        handle.close_with(1000, "").unwrap();
        let finish = serving.join().unwrap();
        let received = receiving.join().unwrap();
        let published = received.iter().filter(|&message| message == &"published".into()).count();
        let dropped = usize::try_from(membership.lag().dropped).unwrap();
        assert!(finish.clean, "{finish}");
        if finish.code == CloseCode::TRY_AGAIN_LATER {
            // That it was for, and what waited.
            assert_eq!(published, taken + 1 - dropped);
        } else {
            assert_eq!((published, dropped, sent), (3, 0, true));
        }
        assert_eq!(group.topics(), []);
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
