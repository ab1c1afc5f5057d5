//! Writes that fail: what the peer sent before is still delivered, wherever it waits.

mod support;

use std::task::Poll;

use wsweave::{Config, ConnectionExt, ErrorKind};

use crate::support::{BOTH, Frame, Rig, Task, quiet, rt::yield_now};

/// One message waits for the reader, another one is read but not decoded; the sink is stuck.
fn behind_a_stuck_write(role: wsweave::Role, config: Config) -> Rig {
    let mut rig = Rig::with(role, config);
    rig.wire.block_writes();
    rig.feed("stuck");
    rig.receive(["a", "b"].map(Frame::text));
    assert!(rig.task.flush(&mut rig.conn).is_pending());
    assert_eq!(rig.wire.unread(), 0, "both are read");
    rig
}

#[test]
fn a_write_that_fails_in_a_flush_loses_nothing() {
    for role in BOTH {
        let mut rig = behind_a_stuck_write(role, quiet());
        rig.wire.break_writes();
        assert!(matches!(rig.task.flush(&mut rig.conn), Poll::Ready(Err(_))));
        assert_eq!(rig.settle(), ["a".into(), "b".into()]);
    }
}

#[test]
fn a_write_that_fails_while_the_sink_waits_for_room_loses_nothing() {
    for role in BOTH {
        let mut rig = behind_a_stuck_write(role, quiet().outbox_size(4));
        let sink = Task::new();
        assert!(sink.ready(&mut rig.conn).is_pending());
        rig.wire.break_writes();
        assert!(matches!(sink.ready(&mut rig.conn), Poll::Ready(Err(_))));
        assert_eq!(rig.settle(), ["a".into(), "b".into()]);
    }
}

#[test]
fn a_write_that_times_out_loses_nothing() {
    for role in BOTH {
        let mut rig = behind_a_stuck_write(role, Config::default());
        rig.clock.advance_secs(40);
        let Poll::Ready(Err(error)) = rig.task.flush(&mut rig.conn) else { panic!("it waits on") };
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(rig.settle(), ["a".into(), "b".into()]);
    }
}

#[test]
fn a_write_that_fails_while_answers_hold_up_the_reading_loses_nothing() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet().outbox_size(10))
            .weave(|conn| conn.on_each(|peer, _| peer.send("more than ten bytes")));
        rig.wire.block_writes();
        rig.receive(["a", "b", "c"].map(Frame::text));
        assert_eq!(rig.settle(), ["a".into()]);
        rig.wire.break_writes();
        assert_eq!(rig.settle(), ["b".into(), "c".into()]);
        assert!(rig.has_ended());
    }
}

#[test]
fn a_write_that_fails_beside_an_asynchronous_hook_loses_nothing() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet()).weave(|conn| {
            conn.on_each_async(|handle, message| async move {
                // The write fails in the poll after this one; later messages find it closed.
                let _ = handle.send(message).await;
                yield_now().await;
            })
        });
        rig.wire.break_writes();
        rig.receive(["a", "b", "c"].map(Frame::text));
        assert_eq!(rig.settle(), ["a".into(), "b".into(), "c".into()]);
        assert_eq!(rig.finish().error.unwrap().kind(), ErrorKind::Io);
    }
}

#[test]
fn an_interrupted_read_after_it_is_not_the_last_one() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet());
        rig.wire.break_writes();
        rig.feed("into the void");
        assert!(matches!(rig.task.flush(&mut rig.conn), Poll::Ready(Err(_))));
        rig.receive([Frame::text("a")]);
        rig.wire.interrupt(1);
        assert_eq!(rig.settle(), ["a".into()]);
    }
}
