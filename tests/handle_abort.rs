//! `Handle::abort`: the end without a word, wherever the connection is.

mod support;

use futures::{FutureExt, SinkExt, StreamExt};
use wsweave::{CloseCode, ConnectionExt, Initiator};

use crate::support::{BOTH, Frame, Rig};

#[test]
fn it_wakes_whoever_drives_the_connection_and_says_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        assert!(rig.next().is_pending());
        let wakes = rig.task.wakes();
        handle.abort();
        assert!(rig.task.wakes() > wakes);
        assert!(!handle.is_open() && handle.try_send("too late").is_err());
        assert_eq!(rig.settle(), []);
        let finish = rig.finish();
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode::ABNORMAL));
        assert!(!finish.clean && finish.sent.is_none(), "{finish}");
        assert_eq!(rig.sent(), []);
        assert!(rig.wire.is_closed());
        assert_eq!(handle.closed().now_or_never().unwrap().to_string(), finish.to_string());
    }
}

#[test]
fn it_ends_a_closing_handshake_that_the_peer_does_not_answer() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        assert!(rig.close().is_pending());
        let wakes = rig.task.wakes();
        handle.abort();
        assert!(rig.task.wakes() > wakes);
        assert!(rig.close().is_ready());
        assert_eq!(rig.sent_codes(), [Some(1000)]);
        assert!(!rig.finish().clean);
    }
}

#[test]
fn a_close_or_a_send_after_it_is_not_written() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        handle.abort();
        assert!(rig.close().is_ready());
        assert_eq!((rig.finish().code, rig.sent()), (CloseCode::ABNORMAL, vec![]));

        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        rig.feed("never written");
        handle.try_send("never written").unwrap();
        handle.abort();
        assert!(rig.conn.send("too late".into()).now_or_never().unwrap().is_err());
        assert_eq!(rig.sent(), []);
    }
}

#[test]
fn a_connection_dropped_after_it_says_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        rig.feed("never written");
        handle.abort();
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert_eq!(wire.sent_by(role), []);
        assert!(wire.is_dropped());
        assert_eq!(handle.closed().now_or_never().unwrap().code, CloseCode::ABNORMAL);
    }
}

#[test]
fn a_retired_handle_can_do_it_and_twice_is_once() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let mut handle = rig.conn.handle();
        handle.close().now_or_never().unwrap().unwrap();
        handle.abort();
        handle.abort();
        assert_eq!(rig.settle(), []);
        let finish = rig.finish();
        handle.abort();
        assert!(rig.conn.next().now_or_never().unwrap().is_none());
        assert_eq!(rig.finish().to_string(), finish.to_string());
    }
}

#[test]
fn after_the_end_it_changes_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        rig.receive([Frame::close(1000, "bye")]);
        rig.wire.end();
        assert_eq!(rig.settle(), []);
        let finish = rig.finish();
        assert!(finish.clean);
        handle.abort();
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.finish().to_string(), finish.to_string());
    }
}

#[test]
fn both_halves_in_two_tasks_end() {
    for role in BOTH {
        let rig = Rig::new(role);
        let Rig { mut conn, wire, .. } = rig;
        let handle = conn.handle();
        let (mut sink, mut stream) = conn.split();
        wire.block_writes();
        let mut pool = support::Pool::default();
        pool.spawn(async move { while sink.send(vec![7; 1 << 20].into()).await.is_ok() {} });
        pool.spawn(async move { assert_eq!(stream.next().await, None) });
        assert!(!pool.run());
        handle.abort();
        assert!(pool.run(), "both have noticed");
    }
}

#[cfg(feature = "runtime")]
#[test]
fn it_ends_what_lingers_in_the_background() {
    for role in BOTH {
        for failed in [false, true] {
            let mut rig = Rig::new(role).lingering();
            let handle = rig.conn.handle();
            if failed {
                // The end is settled, and the peer's side is drained.
                rig.receive([Frame::text("\u{0}").with_rsv(1)]);
                assert_eq!(rig.settle(), []);
            }
            let Rig { conn, wire, .. } = rig;
            drop(conn);
            assert!(!wire.is_dropped());
            handle.abort();
            wire.wait_until("the transport is let go", |state| state.dropped);
        }
    }
}
