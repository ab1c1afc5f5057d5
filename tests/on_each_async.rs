//! The asynchronous hook: one future at a time, the connection driven meanwhile.

mod hooked;

use std::{
    future::{pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

use futures::{
    FutureExt, SinkExt, StreamExt,
    channel::oneshot,
    executor::block_on,
    stream::{FusedStream, Stream},
};
use futures_test::{assert_stream_done, assert_stream_next, assert_stream_pending};
use wsweave::{CloseCode, Connection, ConnectionExt, ErrorKind};

use crate::hooked::{Log, close_by_peer, drive, next, run_both, send, text};

/// A hook's future that waits until it is let go, one gate a message.
fn gates() -> (Vec<oneshot::Sender<()>>, impl Iterator<Item = oneshot::Receiver<()>>) {
    let (open, wait): (Vec<_>, Vec<_>) = (0..4).map(|_| oneshot::channel()).unzip();
    (open.into_iter().rev().collect(), wait.into_iter())
}

#[test]
fn one_future_runs_at_a_time_and_its_message_follows_it() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut open, mut wait) = gates();
    let mut us = us.on_each_async(|_, message| {
        let (log, gate) = (log.clone(), wait.next().unwrap());
        async move {
            log.add(format!("{} begins", text(&message)));
            gate.await.unwrap();
            log.add(format!("{} ends", text(&message)));
        }
    });
    send(&mut peer, "1");
    send(&mut peer, "2");
    assert_stream_pending!(us);
    assert_stream_pending!(us);
    assert_eq!(log.take(), ["1 begins"]);

    open.pop().unwrap().send(()).unwrap();
    assert_stream_next!(us, "1".into());
    assert_eq!(log.take(), ["1 ends"]);
    assert_stream_pending!(us);
    assert_eq!(log.take(), ["2 begins"]);
    open.pop().unwrap().send(()).unwrap();
    assert_stream_next!(us, "2".into());
}

#[test]
fn layers_below_have_run_and_layers_above_wait() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut open, mut wait) = gates();
    let mut us = us
        .on_each(|_, _| log.add("below"))
        .on_each_async(|_, _| {
            log.add("async");
            wait.next().unwrap().map(drop)
        })
        .on_each(|_, _| log.add("above"));
    send(&mut peer, "1");
    drive(&mut us);
    assert_eq!(log.take(), ["below", "async"]);
    open.pop().unwrap().send(()).unwrap();
    next(&mut us);
    assert_eq!(log.take(), ["above"]);
}

#[test]
fn while_it_runs_control_frames_are_answered_until_a_message_waits() {
    let (us, mut peer) = Connection::pair();
    let mut us = us.on_each_async(|_, _| pending::<()>());
    send(&mut peer, "1");
    peer.ping("before").unwrap();
    peer.flush().now_or_never().unwrap().unwrap();
    let log = Log::default();
    let mut peer = peer.on_pong(|_, payload| log.add(format!("{payload:?}")));
    drive(&mut us);
    drive(&mut peer);
    assert_eq!(log.take(), ["b\"before\""]);

    send(&mut peer, "2");
    peer.ping("behind").unwrap();
    peer.flush().now_or_never().unwrap().unwrap();
    drive(&mut us);
    drive(&mut peer);
    assert!(log.take().is_empty());
}

#[test]
fn while_it_runs_what_it_sends_goes_out() {
    let (us, mut peer) = Connection::pair();
    let mut us = us.on_each_async(|handle, message| async move {
        handle.send(message).await.unwrap();
        pending::<()>().await;
    });
    send(&mut peer, "echo");
    drive(&mut us);
    drive(&mut us);
    assert_stream_next!(peer, "echo".into());
}

#[test]
fn it_waits_for_room_while_the_connection_writes() {
    let (us, mut peer) = Connection::pair();
    let us = us.on_each_async(|handle, _| async move {
        for _ in 0..40 {
            handle.send(vec![7; 100_000]).await?;
        }
        handle.close_with(1000, "")
    });
    send(&mut peer, "go");
    let mut received = 0;
    let peer = peer.on_each(|_, message| received += message.len());
    let (ours, _) = run_both(us, peer);
    assert!(ours.clean, "{ours}");
    assert_eq!(received, 4_000_000);
}

#[test]
fn dropping_next_half_way_loses_nothing() {
    let (us, mut peer) = Connection::pair();
    let (mut open, mut wait) = gates();
    let mut calls = 0;
    let mut us = us.on_each_async(|_, _| {
        calls += 1;
        wait.next().unwrap().map(drop)
    });
    send(&mut peer, "1");
    for _ in 0..3 {
        let mut dropped_half_way = us.next();
        assert_eq!((&mut dropped_half_way).now_or_never(), None);
    }
    open.pop().unwrap().send(()).unwrap();
    assert_stream_next!(us, "1".into());
    drop(us);
    assert_eq!(calls, 1);
}

#[test]
fn the_end_waits_for_the_future_and_its_message() {
    let (us, mut peer) = Connection::pair();
    let (mut open, mut wait) = gates();
    let mut us = us.on_each_async(|_, _| wait.next().unwrap().map(drop));
    send(&mut peer, "1");
    peer.abort();
    drop(peer);
    assert_stream_pending!(us);
    assert_stream_pending!(us);
    assert!(!us.is_terminated());
    assert_eq!(us.size_hint().0, 1);
    open.pop().unwrap().send(()).unwrap();
    assert_stream_next!(us, "1".into());
    assert_stream_done!(us);
    assert!(us.is_terminated());
}

#[test]
fn an_err_fails_the_connection_with_1011_behind_the_message() {
    let (us, mut peer) = Connection::pair();
    let mut us = us.on_each_async(|_, message| async move {
        match message.as_text() {
            Some(_) => Ok(()),
            None => Err("text only"),
        }
    });
    send(&mut peer, b"\0");
    send(&mut peer, "never seen");
    assert_stream_next!(us, b"\0".into());
    let (ours, theirs) = run_both(us.on_each(|_, _| -> () { unreachable!() }), peer);
    assert_eq!(ours.error.unwrap().kind(), ErrorKind::Hook);
    assert_eq!((ours.code, theirs.code), (CloseCode(1011), CloseCode(1011)));
}

#[test]
fn a_panic_in_the_future_closes_with_1011_on_drop() {
    let (us, mut peer) = Connection::pair();
    let mut us = us.on_each_async(|_, message| async move { assert!(message.is_binary()) });
    send(&mut peer, "1");
    catch_unwind(AssertUnwindSafe(|| us.next().now_or_never())).unwrap_err();
    drop(us);
    assert_eq!(block_on(peer.run()).code, CloseCode::INTERNAL_ERROR);
}

#[test]
fn the_future_is_dropped_when_it_completes_and_with_the_connection() {
    let (us, mut peer) = Connection::pair();
    let held = Rc::new(());
    let watched = Rc::downgrade(&held);
    let (mut open, mut wait) = gates();
    let mut us = us.on_each_async(move |_, _| {
        let (held, mut gate) = (Rc::clone(&held), wait.next().unwrap());
        poll_fn(move |cx| {
            let _ = Rc::strong_count(&held);
            gate.poll_unpin(cx).map(drop)
        })
    });
    send(&mut peer, "1");
    send(&mut peer, "2");
    drive(&mut us);
    assert_eq!(watched.strong_count(), 2);
    open.pop().unwrap().send(()).unwrap();
    next(&mut us);
    assert_eq!(watched.strong_count(), 1);
    drive(&mut us);
    assert_eq!(watched.strong_count(), 2);
    drop(us);
    assert_eq!(watched.strong_count(), 0);
}

#[test]
fn async_hooks_stack() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let us = us
        .on_each_async(|_, _| async { log.add("first") })
        .on_each_async(|_, _| async { log.add("second") });
    send(&mut peer, "1");
    send(&mut peer, "2");
    assert!(close_by_peer(us, peer).clean);
    assert_eq!(log.take(), ["first", "second", "first", "second"]);
}

#[test]
fn what_it_sends_goes_before_what_those_send_who_get_the_message_next() {
    let (us, mut peer) = Connection::pair();
    let mut us = us
        .on_each_async(|handle, _| async move { handle.send("1").await })
        .on_each(|peer, _| peer.send("2"));
    send(&mut peer, "go");
    next(&mut us);
    us.feed("3".into()).now_or_never().unwrap().unwrap();
    us.flush().now_or_never().unwrap().unwrap();
    for text in ["1", "2", "3"] {
        assert_eq!(next(&mut peer), text.into());
    }
}
