//! Hooks that panic, drop what they can reach, send for ever or close: the connection outlives them
//! or ends in order.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures::future::{Ready, lazy};
use wsweave::{Connection, ConnectionExt, Duplex, Peer, Role};

use crate::{
    cost,
    support::{BOTH, Frame, Rig, Script},
};

type Plain = Connection<Script>;

fn send_for_ever(peer: &mut Peer<'_>) {
    while peer.is_open() {
        peer.send([7; 1_000].to_vec());
    }
}

/// Has the peer set off the hook, and read nothing; asserts that this comes to its end.
fn assert_bounded<C: Duplex + Unpin>(rig: Rig, weave: impl FnOnce(Plain) -> C) {
    let mut rig = rig.weave(weave);
    rig.wire.block_writes();
    rig.receive([Frame::ping("x"), Frame::pong("x"), Frame::text("x")]);
    let cost = cost(&mut rig, |rig| drop(rig.settle()));
    // The hard limit is 17 MiB, and buffers grow by doubling.
    assert!(cost.held < 64 << 20, "{cost:?}");
    rig.wire.unblock_writes();
    rig.settle();
    assert_eq!(rig.finish().code, 1011);
}

#[test]
fn a_hook_that_sends_for_ever_comes_to_its_end_in_bounded_memory() {
    let server = || Rig::new(Role::Server);
    assert_bounded(Rig::new(Role::Client), |conn| conn.on_each(|peer, _| send_for_ever(peer)));
    assert_bounded(server(), |conn| conn.on_ping(|peer, _| send_for_ever(peer)));
    assert_bounded(server(), |conn| conn.on_pong(|peer, _| send_for_ever(peer)));
    assert_bounded(server(), |conn| {
        conn.on_next(|peer, _| {
            while peer.is_open() {
                peer.ping([7; 125].to_vec());
            }
        })
    });
    assert_bounded(server(), |conn| {
        let (conn, callbacks) = conn.callbacks();
        callbacks.on_each(|peer, _| send_for_ever(peer));
        conn
    });
}

#[test]
fn an_asynchronous_hook_that_never_ends_stops_the_reading() {
    for role in BOTH {
        for flood in [Frame::binary([7; 1_000]), Frame::ping([7; 125])] {
            let mut rig = Rig::new(role)
                .weave(|conn| conn.on_each_async(|_, _| std::future::pending::<()>()));
            rig.wire.block_writes();
            rig.receive([Frame::text("begin")]);
            rig.wire.flood(flood.to(role), 8_192);
            let cost = cost(&mut rig, |rig| assert_eq!(rig.settle(), []));
            assert!(cost.held < 4 << 20, "{cost:?}");
            let reads = rig.wire.reads();
            assert!(rig.next().is_pending());
            assert_eq!(rig.wire.reads(), reads, "the rest waits at the peer");
        }
    }
}

#[test]
fn an_asynchronous_hook_that_sends_for_ever_lets_others_run() {
    for role in BOTH {
        let mut rig = Rig::new(role).weave(|conn| {
            conn.on_each_async(|handle, _| async move {
                while handle.send(vec![7; 1_000]).await.is_ok() {}
            })
        });
        rig.receive([Frame::text("begin")]);
        for _ in 0..20 {
            let (mut sent, wakes) = (0, rig.task.wakes());
            let cost = cost(&mut rig, |rig| {
                assert!(rig.next().is_pending());
                sent = rig.sent().len();
            });
            // What was written is in the wire, and read off it.
            assert!(cost.held < 8 << 20 && sent < 2_000, "{sent} messages: {cost:?}");
            assert!(rig.task.wakes() > wakes);
        }
        rig.conn.abort();
        rig.settle();
        assert!(rig.has_ended());
    }
}

#[test]
fn a_hook_on_the_end_that_panics_has_had_its_end() {
    for role in BOTH {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let mut rig = Rig::new(role).weave(|conn| {
            conn.on_finish(move |_| {
                counter.fetch_add(1, SeqCst);
                panic!("hook");
            })
        });
        rig.receive([Frame::text("1"), Frame::close(4000, "")]);
        rig.wire.end();
        assert_eq!(rig.message(), Some("1".into()));
        catch_unwind(AssertUnwindSafe(|| rig.settle())).expect_err("the panic is the poller's");
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent(), [Frame::close(4000, "")]);
        drop(rig);
        assert_eq!(calls.load(SeqCst), 1);
    }
}

#[test]
fn a_hook_on_the_end_that_sends_for_ever_finds_it_closed() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        let mut rig =
            rig.weave(|conn| conn.on_finish(move |_| while handle.try_send("again").is_ok() {}));
        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        rig.settle();
        assert_eq!(rig.sent(), [Frame::close(1000, "")]);
    }
}

#[test]
fn a_hook_that_closes_while_ten_others_follow_stops_none_of_them() {
    for role in BOTH {
        let calls = Arc::new(AtomicUsize::new(0));
        let mut rig = Rig::new(role).weave(|conn| {
            let (conn, callbacks) =
                conn.on_each(|peer, _| peer.close_with(4000, "enough")).callbacks();
            for _ in 0..10 {
                let calls = Arc::clone(&calls);
                callbacks.on_each(move |peer, _| {
                    assert!(!peer.is_open());
                    calls.fetch_add(1, SeqCst);
                    peer.send("too late");
                    peer.close_with(4001, "too late");
                });
            }
            conn
        });
        rig.receive([Frame::text("1"), Frame::text("2"), Frame::close(4000, "")]);
        rig.wire.end();
        assert_eq!(rig.settle(), ["1".into(), "2".into()]);
        assert_eq!(calls.load(SeqCst), 20);
        assert_eq!(rig.sent(), [Frame::close(4000, "enough")]);
        assert!(rig.finish().clean);
    }
}

#[test]
fn a_hook_that_drops_what_it_can_reach_drops_nothing_of_its_connection() {
    for role in BOTH {
        let other = Rig::new(role);
        other.receive([Frame::text("for the other")]);
        let others_wire = other.wire.clone();
        let mut other = Some(other);
        let mut rig = Rig::new(role);
        let mut handle = Some(rig.conn.handle());
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let mut rig = rig.weave(|conn| {
            let (conn, callbacks) = conn.callbacks();
            let registration = callbacks.on_each(move |_, _| {
                counter.fetch_add(1, SeqCst);
            });
            let mut mine = Some((callbacks, registration));
            conn.on_each(move |peer, _| {
                peer.send("still here");
                drop(peer.callbacks());
                drop(peer.handle());
                drop(handle.take());
                drop(mine.take());
                // A connection within a hook of another: polled, then dropped.
                if let Some(mut other) = other.take() {
                    assert_eq!(other.settle(), ["for the other".into()]);
                }
                peer.unhook();
            })
        });
        rig.receive([Frame::text("1"), Frame::text("2")]);
        assert_eq!(rig.settle(), ["1".into(), "2".into()]);
        assert_eq!(rig.sent(), [Frame::text("still here")]);
        assert_eq!(calls.load(SeqCst), 2);
        assert!(others_wire.is_dropped() && !rig.has_ended());
        assert_eq!(others_wire.sent_by(role), [Frame::close(1001, "")]);
    }
}

/// Has the peer set off the hook, which panics; asserts that the connection ends in order.
fn assert_orderly<C: Duplex + Unpin>(rig: Rig, weave: impl FnOnce(Plain) -> C) {
    let mut rig = rig.weave(weave);
    rig.receive([Frame::ping("x"), Frame::pong("x"), Frame::text("x")]);
    catch_unwind(AssertUnwindSafe(|| rig.settle())).expect_err("the panic is the poller's");
    let (wire, role) = (rig.wire.clone(), rig.role);
    drop(rig);
    assert!(wire.is_dropped());
    assert_eq!(wire.sent_by(role).last().unwrap().close_code(), Some(1011));
}

#[test]
fn a_hook_of_any_kind_that_panics_ends_its_connection_with_1011() {
    for role in BOTH {
        let rig = || Rig::new(role);
        assert_orderly(rig(), |conn| conn.on_ping(|_, _| -> () { panic!("hook") }));
        assert_orderly(rig(), |conn| conn.on_pong(|_, _| -> () { panic!("hook") }));
        assert_orderly(rig(), |conn| conn.on_each(|_, _| -> () { panic!("hook") }));
        assert_orderly(rig(), |conn| conn.on_next(|_, _| -> () { panic!("hook") }));
        assert_orderly(rig(), |conn| conn.on_each_async(|_, _| lazy(|_| -> () { panic!("hook") })));
        assert_orderly(rig(), |conn| conn.on_each_async(|_, _| -> Ready<()> { panic!("hook") }));
        assert_orderly(rig(), |conn| conn.on_each_text(|_| -> () { panic!("hook") }));
        assert_orderly(rig(), |conn| {
            let (conn, callbacks) = conn.callbacks();
            callbacks.on_next(|_, _| -> () { panic!("hook") });
            conn
        });
    }
}

#[test]
fn a_hook_on_errors_that_panics_takes_nothing_from_the_close() {
    for role in BOTH {
        let log = RefCell::new(Vec::new());
        let mut rig = Rig::new(role).weave(|conn| {
            conn.on_finish(|finish| log.borrow_mut().push(finish.code.0))
                .on_error(|_| -> () { panic!("hook") })
        });
        rig.receive([Frame::text("").with_rsv(1)]);
        catch_unwind(AssertUnwindSafe(|| rig.settle())).expect_err("the panic is the poller's");
        let (wire, role) = (rig.wire.clone(), rig.role);
        drop(rig);
        let sent = wire.sent_by(role);
        assert_eq!((sent.len(), sent[0].close_code()), (1, Some(1002)));
        assert_eq!(*log.borrow(), [1002]);
    }
}
