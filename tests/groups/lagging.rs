//! Members that are slow: each policy, its bound, and that nobody else notices.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use futures::FutureExt;
use wsweave::{Config, ConnectionExt, ErrorKind, Group, GroupConfig, LagPolicy, Message, Role};

use super::{allocator, drained, member, member_with, numbered, texts};
use crate::support::{Frame, Rig, Task};

/// The bytes that a message counts beside its payload.
const OVERHEAD: usize = 128;

/// A member whose peer takes nothing, and whose outbox is so full that what is published waits.
fn stuck(group: &Group, policy: LagPolicy) -> (Rig, wsweave::Membership) {
    let mut rig = Rig::with(Role::Server, Config::default().outbox_size(1));
    let membership = group.join_with("t", &rig.conn.handle(), policy).unwrap();
    rig.wire.block_writes();
    rig.feed("first");
    assert!(rig.next().is_pending());
    (rig, membership)
}

fn numbers(range: impl IntoIterator<Item = usize>) -> Vec<String> {
    let texts = range.into_iter().map(|n| numbered(n, 10));
    ["first".to_owned()].into_iter().chain(texts.map(|m| m.as_text().unwrap().to_owned())).collect()
}

/// Room for this many messages of 10 bytes.
fn room(messages: usize) -> usize {
    messages * (10 + OVERHEAD)
}

#[test]
fn the_oldest_can_be_dropped() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, LagPolicy::drop_oldest().max_bytes(room(3)));
    for n in 0..10 {
        assert_eq!(group.publish("t", numbered(n, 10)), 1);
    }
    let lag = member.lag();
    assert_eq!((lag.messages, lag.bytes, lag.dropped, lag.replaced), (3, room(3), 7, 0));
    assert_eq!(drained(&mut rig), numbers(7..10));
    let lag = member.lag();
    assert_eq!((lag.messages, lag.bytes, lag.dropped), (0, 0, 7));
}

#[test]
fn what_is_dropped_leaves_nothing_behind() {
    let group = Group::new();
    let (_rig, member) = stuck(&group, LagPolicy::drop_oldest().max_bytes(room(3)));
    let held = allocator::held_after(|| {
        for n in 0..20_000 {
            group.publish("t", numbered(n, 10));
        }
    });
    assert!(held < 4_000, "{held} bytes");
    assert_eq!(member.lag().dropped, 20_000 - 3);
}

#[test]
fn a_large_message_can_cost_several_of_the_oldest_and_what_follows_still_arrives() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, LagPolicy::drop_oldest().max_bytes(room(4)));
    for n in 0..4 {
        group.publish("t", numbered(n, 10));
    }
    group.publish("t", numbered(4, 10 + 2 * (10 + OVERHEAD)));
    assert_eq!((member.lag().messages, member.lag().dropped), (2, 3));
    group.publish("t", "short");
    let all = drained(&mut rig);
    assert_eq!((all.len(), all.last().map(String::as_str)), (3, Some("short")));
    group.publish("t", "afterwards");
    assert!(rig.next().is_pending());
    assert_eq!(texts(&rig), ["afterwards"]);
}

#[test]
fn the_newest_can_be_dropped() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, LagPolicy::drop_newest().max_bytes(room(3)));
    let taken: Vec<_> = (0..10).map(|n| group.publish("t", numbered(n, 10))).collect();
    assert_eq!(taken, [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((member.lag().messages, member.lag().dropped), (3, 7));
    assert_eq!(drained(&mut rig), numbers(0..3));
}

fn key(message: &Message) -> Vec<u8> {
    message.as_bytes()[..1].to_vec()
}

#[test]
fn the_latest_of_each_key_takes_the_place_of_the_one_before() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, LagPolicy::latest(key));
    for text in ["a1", "b1", "a2", "c1", "b2", "a3"] {
        assert_eq!(group.publish("t", text), 1);
    }
    assert_eq!((member.lag().messages, member.lag().replaced, member.lag().dropped), (3, 3, 0));
    assert_eq!(drained(&mut rig), ["first", "a3", "b2", "c1"]);
    // What has gone out is replaced no more.
    group.publish("t", "a4");
    assert!(rig.next().is_pending());
    assert_eq!(texts(&rig), ["a4"]);
}

#[test]
fn the_latest_are_bounded_too_and_the_newest_stays() {
    let group = Group::new();
    // Each counts with its key of one byte.
    let (mut rig, member) = stuck(&group, LagPolicy::latest(key).max_bytes(room(3) + 3));
    for first in ["a", "b", "c", "d"] {
        group.publish("t", format!("{first}{:09}", 0));
    }
    assert_eq!((member.lag().messages, member.lag().dropped), (3, 1));
    // In the place of the oldest, and too large beside the others.
    group.publish("t", format!("b{:0300}", 1));
    assert_eq!((member.lag().messages, member.lag().dropped), (1, 3));
    group.publish("t", "c2");
    assert_eq!((member.lag().messages, member.lag().dropped), (1, 4));
    assert_eq!(drained(&mut rig), ["first", "c2"]);
}

#[test]
fn the_key_is_computed_once_for_all_who_share_a_policy() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let policy = LagPolicy::latest(move |message: &Message| {
        counter.fetch_add(1, Ordering::Relaxed);
        key(message)
    });
    let group = Group::new();
    let members: Vec<_> = (0..5).map(|_| stuck(&group, policy.clone())).collect();
    group.publish("t", "a1");
    group.publish("t", "a2");
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    assert!(members.iter().all(|(_, member)| member.lag().replaced == 1));
    drop(members);
    group.publish("t", "nobody is left");
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn a_key_can_use_the_group() {
    let group = Group::new();
    let inner = group.clone();
    let policy = LagPolicy::latest(move |message: &Message| {
        assert_eq!(inner.members("t").len(), 1);
        key(message)
    });
    let (_rig, _member) = member_with(&group, policy);
    assert_eq!(group.publish("t", "a"), 1);
}

#[test]
fn who_joins_while_the_keys_are_computed_gets_that_message_without_one() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, LagPolicy::default());
    let (handle, inner, joined) = (rig.conn.handle(), group.clone(), Mutex::new(None));
    let policy = LagPolicy::latest(move |message: &Message| {
        let join = || inner.join_with("t", &handle, LagPolicy::latest(key)).unwrap();
        joined.lock().unwrap().get_or_insert_with(join);
        key(message)
    });
    let (_other, _first) = member_with(&group, policy);
    drop(member);
    for text in ["a1", "a2", "b1"] {
        assert_eq!(group.publish("t", text), 2);
    }
    // Makes room for one message more.
    rig.wire.allow(Frame::text("first").to(Role::Client).len());
    rig.settle();
    for text in ["b2", "a3"] {
        assert_eq!(group.publish("t", text), 2);
    }
    assert_eq!(drained(&mut rig), ["first", "a1", "a3", "b2"]);
}

#[test]
fn a_member_that_is_too_slow_can_be_closed() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, LagPolicy::disconnect().max_bytes(room(3)));
    let handle = rig.conn.handle();
    handle.try_send("from a handle").unwrap();
    let taken: Vec<_> = (0..10).map(|n| group.publish("t", numbered(n, 10))).collect();
    assert_eq!(taken, [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert!(!handle.is_open());
    assert_eq!((member.lag().messages, member.lag().dropped), (0, 4));
    rig.wire.unblock_writes();
    assert!(rig.next().is_pending());
    let sent = rig.sent();
    assert_eq!(sent[..2], [Frame::text("first"), Frame::text("from a handle")]);
    assert_eq!((sent.len(), sent[2].close_code()), (3, Some(1013)));
}

#[test]
fn who_waits_for_room_is_told_of_that_close() {
    let group = Group::new();
    let (mut rig, _member) = stuck(&group, LagPolicy::disconnect().max_bytes(1));
    let handle = rig.conn.handle();
    handle.try_send("no more room").unwrap();
    let (mut sending, task) = (Box::pin(handle.send("waits")), Task::new());
    assert!(task.poll(&mut sending).is_pending());
    group.publish("t", "a");
    assert_eq!(task.wakes(), 0);
    group.publish("t", "b");
    assert_eq!(task.wakes(), 1);
    let result = sending.now_or_never().unwrap();
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn the_close_of_one_that_takes_nothing_is_bounded_by_its_timeout() {
    let group = Group::new();
    let (mut rig, _member) = stuck(&group, LagPolicy::disconnect().max_bytes(1));
    group.publish("t", "a");
    assert!(rig.next().is_pending());
    let wakes = rig.task.wakes();
    group.publish("t", "b");
    assert_eq!(rig.task.wakes(), wakes + 1);
    assert!(rig.next().is_pending());
    rig.clock.advance_secs(10);
    rig.settle();
    assert!(rig.has_ended());
    assert_eq!(group.topics(), []);
}

#[test]
fn one_message_fits_whatever_its_size() {
    for policy in [
        LagPolicy::drop_oldest(),
        LagPolicy::drop_newest(),
        LagPolicy::disconnect(),
        LagPolicy::latest(key),
    ] {
        let group = Group::new();
        let (mut rig, member) = stuck(&group, policy.max_bytes(0));
        assert_eq!(group.publish("t", numbered(0, 100_000)), 1);
        assert_eq!(member.lag().messages, 1);
        assert_eq!(drained(&mut rig)[1].len(), 100_000);
    }
}

#[test]
fn nobody_else_waits_for_the_slow_one() {
    let group = Group::new();
    let (slow, lagging) = stuck(&group, LagPolicy::drop_oldest().max_bytes(1_000));
    let (mut quick, _member) = member(&group);
    for n in 0..1_000 {
        assert_eq!(group.publish("t", numbered(n, 1_000)), 2);
        assert!(quick.next().is_pending());
        assert_eq!(texts(&quick).len(), 1);
    }
    assert_eq!((lagging.lag().messages, lagging.lag().dropped), (1, 999));
    drop(slow);
}

#[test]
fn what_is_published_to_one_that_takes_nothing_does_not_pass_the_bounds() {
    let group = Group::new();
    let mut rig = Rig::with(Role::Server, Config::default().outbox_size(10_000));
    let policy = LagPolicy::drop_oldest().max_bytes(20_000);
    let member = group.join_with("t", &rig.conn.handle(), policy).unwrap();
    rig.wire.block_writes();
    for n in 0..1_000 {
        group.publish("t", numbered(n, 1_000));
        assert!(rig.next().is_pending());
        assert!(member.lag().bytes <= 20_000);
        assert!(rig.conn.stats().queued <= 10_000 + 1_100 + 20_000, "{}", rig.conn.stats().queued);
    }
    assert!(rig.conn.stats().queued > 20_000);
}

#[test]
fn a_flush_of_a_handle_does_not_wait_for_what_was_dropped() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, LagPolicy::drop_oldest().max_bytes(1_000));
    let (mut handle, task) = (rig.conn.handle(), Task::new());
    for n in 0..4 {
        group.publish("t", numbered(n, 10));
    }
    group.publish("t", numbered(4, 1_000));
    assert_eq!((member.lag().messages, member.lag().dropped), (1, 4));
    assert!(task.flush(&mut handle).is_pending());
    rig.wire.unblock_writes();
    assert!(rig.next().is_pending());
    assert!(task.flush(&mut handle).is_ready());
}

#[test]
fn a_flush_of_a_handle_does_not_wait_for_what_is_published_later() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, LagPolicy::default());
    let (mut handle, task) = (rig.conn.handle(), Task::new());
    group.publish("t", "earlier");
    assert!(task.flush(&mut handle).is_pending());
    group.publish("t", "later");
    rig.wire.allow(Frame::text("first").to(Role::Client).len());
    rig.settle();
    assert!(task.flush(&mut handle).is_pending());
    rig.wire.allow(Frame::text("earlier").to(Role::Client).len());
    rig.settle();
    assert!(task.flush(&mut handle).is_ready());
    rig.wire.allow(100);
    rig.settle();
    assert_eq!((texts(&rig).len(), member.lag().messages), (3, 0));
}

#[test]
fn what_a_policy_has_is_dropped_when_nothing_is_locked() {
    struct Guard(wsweave::Handle);

    impl Drop for Guard {
        fn drop(&mut self) {
            let _ = self.0.try_send("from a drop");
        }
    }

    let group = Group::new();
    let mut rig = Rig::new(Role::Server);
    let guard = Guard(rig.conn.handle());
    let policy = LagPolicy::latest(move |message: &Message| {
        assert!(guard.0.is_open());
        key(message)
    });
    let member = group.join_with("t", &rig.conn.handle(), policy).unwrap();
    group.publish("t", "a");
    drop(member);
    assert!(rig.next().is_pending());
    assert_eq!(texts(&rig), ["a", "from a drop"]);
}

/// One whose function has this.
fn policy_with(held: impl Send + Sync + 'static) -> LagPolicy {
    LagPolicy::latest(move |message: &Message| {
        let _ = &held;
        key(message)
    })
}

#[test]
fn no_policy_outlives_its_connection_however_that_ends() {
    for stays in [true, false] {
        let group = Group::new();
        let held = Arc::new(());
        let watched = Arc::downgrade(&held);
        let (mut rig, member) = stuck(&group, policy_with(held));
        group.publish("t", "waits");
        let member = Some(member).filter(|_| stays);
        assert_eq!(watched.strong_count(), 1);
        rig.peer().abort();
        assert_eq!(watched.strong_count(), 0);
        drop(member);
    }
}

/// Panics when it is dropped.
struct Brittle;

impl AsRef<[u8]> for Brittle {
    fn as_ref(&self) -> &[u8] {
        b"brittle"
    }
}

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn a_payload_that_panics_at_the_end_keeps_nobody_from_hearing_of_that() {
    let group = Group::new();
    let (mut rig, _member) = stuck(&group, LagPolicy::default());
    let handle = rig.conn.handle();
    let (mut closed, task) = (Box::pin(handle.closed()), Task::new());
    assert!(task.poll(&mut closed).is_pending());
    group.publish("t", bytes::Bytes::from_owner(Brittle));
    assert!(catch_unwind(AssertUnwindSafe(|| rig.peer().abort())).is_err());
    assert_eq!(task.wakes(), 1);
    assert!(task.poll(&mut closed).is_ready());
}

#[test]
fn a_policy_that_panics_when_it_is_dropped_costs_no_message_and_no_wake_up() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, policy_with(Brittle));
    group.publish("t", "published");
    drop(member);
    let handle = rig.conn.handle();
    handle.try_send("no more room").unwrap();
    let (mut sending, task) = (Box::pin(handle.send("waits")), Task::new());
    assert!(task.poll(&mut sending).is_pending());
    rig.wire.unblock_writes();
    assert!(catch_unwind(AssertUnwindSafe(|| rig.next())).is_err());
    assert_eq!(task.wakes(), 1);
    assert!(rig.next().is_pending());
    assert!(task.poll(&mut sending).is_ready());
    assert!(rig.next().is_pending());
    assert_eq!(texts(&rig), ["first", "published", "no more room", "waits"]);
}

#[test]
fn a_member_that_was_behind_gives_its_memory_back() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, LagPolicy::latest(key).max_bytes(1 << 22));
    let held = allocator::held_after(|| {
        for n in (0..=255).cycle().take(20_000) {
            group.publish("t", Message::from(vec![n]));
        }
        for n in 0..20_000 {
            group.publish("t", format!("{n:05}"));
        }
        rig.wire.unblock_writes();
        rig.settle();
        rig.wire.take_written();
    });
    assert_eq!(member.lag().messages, 0);
    assert!(held < 20_000, "{held} bytes");
}

#[test]
fn a_backlog_is_taken_as_there_is_room_for_it() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, LagPolicy::default());
    for n in 0..5_000 {
        group.publish("t", numbered(n, 10));
    }
    // The first message, and a part of the next.
    rig.wire.allow(10);
    rig.settle();
    assert_eq!(member.lag().messages, 5_000 - 1);
    assert!(rig.conn.stats().queued > 500_000);
}

#[test]
fn a_backlog_is_written_whole_once_the_peer_takes_it() {
    let group = Group::new();
    let (mut rig, member) = stuck(&group, LagPolicy::default());
    for n in 0..5_000 {
        assert_eq!(group.publish("t", numbered(n, 10)), 1);
    }
    assert_eq!(member.lag().messages, 5_000);
    rig.wire.unblock_writes();
    rig.settle();
    assert_eq!(texts(&rig), numbers(0..5_000));
    assert_eq!(member.lag(), wsweave::Lag::default());
}

/// A connection whose peer takes nothing, and its memberships of the topics "t" and "u", of a group that has
/// room for three messages, one of them with a key of a byte.
fn stuck_twice(policies: [LagPolicy; 2]) -> (Group, Rig, [wsweave::Membership; 2]) {
    let group = Group::with_config(GroupConfig::default().max_waiting(room(3) + 1));
    let [t, u] = policies;
    let (mut rig, one) = stuck(&group, t);
    let two = group.join_with("u", &rig.conn.handle(), u).unwrap();
    (group, rig, [one, two])
}

#[test]
fn what_waits_for_all_memberships_of_a_connection_is_bounded() {
    let last = |message: &Message| message.as_bytes().last().map(|&last| [last]).unwrap();
    for policy in [LagPolicy::drop_oldest(), LagPolicy::latest(last)] {
        let (group, mut rig, [t, u]) = stuck_twice([LagPolicy::drop_oldest(), policy]);
        let taken = [("t", 0), ("t", 1), ("u", 2), ("u", 3), ("t", 4)]
            .map(|(topic, n)| group.publish(topic, numbered(n, 10)));
        assert_eq!((taken, t.lag().dropped, u.lag().dropped), ([1; 5], 1, 1));
        // What waits for one makes no room for the other.
        assert_eq!(group.publish("u", numbered(5, room(2))), 0);
        assert_eq!((t.lag().messages, t.lag().dropped), (2, 1));
        assert_eq!((u.lag().messages, u.lag().dropped), (1, 2));
        assert_eq!(drained(&mut rig), numbers([1, 4, 3]));
        // Where nothing waits there is room for anything.
        assert_eq!(group.publish("u", numbered(6, 10_000)), 1);
        assert_eq!(drained(&mut rig).len(), 1);
    }
}

#[test]
fn beyond_the_bound_of_all_the_newest_can_be_dropped() {
    let (group, mut rig, [t, u]) =
        stuck_twice([LagPolicy::drop_oldest(), LagPolicy::drop_newest()]);
    let taken: Vec<_> = (0..3).map(|n| group.publish("t", numbered(n, 10))).collect();
    assert_eq!((taken, group.publish("u", numbered(3, 10))), (vec![1; 3], 0));
    assert_eq!((t.lag().dropped, u.lag().dropped), (0, 1));
    assert_eq!(drained(&mut rig), numbers(0..3));
    assert_eq!(group.publish("u", numbered(4, 10)), 1);
}

#[test]
fn beyond_the_bound_of_all_the_connection_can_be_closed() {
    let (group, mut rig, [t, u]) = stuck_twice([LagPolicy::drop_oldest(), LagPolicy::disconnect()]);
    (0..3).for_each(|n| assert_eq!(group.publish("t", numbered(n, 10)), 1));
    assert_eq!(group.publish("u", numbered(3, 10)), 0);
    assert_eq!((t.lag().dropped, u.lag().dropped), (0, 1));
    rig.wire.unblock_writes();
    assert!(rig.next().is_pending());
    assert_eq!(rig.sent().last().unwrap().close_code(), Some(1013));
}

#[test]
fn the_bound_of_all_holds_over_groups() {
    let (group, mut rig, [t, _u]) = stuck_twice([(); 2].map(|()| LagPolicy::drop_oldest()));
    let other = Group::with_config(GroupConfig::default().max_waiting(room(2)));
    let member = other.join_with("t", &rig.conn.handle(), LagPolicy::drop_newest()).unwrap();
    (0..2).for_each(|n| assert_eq!(group.publish("t", numbered(n, 10)), 1));
    assert_eq!(other.publish("t", numbered(2, 10)), 0);
    assert_eq!((t.lag().messages, member.lag().dropped), (2, 1));
}

#[test]
fn the_latest_gets_the_place_of_the_one_before_whatever_else_waits() {
    let (group, mut rig, _members) = stuck_twice([(); 2].map(|()| LagPolicy::drop_oldest()));
    let other = Group::with_config(GroupConfig::default().max_waiting(room(1) + 1));
    let latest = LagPolicy::latest(key);
    let member = other.join_with("t", &rig.conn.handle(), latest).unwrap();
    assert_eq!(other.publish("t", numbered(0, 10)), 1);
    assert_eq!(group.publish("t", numbered(1, 10)), 1);
    assert_eq!(other.publish("t", numbered(2, 10)), 1);
    assert_eq!((member.lag().replaced, member.lag().dropped), (1, 0));
    // That one would need more room than is left.
    assert_eq!(other.publish("t", numbered(3, 11)), 0);
    assert_eq!((member.lag().replaced, member.lag().dropped), (1, 1));
    assert_eq!(drained(&mut rig), numbers([2, 1]));
}
