//! The end of a group, spread over a time.

use std::{task::Poll, time::Duration};

use futures::FutureExt;
use wsweave::{ConnectionExt, ErrorKind, Group, GroupConfig, Role};

use super::member;
use crate::support::{ManualClock, Rig, Task};

fn open(rigs: &mut [Rig]) -> usize {
    rigs.iter_mut().filter_map(|rig| rig.conn.handle().is_open().then_some(())).count()
}

#[test]
fn members_are_closed_one_after_the_other() {
    let clock = ManualClock::new();
    let group = Group::with_config(GroupConfig::default().timer(clock.clone()));
    let (mut rigs, _members): (Vec<_>, Vec<_>) = (0..4).map(|_| member(&group)).unzip();
    let (mut drain, task) = (group.drain(Duration::from_secs(40)), Task::new());
    assert_eq!(open(&mut rigs), 4);
    for left in [3, 2, 1] {
        assert!(task.poll(&mut drain).is_pending());
        assert_eq!(open(&mut rigs), left);
        clock.advance_secs(9);
        assert!(task.poll(&mut drain).is_pending());
        assert_eq!(open(&mut rigs), left);
        let wakes = task.wakes();
        clock.advance_secs(1);
        assert!(task.wakes() > wakes);
    }
    assert_eq!(task.poll(&mut drain), Poll::Ready(4));
    assert_eq!(open(&mut rigs), 0);
    for rig in &mut rigs {
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent_codes(), [Some(1001)]);
    }
}

#[test]
fn nobody_joins_a_group_that_is_drained() {
    let group = Group::with_config(GroupConfig::default().timer(ManualClock::new()));
    let mut rig = Rig::new(Role::Server);
    let mut drain = group.drain(Duration::from_secs(1));
    let member = group.join("t", &rig.conn.handle()).unwrap();
    assert_eq!((&mut drain).now_or_never(), Some(1));
    let mut other = Rig::new(Role::Server);
    assert_eq!(group.join("t", &other.conn.handle()).unwrap_err().kind(), ErrorKind::Closed);
    drop(member);
}

#[test]
fn a_connection_with_many_memberships_is_closed_once_and_who_has_left_is_not() {
    let group = Group::with_config(GroupConfig::default().timer(ManualClock::new()));
    let mut rig = Rig::new(Role::Server);
    let handle = rig.conn.handle();
    let _members = ["a", "b", "c"].map(|topic| group.join(topic, &handle).unwrap());
    let (gone, _membership) = member(&group);
    drop(gone);
    assert_eq!(group.drain(Duration::from_secs(1)).now_or_never(), Some(1));
}

#[test]
fn one_that_closed_meanwhile_does_not_count() {
    let clock = ManualClock::new();
    let group = Group::with_config(GroupConfig::default().timer(clock.clone()));
    let (mut rigs, _members): (Vec<_>, Vec<_>) = (0..2).map(|_| member(&group)).unzip();
    let (mut drain, task) = (group.drain(Duration::from_secs(2)), Task::new());
    assert!(task.poll(&mut drain).is_pending());
    for rig in &mut rigs {
        let _ = rig.conn.handle().close_with(1000, "");
    }
    clock.advance_secs(1);
    assert_eq!(task.poll(&mut drain), Poll::Ready(1));
}

#[test]
fn an_empty_group_is_drained_at_once() {
    let group = Group::new();
    assert_eq!(group.drain(Duration::from_secs(60)).now_or_never(), Some(0));
    assert_eq!(group.drain(Duration::MAX).now_or_never(), Some(0));
}
