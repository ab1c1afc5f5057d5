//! The hook on the end: exactly once, however it ends.

mod hooked;

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use futures::{FutureExt, SinkExt, StreamExt, executor::block_on, stream::FusedStream};
use futures_test::{assert_stream_done, assert_stream_next};
use wsweave::{CloseCode, Connection, ConnectionExt, Initiator, Pipe};

use crate::hooked::{Log, close_by_peer, next, send, text};

#[test]
fn it_runs_once_at_the_end_after_all_messages() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let mut us =
        us.on_finish(|finish| log.add(finish)).on_each(|_, message| log.add(text(message)));
    send(&mut peer, "1");
    send(&mut peer, "2");
    let closing = async { peer.close_with(4000, "bye").await.unwrap() };
    let reading = async { while us.next().await.is_some() {} };
    block_on(async { futures::join!(closing, reading) });
    assert_eq!(log.take(), ["1", "2", "closed by the peer with code 4000 (\"bye\")"]);

    assert_stream_done!(us);
    drop(us);
    assert!(log.take().is_empty());
}

#[test]
fn at_the_end_the_one_nearest_to_the_connection_runs_first() {
    let (us, peer) = Connection::pair();
    let log = Log::default();
    let us = us.on_finish(|_| log.add("inner")).on_finish(|_| log.add("outer"));
    close_by_peer(us, peer);
    assert_eq!(log.take(), ["inner", "outer"]);
}

#[test]
fn in_a_drop_the_outermost_runs_first_and_all_get_the_same() {
    let (mut us, _peer) = Connection::pair();
    let handle = us.handle();
    let log = Log::default();
    let us = us.on_finish(|finish| log.add(finish)).on_finish(|finish| {
        assert_eq!((finish.initiator, finish.clean), (Initiator::Us, false));
        log.add(finish.code);
    });
    drop(us);
    assert_eq!(log.take(), ["1001", "closed by us with code 1001, unclean"]);
    assert_eq!(block_on(handle.closed()).code, CloseCode::GOING_AWAY);
}

#[test]
fn in_a_drop_while_unwinding_the_code_is_1011() {
    let (us, peer) = Connection::pair();
    let code = Cell::new(None);
    let us = us.on_finish(|finish| code.set(Some(finish.code)));
    let unwinding = move || {
        let _us = us;
        panic!("elsewhere");
    };
    catch_unwind(AssertUnwindSafe(unwinding)).unwrap_err();
    assert_eq!(code.get(), Some(CloseCode::INTERNAL_ERROR));
    assert_eq!(block_on(peer.run()).code, CloseCode::INTERNAL_ERROR);
}

#[test]
fn in_a_drop_after_the_end_it_gets_that_end() {
    let (us, peer) = Connection::pair();
    let log = Log::default();
    let mut us = us.on_finish(|finish| log.add(finish));
    block_on(async { futures::join!(us.close(), peer.run()) }).0.unwrap();
    assert!(us.finish().is_some());
    assert!(log.take().is_empty(), "the stream has not ended");
    drop(us);
    assert_eq!(log.take(), ["closed by us with code 1000"]);
}

#[test]
fn in_a_drop_amid_the_closing_handshake_it_gets_that_ones_code() {
    let (us, _peer) = Connection::pair();
    let log = Log::default();
    let mut us = us.on_finish(|finish| log.add(finish));
    assert!(us.close_with(4000, "").now_or_never().is_none());
    drop(us);
    assert_eq!(log.take(), ["closed by us with code 4000, unclean"]);
}

#[test]
fn put_on_after_the_end_it_runs_at_once() {
    let (mut us, mut peer) = Connection::pair();
    block_on(async { futures::join!(us.next(), peer.close()) }).1.unwrap();
    assert!(us.is_terminated());
    let log = Log::default();
    let us = us.on_finish(|finish| log.add(finish.code));
    assert_eq!(log.take(), ["1000"]);
    drop(us);
    assert!(log.take().is_empty());
}

#[test]
fn put_on_before_the_last_messages_are_read_it_waits_for_them() {
    let (mut us, mut peer) = Connection::pair();
    send(&mut peer, "1");
    block_on(async { futures::join!(us.close(), peer.next()) }).0.unwrap();
    let log = Log::default();
    let mut us = us.on_finish(|_| log.add("finish"));
    assert!(log.take().is_empty());
    assert_stream_next!(us, "1".into());
    assert!(log.take().is_empty());
    assert_stream_done!(us);
    assert_eq!(log.take(), ["finish"]);
}

#[test]
fn into_inner_runs_it_first() {
    let (us, _peer) = Connection::pair();
    let log = Log::default();
    let us =
        us.on_finish(|_| log.add("inner")).on_each(|_, _| ()).on_finish(|finish| log.add(finish));
    let _pipe: Pipe = us.into_inner();
    assert_eq!(log.take(), ["closed by us with code 1001, unclean", "inner"]);
}

#[test]
fn it_can_own_what_it_needs() {
    let (us, _peer) = Connection::pair();
    let (sender, receiver) = futures::channel::oneshot::channel();
    drop(us.on_finish(move |finish| sender.send(finish.clone()).unwrap()));
    assert_eq!(block_on(receiver).unwrap().code, CloseCode::GOING_AWAY);
}

#[test]
fn a_panic_in_it_is_not_repeated_and_the_others_run() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let us = us
        .on_finish(|_| log.add("inner"))
        .on_finish(|_| panic!("hook"))
        .on_finish(|_| log.add("outer"));
    send(&mut peer, "1");
    let mut us = us;
    next(&mut us);
    catch_unwind(AssertUnwindSafe(|| close_by_peer(us, peer))).unwrap_err();
    assert_eq!(log.take(), ["inner", "outer"]);
}
