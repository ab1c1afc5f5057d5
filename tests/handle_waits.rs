//! Who waits with a handle in hand: each waits for what it asked for, and for nobody else's.

mod support;

use std::{pin::pin, task::Poll};

use futures::SinkExt;
use wsweave::{ConnectionExt, ErrorKind, Handle, Message, Role};

use crate::support::{BOTH, Frame, Rig, Task, quiet};

fn flush(task: &Task, handle: &mut Handle) -> Poll<Result<(), wsweave::Error>> {
    task.flush::<Message, _>(handle)
}

#[test]
fn a_flush_waits_for_what_was_sent_past_the_sink() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let mut handle = rig.conn.handle();
        let task = Task::new();
        handle.try_send("x").unwrap();
        assert!(flush(&task, &mut handle).is_pending());
        rig.settle();
        assert!(matches!(flush(&task, &mut handle), Poll::Ready(Ok(()))));
        assert_eq!(rig.sent(), [Frame::text("x")]);
    }
}

#[test]
fn a_flush_fails_when_the_write_has_failed() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let mut handle = rig.conn.handle();
        assert!(rig.next().is_pending());
        handle.start_send_unpin("into the void".into()).unwrap();
        rig.wire.break_writes();
        rig.settle();
        let Poll::Ready(Err(error)) = flush(&Task::new(), &mut handle) else {
            panic!("it was never written")
        };
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[test]
fn a_flush_of_a_handle_ends_however_much_others_send() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet());
        let (mut mine, other) = (rig.conn.handle(), rig.conn.handle());
        rig.wire.block_writes();
        mine.start_send_unpin("mine".into()).unwrap();
        let task = Task::new();
        let flushed = (0..10).any(|_| {
            other.try_send(vec![0; 1_000]).unwrap();
            assert!(rig.next().is_pending());
            rig.wire.allow(1_000);
            assert!(rig.next().is_pending());
            flush(&task, &mut mine).is_ready()
        });
        assert!(flushed, "10,000 bytes were written, and of those `mine` the first");
    }
}

#[test]
fn a_flush_of_the_connection_ends_however_much_handles_send() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet());
        let handle = rig.conn.handle();
        rig.wire.block_writes();
        rig.feed("mine");
        let task = Task::new();
        let flushed = (0..10).any(|_| {
            handle.try_send(vec![0; 1_000]).unwrap();
            assert!(rig.next().is_pending());
            rig.wire.allow(1_000);
            assert!(rig.next().is_pending());
            task.flush(&mut rig.conn).is_ready()
        });
        assert!(flushed, "10,000 bytes were written, and of those `mine` the first");
    }
}

#[test]
fn a_sink_that_has_lost_interest_in_room_keeps_it_from_nobody() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet().outbox_size(100));
        let (mut idle, eager) = (rig.conn.handle(), rig.conn.handle());
        while eager.try_send("fill").is_ok() {}
        assert!(Task::new().poll(&mut idle.feed("cancelled".into())).is_pending());
        let task = Task::new();
        let mut send = pin!(eager.send("waits"));
        assert!(task.poll(&mut send).is_pending());
        rig.settle();
        assert!(task.wakes() > 0, "there is room, and nobody was told");
        assert!(matches!(task.poll(&mut send), Poll::Ready(Ok(()))));
    }
}

#[test]
fn a_close_tells_those_who_wait_for_room_before_the_connection_is_polled() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet().outbox_size(100));
        let (waiting, closing) = (rig.conn.handle(), rig.conn.handle());
        while closing.try_send("fill").is_ok() {}
        let task = Task::new();
        let mut send = pin!(waiting.send("late"));
        assert!(task.poll(&mut send).is_pending());
        closing.close_with(1000, "").unwrap();
        assert!(task.wakes() > 0);
        let Poll::Ready(Err(error)) = task.poll(&mut send) else { panic!("it waits on") };
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[test]
fn a_flush_behind_one_that_was_given_up_waits_for_what_was_sent_between() {
    let mut rig = Rig::with(Role::Client, quiet());
    let mut handle = rig.conn.handle();
    let task = Task::new();
    handle.try_send("one").unwrap();
    assert!(task.flush::<Message, _>(&mut handle).is_pending());
    assert!(rig.next().is_pending());
    rig.wire.block_writes();
    handle.try_send("two").unwrap();
    assert!(rig.next().is_pending());
    assert!(task.flush::<Message, _>(&mut handle).is_pending(), "`two` is not written");
}

#[test]
fn the_first_handle_wakes_who_waits_already() {
    let mut rig = Rig::with(Role::Client, quiet());
    assert!(rig.next().is_pending());
    rig.conn.handle().try_send("x").unwrap();
    assert!(rig.task.wakes() > 0);
}
