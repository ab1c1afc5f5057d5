//! Cancel safety: dropping a future at any await loses nothing that its documentation does not name.

mod support;

use futures::{FutureExt, SinkExt, StreamExt};
use wsweave::{Config, ConnectionExt, Message};

use crate::support::{BOTH, Frame, Rig, Task};

#[test]
fn a_dropped_next_loses_no_byte() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let bytes = rig.encode([
            Frame::text("gr").unfinished(),
            Frame::ping("between"),
            Frame::continuation("üezi"),
            Frame::binary([1; 300]),
            Frame::close(1000, ""),
        ]);
        let mut got = Vec::new();
        for byte in bytes {
            rig.wire.give([byte]);
            if let Some(Some(message)) = rig.conn.next().now_or_never() {
                got.push(message);
            }
        }
        rig.wire.end();
        assert_eq!(got, ["grüezi".into(), Message::from(vec![1; 300])]);
        assert_eq!(rig.conn.next().now_or_never(), Some(None));
        assert_eq!(rig.sent()[0], Frame::pong("between"));
        assert!(rig.finish().clean);
    }
}

#[test]
fn a_dropped_send_has_sent_its_message_once_or_not_at_all() {
    for role in BOTH {
        for allowed in 0..30 {
            let mut rig = Rig::new(role);
            rig.wire.allow(allowed);
            let _ = rig.conn.send("dropped".into()).now_or_never();
            rig.wire.unblock_writes();
            rig.conn.send("second".into()).now_or_never().unwrap().unwrap();
            assert_eq!(rig.sent(), [Frame::text("dropped"), Frame::text("second")]);
        }
    }
}

#[test]
fn a_send_dropped_while_it_waits_for_room_has_sent_nothing() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().outbox_size(100));
        rig.wire.block_writes();
        let fed = (0..).take_while(|_| rig.conn.feed("fed".into()).now_or_never().is_some());
        let fed = fed.take(1_000).count();
        assert!(rig.conn.send("dropped".into()).now_or_never().is_none());
        rig.wire.unblock_writes();
        rig.conn.send("second".into()).now_or_never().unwrap().unwrap();
        let mut expected = vec![Frame::text("fed"); fed];
        expected.push(Frame::text("second"));
        assert_eq!(rig.sent(), expected);
    }
}

#[test]
fn a_dropped_flush_loses_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let large = vec![7; 1_000];
        rig.feed(large.clone());
        rig.feed("behind");
        for _ in 0..200 {
            rig.wire.allow(7);
            let _ = rig.conn.flush().now_or_never();
        }
        assert_eq!(rig.sent(), [Frame::binary(large), Frame::text("behind")]);
    }
}

#[test]
fn a_dropped_close_closes_nevertheless() {
    for role in BOTH {
        for allowed in 0..10 {
            let mut rig = Rig::new(role);
            rig.feed("queued");
            rig.wire.allow(allowed);
            assert!(rig.conn.close().now_or_never().is_none());
            rig.wire.unblock_writes();
            rig.receive([Frame::text("late"), Frame::close(1000, "")]);
            rig.wire.end();
            assert_eq!(rig.settle(), ["late".into()]);
            assert_eq!(rig.sent(), [Frame::text("queued"), Frame::close(1000, "")]);
            assert!(rig.finish().clean);
        }
    }
}

#[test]
fn a_dropped_close_with_closes_nevertheless() {
    for role in BOTH {
        for allowed in 0..10 {
            let mut rig = Rig::new(role);
            rig.wire.allow(allowed);
            assert!(rig.conn.close_with(4000, "why").now_or_never().is_none());
            rig.wire.unblock_writes();
            assert!(rig.conn.close_with(4001, "too late").now_or_never().is_none());
            assert_eq!(rig.sent(), [Frame::close(4000, "why")]);
            rig.receive([Frame::close(4000, "")]);
            rig.wire.end();
            assert!(matches!(rig.conn.close_with(4001, "").now_or_never(), Some(Ok(()))));
            assert_eq!(rig.finish().code, 4000);
        }
    }
}

#[test]
fn a_dropped_send_of_a_handle_has_sent_once_or_not_at_all() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().outbox_size(50));
        let handle = rig.conn.handle();
        rig.wire.block_writes();
        let mut accepted = 0;
        for _ in 0..100 {
            match handle.send("x").now_or_never() {
                Some(sent) => accepted += sent.map(|()| 1).unwrap(),
                None => rig.settle().clear(),
            }
        }
        rig.wire.unblock_writes();
        rig.settle();
        assert_eq!(rig.sent(), vec![Frame::text("x"); accepted]);
        assert!(accepted < 100);
    }
}

#[test]
fn a_dropped_closed_of_a_handle_changes_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        let (first, second) = (Task::new(), Task::new());
        let mut dropped = Box::pin(handle.closed());
        let mut kept = Box::pin(handle.closed());
        assert!(first.poll(&mut dropped).is_pending());
        assert!(second.poll(&mut kept).is_pending());
        drop(dropped);
        rig.wire.end();
        rig.settle();
        assert!(second.wakes() > 0);
        assert!(second.poll(&mut kept).is_ready());
    }
}

#[test]
fn dropping_a_run_is_dropping_the_connection() {
    for role in BOTH {
        let Rig { conn, wire, task, .. } = Rig::new(role);
        let mut run = Box::pin(conn.run());
        assert!(task.poll(&mut run).is_pending());
        drop(run);
        let written = wire.take_written();
        assert_eq!(support::parse(&written).0[0].close_code(), Some(1001));
    }
}
