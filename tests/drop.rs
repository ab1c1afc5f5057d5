//! What a drop says: nothing is lost that was accepted for sending, and the peer gets a Close.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::{FutureExt, StreamExt};
use wsweave::{CloseCode, ConnectionExt, Initiator};

use crate::support::{BOTH, Frame, Rig};

#[test]
fn a_drop_writes_what_was_queued_and_close_1001() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.feed("fed");
        rig.conn.handle().try_send("from a handle").unwrap();
        rig.peer().send("from a hook");
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        let mut sent = wire.sent_by(role);
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
        assert_eq!(wire.sent_by(role), [Frame::close(1001, "")]);
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
        assert_eq!(wire.sent_by(role)[0].close_code(), Some(1011));
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
        assert_eq!(wire.sent_by(role)[0].close_code(), Some(1011));
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
        let mut rig = Rig::new(role).lingering();
        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        rig.settle();
        rig.sent();
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert!(wire.take_written().is_empty());
        assert!(wire.is_dropped(), "nothing to linger for");
    }
}

#[test]
fn a_drop_after_an_unclean_end_says_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role).lingering();
        rig.receive([Frame::text("").with_rsv(1)]);
        rig.settle();
        assert_eq!(rig.sent_codes(), [Some(1002)]);
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert!(wire.take_written().is_empty());
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
        assert_eq!(wire.sent_by(role), [Frame::close(4000, "mine")]);
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
        let sent = wire.sent_by(role);
        assert!(sent.len() == 1 && sent[0].close_code() == Some(4000), "{sent:?}");
    }
}

#[test]
fn both_halves_must_be_dropped() {
    for role in BOTH {
        let Rig { conn, wire, .. } = Rig::new(role);
        let (sink, stream) = conn.split();
        drop(sink);
        assert!(wire.take_written().is_empty());
        drop(stream);
        assert_eq!(wire.sent_by(role), [Frame::close(1001, "")]);
    }
}

#[test]
fn abort_lingers_for_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role).lingering();
        rig.feed("never seen");
        rig.conn.abort();
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert!(wire.is_dropped());
        assert!(wire.take_written().is_empty());
    }
}

#[test]
fn a_drop_behind_a_handles_close_tells_of_the_close_that_went_out() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        handle.close_with(4000, "done").unwrap();
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert_eq!(wire.sent_by(role), [Frame::close(4000, "done")]);
        assert_eq!(handle.closed().now_or_never().unwrap().code, CloseCode(4000));
    }
}

#[test]
fn a_drop_that_could_not_answer_is_not_clean() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        rig.wire.block_writes();
        rig.receive([Frame::close(4000, "theirs")]);
        assert!(rig.next().is_pending());
        drop(rig.conn);
        assert!(rig.wire.take_written().is_empty());
        let finish = handle.closed().now_or_never().unwrap();
        assert_eq!((finish.initiator, finish.code), (Initiator::Peer, CloseCode(4000)));
        assert!(!finish.clean, "our Close was never written: {finish:?}");
    }
}

#[test]
fn into_inner_says_nothing_and_claims_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        let transport = rig.conn.into_inner();
        assert!(rig.wire.take_written().is_empty());
        assert!(!rig.wire.is_dropped());
        let finish = handle.closed().now_or_never().unwrap();
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode::GOING_AWAY));
        assert!(finish.sent.is_none() && !finish.clean, "{finish:?}");
        drop(transport);
    }
}
