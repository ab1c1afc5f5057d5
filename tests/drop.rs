//! What a drop says: nothing is lost that was accepted for sending, and the peer gets a Close.

mod support;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use futures::{FutureExt, SinkExt, StreamExt};
use wsweave::{CloseCode, Config, ConnectionExt, Initiator, Role};

use crate::support::{BOTH, Frame, Rig, Script, parse, tcp_pair, within};

/// A connection that lingers in the runtime when it is dropped.
fn lingering(role: Role) -> Rig {
    Rig::new(role).weave(wsweave::Connection::<Script>::linger_on_drop)
}

/// The frames on the wire of a connection that is gone.
fn frames_on(wire: &support::Wire, role: Role) -> Vec<Frame> {
    let written = wire.take_written();
    let (frames, rest) = parse(&written);
    assert!(rest.is_empty());
    assert!(frames.iter().all(|frame| frame.key.is_some() == (role == Role::Client)));
    frames.into_iter().map(|frame| frame.keyed(None)).collect()
}

#[test]
fn a_drop_writes_what_was_queued_and_close_1001() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.feed("fed");
        rig.conn.handle().try_send("from a handle").unwrap();
        rig.peer().send("from a hook");
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        let mut sent = frames_on(&wire, role);
        assert_eq!(sent.pop().unwrap().close_code(), Some(1001));
        sent.sort_by(|a, b| a.payload.cmp(&b.payload));
        assert_eq!(sent, ["fed", "from a handle", "from a hook"].map(Frame::text));
    }
}

#[test]
fn a_drop_before_the_first_poll_says_close_too() {
    for role in BOTH {
        let Rig { conn, wire, .. } = Rig::new(role);
        drop(conn);
        assert_eq!(frames_on(&wire, role), [Frame::close(1001, "")]);
        assert!(wire.is_dropped());
    }
}

#[test]
fn a_drop_while_unwinding_says_1011() {
    for role in BOTH {
        let Rig { mut conn, wire, .. } = Rig::new(role);
        let handle = conn.handle();
        let unwound = catch_unwind(AssertUnwindSafe(move || {
            let _conn = conn;
            panic!("something else went wrong");
        }));
        assert!(unwound.is_err());
        assert_eq!(frames_on(&wire, role)[0].close_code(), Some(1011));
        assert_eq!(handle.closed().now_or_never().unwrap().code, CloseCode::INTERNAL_ERROR);
    }
}

#[test]
fn a_drop_after_a_hook_panicked_says_1011() {
    for role in BOTH {
        let mut rig =
            Rig::new(role).weave(|conn| conn.on_each(|_, _| -> () { panic!("a hook panics") }));
        rig.receive([Frame::text("x")]);
        let polled = catch_unwind(AssertUnwindSafe(|| rig.next()));
        assert!(polled.is_err(), "the panic reaches whoever polls");
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert_eq!(frames_on(&wire, role)[0].close_code(), Some(1011));
    }
}

#[test]
fn a_drop_that_cannot_write_does_not_wait() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.allow(3);
        rig.feed("stuck");
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert!(wire.is_dropped(), "nobody said that it may linger");
        assert_eq!(wire.state().written.len(), 3);
    }
}

#[test]
fn a_drop_after_the_end_says_nothing() {
    for role in BOTH {
        let mut rig = lingering(role);
        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        rig.settle();
        rig.sent();
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert_eq!(wire.take_written(), []);
        assert!(wire.is_dropped(), "nothing to linger for");
    }
}

#[test]
fn a_drop_after_an_unclean_end_says_nothing() {
    for role in BOTH {
        let mut rig = lingering(role);
        rig.receive([Frame::text("").with_rsv(1)]);
        rig.settle();
        assert_eq!(rig.sent_codes(), [Some(1002)]);
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert_eq!(wire.take_written(), []);
    }
}

#[test]
fn a_drop_while_closing_sends_no_second_close() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        assert!(rig.conn.close_with(4000, "mine").now_or_never().is_none());
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert_eq!(frames_on(&wire, role), [Frame::close(4000, "mine")]);
        let finish = handle.closed().now_or_never().unwrap();
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode(4000)));
        assert!(!finish.clean);
    }
}

#[test]
fn a_drop_that_owes_an_answer_writes_it() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        rig.receive([Frame::close(4000, "theirs")]);
        assert!(rig.next().is_pending());
        rig.wire.unblock_writes();
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        let sent = frames_on(&wire, role);
        assert!(sent.len() == 1 && sent[0].close_code() == Some(4000), "{sent:?}");
    }
}

#[test]
fn both_halves_must_be_dropped() {
    for role in BOTH {
        let Rig { conn, wire, .. } = Rig::new(role);
        let (sink, stream) = conn.split();
        drop(sink);
        assert_eq!(wire.take_written(), []);
        drop(stream);
        assert_eq!(frames_on(&wire, role), [Frame::close(1001, "")]);
    }
}

#[test]
fn abort_lingers_for_nothing() {
    for role in BOTH {
        let mut rig = lingering(role);
        rig.feed("never seen");
        rig.conn.abort();
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert!(wire.is_dropped());
        assert_eq!(wire.take_written(), []);
    }
}

#[test]
fn lingering_finishes_what_was_queued_and_waits_for_the_peer() {
    for role in BOTH {
        let mut rig = lingering(role);
        rig.wire.block_writes();
        rig.feed(vec![7; 300_000]);
        rig.feed("last");
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert!(!wire.is_dropped());
        for _ in 0..3 {
            wire.allow(100_000);
        }
        wire.unblock_writes();
        wire.wait_until("the Close is out", |state| {
            parse(&state.written).0.last().is_some_and(|frame| frame.close_code() == Some(1001))
        });
        assert!(!wire.is_dropped());
        let order = [Frame::binary(vec![7; 300_000]), Frame::text("last"), Frame::close(1001, "")];
        assert_eq!(frames_on(&wire, role), order);

        wire.give([Frame::text("ignored").to(role), Frame::close(1001, "").to(role)].concat());
        wire.end();
        wire.wait_until("the transport is let go", |state| state.dropped);
        assert!(wire.is_closed());
    }
}

#[test]
fn a_lingering_client_waits_for_the_end_of_tcp() {
    let Rig { conn, wire, .. } = lingering(Role::Client);
    drop(conn);
    wire.give(Frame::close(1001, "").to(Role::Client));
    wire.wait_until("the Close is read", |state| !state.ops.is_empty());
    assert!(!wire.is_dropped());
    wire.end();
    wire.wait_until("the transport is let go", |state| state.dropped);
}

#[test]
fn a_lingering_server_lets_go_when_the_peer_has_answered() {
    let Rig { conn, wire, .. } = lingering(Role::Server);
    drop(conn);
    wire.give(Frame::close(1001, "").to(Role::Server));
    wire.wait_until("the transport is let go", |state| state.closed && state.dropped);
}

#[test]
fn lingering_ends_at_the_close_timeout() {
    for role in BOTH {
        let Rig { conn, wire, clock, .. } = lingering(role);
        wire.block_writes();
        drop(conn);
        // The runtime decides when the lingering task first looks at the clock.
        let gone = (0..3_000).any(|_| {
            clock.advance_secs(10);
            thread::sleep(Duration::from_millis(10));
            wire.is_dropped()
        });
        assert!(gone, "still lingering after its timeout");
        assert_eq!(wire.take_written(), []);
    }
}

#[test]
fn lingering_changes_the_finish_no_more() {
    for role in BOTH {
        let Rig { mut conn, wire, .. } = lingering(role);
        let handle = conn.handle();
        drop(conn);
        let finish = handle.closed().now_or_never().expect("settled by the drop");
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode::GOING_AWAY));
        wire.give(Frame::close(1001, "").to(role));
        wire.end();
        wire.wait_until("the transport is let go", |state| state.dropped);
        assert!(!handle.closed().now_or_never().unwrap().clean);
    }
}

#[test]
fn over_tcp_a_dropped_connection_delivers_everything_to_a_slow_peer() {
    const MEBIBYTES: usize = 8;
    within(async {
        let config = Config::default().outbox_size(MEBIBYTES << 20);
        for reversed in [false, true] {
            let mut pair = tcp_pair(config.clone()).await;
            if reversed {
                pair.reverse();
            }
            let [conn, mut peer] = pair;
            let mut conn = conn.linger_on_drop();
            for _ in 0..MEBIBYTES - 1 {
                conn.feed(vec![7; 1 << 20].into()).await.unwrap();
            }
            drop(conn);
            for _ in 0..MEBIBYTES - 1 {
                assert_eq!(peer.next().await.unwrap().len(), 1 << 20);
            }
            assert_eq!(peer.next().await, None);
            let finish = peer.finish().unwrap();
            assert_eq!((finish.initiator, finish.code), (Initiator::Peer, CloseCode::GOING_AWAY));
            assert!(finish.clean, "{finish}");
        }
    });
}
