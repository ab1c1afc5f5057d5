//! What a dropped connection still does in the runtime: it finishes, and waits for the peer.

#![cfg(feature = "runtime")]

mod support;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use futures::{FutureExt, SinkExt, StreamExt};
use wsweave::{CloseCode, Config, ConnectionExt, Initiator, Role};

use crate::support::{BOTH, Frame, Rig, parse, rt::spawn, tcp_pair, within};

#[test]
fn lingering_finishes_what_was_queued_and_waits_for_the_peer() {
    for role in BOTH {
        let mut rig = Rig::new(role).lingering();
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
        assert_eq!(wire.sent_by(role), order);

        wire.give([Frame::text("ignored").to(role), Frame::close(1001, "").to(role)].concat());
        wire.end();
        wire.wait_until("the transport is let go", |state| state.dropped);
        assert!(wire.is_closed());
    }
}

#[test]
fn a_lingering_client_waits_for_the_end_of_tcp() {
    let Rig { conn, wire, .. } = Rig::new(Role::Client).lingering();
    drop(conn);
    wire.give(Frame::close(1001, "").to(Role::Client));
    wire.wait_until("the Close is read", |state| !state.ops.is_empty());
    assert!(!wire.is_dropped());
    wire.end();
    wire.wait_until("the transport is let go", |state| state.dropped);
}

#[test]
fn a_lingering_server_lets_go_when_the_peer_has_answered() {
    let Rig { conn, wire, .. } = Rig::new(Role::Server).lingering();
    drop(conn);
    wire.give(Frame::close(1001, "").to(Role::Server));
    wire.wait_until("the transport is let go", |state| state.closed && state.dropped);
}

#[test]
fn lingering_ends_at_the_close_timeout() {
    for role in BOTH {
        let Rig { conn, wire, clock, .. } = Rig::new(role).lingering();
        wire.block_writes();
        drop(conn);
        // The runtime decides when the lingering task first looks at the clock.
        let gone = (0..3_000).any(|_| {
            clock.advance_secs(10);
            thread::sleep(Duration::from_millis(10));
            wire.is_dropped()
        });
        assert!(gone, "still lingering after its timeout");
        assert!(wire.take_written().is_empty());
    }
}

#[test]
fn what_a_task_drops_lingers_as_well() {
    for role in BOTH {
        let Rig { conn, wire, .. } = Rig::new(role).lingering();
        wire.block_writes();
        within(spawn(async move { drop(conn) }));
        assert!(!wire.is_dropped());
        wire.unblock_writes();
        wire.give(Frame::close(1001, "").to(role));
        wire.end();
        wire.wait_until("the transport is let go", |state| state.dropped);
        assert_eq!(wire.sent_by(role), [Frame::close(1001, "")]);
    }
}

#[test]
fn what_a_panic_drops_lingers_as_well() {
    for role in BOTH {
        for in_context in [true, false] {
            let Rig { conn, wire, .. } = Rig::new(role).lingering();
            wire.block_writes();
            let unwind = || {
                catch_unwind(AssertUnwindSafe(move || {
                    let _conn = conn;
                    panic!("something else went wrong");
                }))
            };
            let unwound = if in_context { within(async { unwind() }) } else { unwind() };
            assert!(unwound.is_err() && !wire.is_dropped());
            wire.unblock_writes();
            wire.give(Frame::close(1011, "").to(role));
            wire.end();
            wire.wait_until("the transport is let go", |state| state.dropped);
            assert_eq!(wire.sent_by(role), [Frame::close(1011, "")]);
        }
    }
}

#[test]
fn lingering_changes_the_finish_no_more() {
    for role in BOTH {
        let Rig { mut conn, wire, .. } = Rig::new(role).lingering();
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
            let mut pair = tcp_pair(&config);
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
