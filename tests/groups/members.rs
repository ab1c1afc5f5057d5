//! Who is a member, and gets what.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
};

use futures::{SinkExt, StreamExt};
use futures_test::task::panic_waker;
use wsweave::{
    Config, Connection, ConnectionExt, ErrorKind, Group, GroupConfig, LagPolicy, Message,
    RateLimit, Role,
};

use super::{allocator, member, texts, texts_of};
use crate::support::{BOTH, Frame, Rig, Task};

#[test]
fn what_is_published_reaches_each_member_of_the_topic_and_nobody_else() {
    for role in BOTH {
        let group = Group::new();
        let mut rigs: [Rig; 3] = std::array::from_fn(|_| Rig::new(role));
        let [a, b, _c] = ["t", "t", "other"];
        let _members: Vec<_> = rigs
            .iter_mut()
            .zip([a, b, "other"])
            .map(|(rig, topic)| group.join(topic, &rig.conn.handle()).unwrap())
            .collect();
        assert_eq!(group.publish("t", "news"), 2);
        assert_eq!(group.publish("nobody's", "news"), 0);
        let sent = rigs.each_mut().map(|rig| {
            assert!(rig.next().is_pending());
            rig.sent()
        });
        assert_eq!(sent, [vec![Frame::text("news")], vec![Frame::text("news")], vec![]]);
    }
}

#[test]
fn a_member_that_waits_is_woken_once_for_all_that_is_published_before_it_runs() {
    let group = Group::new();
    let (mut rig, _member) = member(&group);
    for round in 0..3 {
        let (wakes, writes) = (rig.task.wakes(), rig.wire.writes());
        for n in 0..100 {
            assert_eq!(group.publish("t", format!("{round} {n}")), 1);
        }
        assert_eq!(rig.task.wakes(), wakes + 1);
        assert!(rig.next().is_pending());
        assert_eq!(rig.wire.writes(), writes + 1);
        assert!(texts(&rig).into_iter().eq((0..100).map(|n| format!("{round} {n}"))));
    }
}

#[test]
fn one_can_be_left_out() {
    let group = Group::new();
    let (mut us, _we) = member(&group);
    let (mut other, _other) = member(&group);
    assert_eq!(group.publish_except("t", "not to us", &us.conn.handle()), 1);
    assert!(us.next().is_pending() && other.next().is_pending());
    assert_eq!((texts(&us).len(), texts(&other).len()), (0, 1));
}

#[test]
fn who_left_gets_what_was_published_before_and_nothing_more() {
    let group = Group::new();
    let (mut rig, member) = member(&group);
    group.publish("t", "before");
    drop(member);
    assert_eq!(group.publish("t", "behind"), 0);
    assert_eq!((group.members("t"), group.topics()), (vec![], vec![]));
    assert!(rig.next().is_pending());
    assert_eq!(texts(&rig), ["before"]);
}

#[test]
fn the_end_of_a_connection_is_that_of_its_memberships() {
    let group = Group::new();
    let (one, _one) = member(&group);
    let (mut two, _two) = member(&group);
    let (three, third) = member(&group);
    drop(one);
    two.peer().abort();
    assert_eq!(group.members("t"), [third.id()]);
    assert_eq!(group.publish("t", "x"), 1);
    three.wire.reset();
    let mut three = three;
    assert!(three.next().is_ready());
    assert_eq!(group.topics(), []);
    assert_eq!(group.publish("t", "x"), 0);
    drop(third);
}

#[test]
fn who_hears_of_the_end_of_a_connection_finds_it_in_no_topic() {
    struct Counts(Group, AtomicUsize);
    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.1.store(self.0.member_count("t"), Ordering::Relaxed);
        }
    }
    let group = Group::new();
    let (mut rig, _member) = member(&group);
    let handle = rig.conn.handle();
    let counts = Arc::new(Counts(group, AtomicUsize::new(usize::MAX)));
    let mut closed = Box::pin(handle.closed());
    let waker = Waker::from(Arc::clone(&counts));
    assert!(closed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    rig.peer().abort();
    assert_eq!(counts.1.load(Ordering::Relaxed), 0);
}

#[test]
fn a_connection_that_is_closing_gets_nothing_and_cannot_join() {
    let group = Group::new();
    let (mut rig, _member) = member(&group);
    let handle = rig.conn.handle();
    handle.close_with(1000, "").unwrap();
    assert_eq!(group.publish("t", "too late"), 0);
    assert_eq!(group.join("u", &handle).unwrap_err().kind(), ErrorKind::Closed);
    assert!(rig.next().is_pending());
    assert_eq!(rig.sent(), [Frame::close(1000, "")]);
    assert_eq!(group.topics().len(), 1);
}

#[test]
fn a_handle_that_was_retired_cannot_join() {
    let group = Group::new();
    let mut rig = Rig::new(Role::Server);
    let mut handle = rig.conn.handle();
    assert!(Task::new().close(&mut handle).is_ready());
    assert_eq!(group.join("t", &handle).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(group.topics(), []);
    // Its clones were not.
    assert!(group.join("t", &handle.clone()).is_ok());
}

#[test]
fn a_waker_that_panics_keeps_nobody_else_from_being_woken() {
    let group = Group::new();
    let (mut one, _one) = member(&group);
    let (mut two, _two) = member(&group);
    let (three, third) = member(&group);
    for rig in [&mut one, &mut two] {
        let polled = rig.conn.poll_next_unpin(&mut Context::from_waker(&panic_waker()));
        assert!(polled.is_pending());
    }
    let wakes = three.task.wakes();
    assert!(catch_unwind(AssertUnwindSafe(|| group.publish("t", "x"))).is_err());
    assert_eq!((three.task.wakes(), third.lag().messages), (wakes + 1, 1));
    // Nothing is left locked, and each has it.
    assert_eq!(group.publish("t", "y"), 3);
    for rig in [&mut one, &mut two] {
        assert!(rig.next().is_pending());
        assert_eq!(texts(rig), ["x", "y"]);
    }
}

#[test]
fn what_is_published_goes_out_before_a_close_that_comes_behind_it() {
    let group = Group::new();
    let (mut rig, _member) = member(&group);
    let handle = rig.conn.handle();
    group.publish("t", "goodbye");
    handle.close_with(1001, "").unwrap();
    assert!(rig.next().is_pending());
    assert_eq!(rig.sent(), [Frame::text("goodbye"), Frame::close(1001, "")]);
}

#[test]
fn a_dropped_connection_still_writes_what_was_published() {
    let group = Group::new();
    let (rig, _member) = member(&group);
    group.publish("t", "goodbye");
    drop(rig.conn);
    let sent = rig.wire.sent_by(Role::Server);
    assert_eq!(sent[0], Frame::text("goodbye"));
    assert_eq!(sent[1].close_code(), Some(1001));
}

#[test]
fn topics_and_handles_of_a_connection_keep_their_order() {
    let group = Group::new();
    let mut rig = Rig::new(Role::Server);
    let handle = rig.conn.handle();
    let _members = ["a", "b"].map(|topic| group.join(topic, &handle).unwrap());
    for round in 0..10 {
        group.publish("a", format!("{round} a"));
        handle.try_send(format!("{round} handle")).unwrap();
        group.publish("b", format!("{round} b"));
    }
    assert!(rig.next().is_pending());
    let order = (0..10).flat_map(|round| ["a", "handle", "b"].map(|who| format!("{round} {who}")));
    assert!(texts(&rig).into_iter().eq(order));
}

#[test]
fn a_flush_of_a_handle_waits_for_what_was_published_before() {
    let group = Group::new();
    let (mut rig, member) = member(&group);
    let mut handle = rig.conn.handle();
    rig.wire.block_writes();
    group.publish("t", "published");
    handle.try_send("sent").unwrap();
    group.publish("t", "later");
    let task = Task::new();
    assert!(rig.next().is_pending() && task.flush(&mut handle).is_pending());
    rig.wire.unblock_writes();
    assert!(rig.next().is_pending());
    assert!(task.flush(&mut handle).is_ready());
    assert_eq!(texts(&rig), ["published", "sent", "later"]);
    drop(member);
}

#[test]
fn one_connection_can_belong_twice_and_each_membership_ends_by_itself() {
    let group = Group::new();
    let mut rig = Rig::new(Role::Server);
    let handle = rig.conn.handle();
    let [one, two] = [(); 2].map(|()| group.join("t", &handle).unwrap());
    assert_eq!(group.publish("t", "twice"), 2);
    drop(one);
    assert_eq!(group.publish("t", "once"), 1);
    assert_eq!(group.members("t"), [two.id()]);
    assert!(rig.next().is_pending());
    assert_eq!(texts(&rig), ["twice", "twice", "once"]);
}

#[test]
fn places_are_used_again_and_members_never_mixed_up() {
    let group = Group::new();
    let mut rig = Rig::new(Role::Server);
    let handle = rig.conn.handle();
    let mut ids = Vec::new();
    for n in 0..100 {
        let member = group.join("t", &handle).unwrap();
        assert!(!ids.contains(&member.id()));
        ids.push(member.id());
        group.publish("t", format!("{n}"));
        drop(member);
        if n % 3 == 0 {
            assert!(rig.next().is_pending());
        }
    }
    assert!(rig.next().is_pending());
    assert!(texts(&rig).into_iter().eq((0..100).map(|n| n.to_string())));
}

#[test]
fn names_and_memberships_have_limits() {
    let config = GroupConfig::default().max_topic_len(4).max_memberships(2);
    let group = Group::with_config(config);
    let mut rig = Rig::new(Role::Server);
    let handle = rig.conn.handle();
    for name in ["", "fives"] {
        let error = group.join(name, &handle).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    let members = ["four", "*.>?"].map(|name| group.join(name, &handle).unwrap());
    for _ in 0..10_000 {
        assert_eq!(group.join("t", &handle).unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
    assert_eq!(group.topics().len(), 2);
    drop(members);
    let _member = group.join("t", &handle).unwrap();
    assert_eq!(group.topics(), [("t".into(), 1)]);
}

#[test]
fn a_topic_that_was_large_gives_its_memory_back() {
    let group = Group::new();
    let mut rigs: [Rig; 10] = std::array::from_fn(|_| Rig::new(Role::Server));
    let handles = rigs.each_mut().map(|rig| rig.conn.handle());
    let (_rig, stays) = member(&group);
    let held = allocator::held_after(|| {
        let all: Vec<_> = handles.iter().map(|handle| members_of(&group, handle)).collect();
        assert_eq!(group.member_count("t"), 5_001);
        drop(all);
    });
    assert!(held < 2_000, "{held} bytes");
    assert_eq!(group.members("t"), [stays.id()]);
}

#[test]
fn memberships_and_topics_that_are_no_more_take_no_memory() {
    let group = Group::new();
    let mut rig = Rig::new(Role::Server);
    let handle = rig.conn.handle();
    drop(group.join("t", &handle).unwrap());
    let held = allocator::held_after(|| {
        let join = |n: usize| group.join(&n.to_string(), &handle).unwrap();
        let all: Vec<_> = (0..1_000).map(join).collect();
        assert_eq!(group.topics().len(), 1_000);
        drop(all);
    });
    assert!(held < 2_000, "{held} bytes");
}

#[test]
fn memberships_that_are_left_around_an_end_with_much_unwritten_take_no_memory() {
    for leaves_first in [true, false] {
        let group = Group::new();
        let mut rig = Rig::new(Role::Server);
        let handle = rig.conn.handle();
        let held = allocator::held_after(|| {
            let mut all = members_of(&group, &handle);
            assert_eq!(group.publish("t", "unwritten"), 500);
            if leaves_first {
                all.clear();
            }
            rig.peer().abort();
            drop(all);
        });
        assert!(held < 2_000, "{held} bytes");
        assert!(!handle.is_open());
    }
}

fn members_of(group: &Group, handle: &wsweave::Handle) -> Vec<wsweave::Membership> {
    (0..500).map(|_| group.join("t", handle).unwrap()).collect()
}

#[test]
fn whoever_leaves_those_who_stay_get_everything_once() {
    let group = Group::new();
    let mut all: Vec<_> = (0..40).map(|_| member(&group)).collect();
    for round in 0..10 {
        // From the front, from the back, and from between.
        for place in [0, all.len() - 2, all.len() / 2] {
            drop(all.remove(place).1);
        }
        assert_eq!(group.publish("t", format!("{round}")), all.len());
        for (rig, _) in &mut all {
            assert!(rig.next().is_pending());
            assert_eq!(texts(rig), [format!("{round}")]);
        }
    }
    let mut ids: Vec<_> = all.iter().map(|(_, member)| member.id()).collect();
    let mut members = group.members("t");
    ids.sort();
    members.sort();
    assert_eq!((members.len(), members), (group.member_count("t"), ids));
}

#[test]
fn who_joins_and_leaves_without_being_polled_runs_into_the_limit() {
    let group = Group::with_config(GroupConfig::default().max_memberships(3));
    let mut rig = Rig::new(Role::Server);
    let handle = rig.conn.handle();
    for _ in 0..3 {
        let _member = group.join("t", &handle).unwrap();
        group.publish("t", "waits");
    }
    assert_eq!(group.join("t", &handle).unwrap_err().kind(), ErrorKind::LimitExceeded);
    assert!(rig.next().is_pending());
    assert!(group.join("t", &handle).is_ok());
}

#[test]
fn a_hook_can_publish_to_its_own_connection() {
    let group = Group::new();
    let mut rig = Rig::new(Role::Server);
    let _member = group.join("t", &rig.conn.handle()).unwrap();
    let publisher = group.clone();
    let mut rig = rig.weave(|conn| {
        conn.on_each(move |_, message| {
            publisher.publish("t", message.clone());
        })
    });
    rig.receive([Frame::text("a"), Frame::text("b")]);
    assert_eq!(rig.settle().len(), 2);
    assert_eq!(rig.sent(), [Frame::text("a"), Frame::text("b")]);
}

#[test]
fn a_member_that_sends_too_much_still_gets_what_is_published_meanwhile() {
    let group = Group::new();
    let mut rig = Rig::new(Role::Server);
    let _member = group.join("t", &rig.conn.handle()).unwrap();
    let (mut other, _other) = member(&group);
    let publisher = group.clone();
    let mut rig = rig.weave(|conn| {
        let limit = RateLimit::new().messages(1).unwrap();
        conn.limit_rate(limit).on_each(move |_, message| {
            publisher.publish("t", message.clone());
        })
    });
    rig.receive(["a", "b"].map(Frame::text));
    assert_eq!(rig.settle().len(), 1);
    // What is over the limit is not published either.
    assert!(other.next().is_pending());
    assert_eq!((texts(&other), texts_of(&rig.sent())), (vec!["a".into()], vec!["a".into()]));
    let wakes = rig.task.wakes();
    group.publish("t", "meanwhile");
    assert_eq!(rig.task.wakes(), wakes + 1);
    assert!(rig.settle().is_empty());
    assert_eq!(texts_of(&rig.sent()), ["meanwhile"]);
    rig.clock.advance_secs(1);
    assert_eq!(rig.settle().len(), 1);
    assert_eq!(texts_of(&rig.sent()), ["b"]);
}

#[test]
fn what_a_hook_sends_by_a_handle_goes_before_what_comes_later_whatever_was_published() {
    let group = Group::new();
    let mut rig = Rig::with(Role::Server, Config::default().outbox_size(100));
    let handle = rig.conn.handle();
    let _member = group.join("t", &handle).unwrap();
    let mut rig = rig.weave(|conn| {
        let conn = conn.on_each_async(move |_, _| {
            let handle = handle.clone();
            async move { handle.send("by a handle").await }
        });
        conn.on_each(|peer, _| peer.send("by the next hook"))
    });
    rig.wire.block_writes();
    for n in 0..10 {
        group.publish("t", format!("{n:0100}"));
    }
    rig.receive([Frame::text("go")]);
    rig.settle();
    rig.wire.unblock_writes();
    rig.settle();
    let sent = texts_of(&rig.sent());
    assert_eq!(sent[10..], ["by a handle", "by the next hook"]);
}

#[test]
fn what_is_published_is_of_no_use_to_a_peer_that_closes() {
    let group = Group::new();
    let (mut rig, _member) = member(&group);
    let handle = rig.conn.handle();
    group.publish("t", "published");
    handle.try_send("sent").unwrap();
    rig.receive([Frame::close(1000, "")]);
    rig.settle();
    assert_eq!(rig.sent(), [Frame::text("sent"), Frame::close(1000, "")]);
}

#[test]
fn what_goes_before_the_message_of_a_hook_stops_the_reading_and_is_no_fault_of_hooks() {
    let group = Group::with_config(GroupConfig::default().max_waiting(32 << 20));
    let mut rig = Rig::with(Role::Server, Config::default());
    let handle = rig.conn.handle();
    let policy = LagPolicy::default().max_bytes(32 << 20);
    let _member = group.join_with("t", &handle, policy).unwrap();
    let mut rig = rig.weave(|conn| {
        let conn = conn.on_each_async(move |_, _| {
            let handle = handle.clone();
            async move { handle.send("by a handle").await }
        });
        conn.on_each(|peer, _| peer.send("by the next hook"))
    });
    rig.wire.block_writes();
    let large = Message::from(vec![0; 1 << 20]);
    for _ in 0..20 {
        assert_eq!(group.publish("t", large.clone()), 1);
    }
    rig.receive(["one", "two"].map(Frame::text));
    assert_eq!(rig.settle(), ["one".into()]);
    rig.wire.unblock_writes();
    assert_eq!(rig.settle(), ["two".into()]);
    let sent = rig.sent();
    assert!(sent[..20].iter().all(|frame| frame.payload.len() == 1 << 20));
    let replies = ["by a handle", "by the next hook"];
    assert_eq!(texts_of(&sent[20..]), [replies, replies].concat());
}

#[test]
fn what_the_sink_has_queued_before_a_message_of_a_group_stops_no_reading() {
    let group = Group::new();
    let mut rig = Rig::with(Role::Server, Config::default());
    let handle = rig.conn.handle();
    let _member = group.join("t", &handle).unwrap();
    let mut rig = rig.weave(|conn| {
        conn.on_each_async(move |_, _| {
            group.publish("t", "published");
            let handle = handle.clone();
            async move { handle.send("by a handle").await }
        })
    });
    rig.wire.block_writes();
    rig.feed(vec![0; 4 << 20]);
    rig.receive(["one", "two"].map(Frame::text));
    assert_eq!(rig.settle(), ["one".into(), "two".into()]);
    rig.wire.unblock_writes();
    assert!(rig.next().is_pending());
    assert_eq!(texts_of(&rig.sent()[1..]), ["published", "by a handle"].repeat(2));
}

#[test]
fn a_group_works_between_real_tasks() {
    crate::support::within(async {
        let group = Group::new();
        let mut peers = Vec::new();
        for _ in 0..8 {
            let (mut conn, peer) = Connection::pair_with(Config::default(), Config::default());
            let member = group.join("t", &conn.handle()).unwrap();
            let serving = crate::support::rt::spawn(async move {
                let _member = member;
                conn.run().await
            });
            peers.push((peer, serving));
        }
        assert_eq!(group.publish("t", "hello"), 8);
        for (mut peer, serving) in peers {
            assert_eq!(peer.next().await, Some("hello".into()));
            peer.close().await.unwrap();
            assert!(serving.await.clean);
        }
        assert_eq!(group.topics(), []);
    });
}
