//! The stream of who joins and who leaves.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use futures::{StreamExt, stream::FusedStream};
use futures_test::task::panic_waker;
use wsweave::{Change, ConnectionExt, Group, GroupConfig, MemberId, Role};

use super::member;
use crate::support::{Rig, Task};

fn joined(member: MemberId, members: usize) -> Change {
    Change::Joined { topic: "t".into(), member, members }
}

fn left(member: MemberId, members: usize) -> Change {
    Change::Left { topic: "t".into(), member, members }
}

#[test]
fn joining_and_leaving_wake_whoever_watches() {
    let group = Group::new();
    let (_early, early) = member(&group);
    let (mut changes, task) = (group.changes(), Task::new());
    assert!(task.next(&mut changes).is_pending());
    let (one, first) = member(&group);
    assert_eq!(task.wakes(), 1);
    assert_eq!(task.next(&mut changes), Poll::Ready(Some(joined(first.id(), 2))));
    assert!(task.next(&mut changes).is_pending());
    drop(one);
    assert_eq!(task.wakes(), 2);
    let id = early.id();
    drop(early);
    assert_eq!(task.next(&mut changes), Poll::Ready(Some(left(first.id(), 1))));
    assert_eq!(task.next(&mut changes), Poll::Ready(Some(left(id, 0))));
    // The connection has ended before.
    drop(first);
    assert!(task.next(&mut changes).is_pending());
}

#[test]
fn all_who_watch_see_the_same() {
    let group = Group::new();
    let mut all = [group.changes(), group.changes()];
    let (_rig, member) = member(&group);
    for changes in &mut all {
        assert_eq!(Task::new().next(changes), Poll::Ready(Some(joined(member.id(), 1))));
    }
}

#[test]
fn who_does_not_read_is_told_how_much_was_missed() {
    let group = Group::with_config(GroupConfig::default().max_changes(3));
    let (mut changes, task) = (group.changes(), Task::new());
    let mut rig = Rig::new(Role::Server);
    let handle = rig.conn.handle();
    let members: Vec<_> = (0..8).map(|_| group.join("t", &handle).unwrap()).collect();
    assert_eq!(task.next(&mut changes), Poll::Ready(Some(Change::Missed(6))));
    for (n, member) in members.iter().enumerate().skip(6) {
        assert_eq!(task.next(&mut changes), Poll::Ready(Some(joined(member.id(), n + 1))));
    }
    assert!(task.next(&mut changes).is_pending());
}

#[test]
fn the_stream_ends_with_the_group() {
    let group = Group::new();
    let (mut changes, task) = (group.changes(), Task::new());
    let (_rig, member) = member(&group);
    let id = member.id();
    assert!(!changes.is_terminated());
    drop((member, group));
    assert_eq!(task.next(&mut changes), Poll::Ready(Some(joined(id, 1))));
    assert_eq!(task.next(&mut changes), Poll::Ready(Some(left(id, 0))));
    assert_eq!(task.next(&mut changes), Poll::Ready(None));
    assert!(changes.is_terminated());
}

#[test]
fn the_end_of_the_group_wakes_whoever_watches() {
    let group = Group::new();
    let (mut changes, task) = (group.changes(), Task::new());
    assert!(task.next(&mut changes).is_pending());
    drop(group);
    assert_eq!(task.wakes(), 1);
    assert_eq!(task.next(&mut changes), Poll::Ready(None));
}

#[test]
fn a_watcher_whose_waker_panics_keeps_nobody_from_hearing_and_leaves_no_member() {
    let group = Group::new();
    let mut watching = [(); 2].map(|()| group.changes());
    let (mut changes, task) = (group.changes(), Task::new());
    for changes in &mut watching {
        assert!(changes.poll_next_unpin(&mut Context::from_waker(&panic_waker())).is_pending());
    }
    assert!(task.next(&mut changes).is_pending());
    let mut rig = Rig::new(Role::Server);
    let handle = rig.conn.handle();
    assert!(catch_unwind(AssertUnwindSafe(|| group.join("t", &handle))).is_err());
    assert_eq!((task.wakes(), group.topics()), (1, vec![]));
    assert!(matches!(task.next(&mut changes), Poll::Ready(Some(Change::Joined { .. }))));
    assert!(matches!(task.next(&mut changes), Poll::Ready(Some(Change::Left { .. }))));
}
