//! The `callbacks()` registry: when a callback fails, and at the end.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod hooked;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use futures::{FutureExt, SinkExt, StreamExt, executor::block_on};
use futures_test::assert_stream_done;
use wsweave::{
    Callbacks, CloseCode, Config, Connection, ConnectionExt, ErrorKind, Registration, Role,
};

use crate::hooked::{Log, close_by_peer, pass, run_both, send};

#[test]
fn an_err_fails_the_connection_and_the_remaining_callbacks_run() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    callbacks.on_next(|_, _| Err("no"));
    callbacks.on_each(log.line("still runs"));
    let logged = log.clone();
    callbacks.on_error(move |error| logged.add(error));
    let logged = log.clone();
    callbacks.on_finish(move |finish| logged.add(finish.code));
    send(&mut peer, "1");
    let (ours, theirs) = run_both(us, peer);
    assert_eq!(log.take(), ["still runs", "a hook failed: no", "1011"]);
    assert_eq!(ours.error.unwrap().kind(), ErrorKind::Hook);
    assert_eq!(theirs.code, CloseCode::INTERNAL_ERROR);
}

#[test]
fn after_a_panic_the_registry_is_usable() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut us, callbacks) = us.callbacks();
    callbacks.on_each(|_, _| -> () { panic!("callback") });
    callbacks.on_each(log.line("after it"));
    send(&mut peer, "1");
    catch_unwind(AssertUnwindSafe(|| us.next().now_or_never())).unwrap_err();
    callbacks.on_next(log.line("registered later"));
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["registered later", "after it"]);
    let logged = log.clone();
    callbacks.on_finish(move |finish| logged.add(finish.code));
    drop(us);
    assert_eq!(log.take(), ["1011"]);
}

#[test]
fn error_callbacks_run_before_finish_callbacks() {
    let unmasked = b"\x81\x00".as_slice();
    let io = futures::io::Cursor::new(Vec::new());
    let us = Connection::from_partially_read(io, unmasked, Role::Server, Config::default());
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    let logged = log.clone();
    callbacks.on_finish(move |finish| logged.add(format!("finish {}", finish.code)));
    let logged = log.clone();
    callbacks.on_error(move |error| logged.add(format!("error {:?}", error.kind())));
    block_on(us.run());
    assert_eq!(log.take(), ["error Protocol", "finish 1002"]);
}

#[test]
fn an_error_callback_registered_in_an_error_callback_is_too_late() {
    let (us, mut peer) = Connection::pair();
    let (us, callbacks) = us.callbacks();
    let registry = callbacks.clone();
    callbacks.on_error(move |_| {
        registry.on_error(|error| unreachable!("{error}"));
    });
    peer.abort();
    drop(peer);
    block_on(us.run());
}

#[test]
fn cancelled_error_and_finish_callbacks_do_not_run() {
    let (us, mut peer) = Connection::pair();
    let (us, callbacks) = us.callbacks();
    callbacks.on_error(|error| unreachable!("{error}")).cancel();
    callbacks.on_finish(|finish| unreachable!("{finish}")).cancel();
    let later = Arc::new(Mutex::new(None::<Registration>));
    let cancel = Arc::clone(&later);
    callbacks.on_finish(move |_| cancel.lock().unwrap().take().unwrap().cancel());
    let second = callbacks.on_finish(|finish| unreachable!("{finish}"));
    *later.lock().unwrap() = Some(second);
    peer.abort();
    drop(peer);
    block_on(us.run());
}

#[test]
fn finish_callbacks_run_once_after_all_messages() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    for line in ["1", "2"] {
        let logged = log.clone();
        callbacks.on_finish(move |finish| logged.add(format!("finish {line} {}", finish.code)));
    }
    callbacks.on_each(log.line("message"));
    send(&mut peer, "1");
    close_by_peer(us, peer);
    assert_eq!(log.take(), ["message", "finish 1 1000", "finish 2 1000"]);
}

#[test]
fn finish_callbacks_run_in_the_drop() {
    let (us, _peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    let logged = log.clone();
    callbacks.on_finish(move |finish| logged.add(finish));
    let logged = log.clone();
    drop(us.on_finish(move |_| logged.add("above")));
    assert_eq!(log.take(), ["above", "closed by us with code 1001, unclean"]);
}

#[test]
fn a_finish_callback_that_cancels_itself_leaves_the_others() {
    let (us, _peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    let own = Arc::new(Mutex::new(None::<Registration>));
    let cancel = Arc::clone(&own);
    let first = callbacks.on_finish(move |_| cancel.lock().unwrap().take().unwrap().cancel());
    *own.lock().unwrap() = Some(first);
    let logged = log.clone();
    callbacks.on_finish(move |_| logged.add("second"));
    drop(us);
    assert_eq!(log.take(), ["second"]);
}

#[test]
fn a_finish_callback_that_panics_leaves_the_others() {
    let (us, peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    callbacks.on_finish(|_| panic!("callback"));
    let logged = log.clone();
    callbacks.on_finish(move |_| logged.add("second"));
    catch_unwind(AssertUnwindSafe(|| close_by_peer(us, peer))).unwrap_err();
    assert_eq!(log.take(), ["second"]);
}

#[test]
fn sending_in_a_finish_callback_replays_nothing() {
    let (mut us, peer) = Connection::pair();
    let log = Log::default();
    let handle = us.handle();
    let (us, callbacks) = us.callbacks();
    let logged = log.clone();
    callbacks.on_finish(move |_| {
        logged.add("finish");
        assert!(handle.try_send("too late").is_err());
    });
    close_by_peer(us, peer);
    assert_eq!(log.take(), ["finish"]);
}

#[test]
fn after_the_end_on_finish_runs_at_once_and_the_rest_is_inert() {
    let (us, peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    close_by_peer(us, peer);
    let logged = log.clone();
    let registration = callbacks.on_finish(move |finish| logged.add(finish.code));
    assert_eq!(log.take(), ["1000"]);
    registration.cancel();

    let held = Arc::new(());
    let inert = Arc::clone(&held);
    callbacks.on_each(move |_, _| drop(Arc::clone(&inert))).cancel();
    let inert = Arc::clone(&held);
    callbacks.on_next(move |_, _| drop(inert));
    let inert = Arc::clone(&held);
    callbacks.on_error(move |_| drop(inert));
    assert_eq!(Arc::strong_count(&held), 1, "what can never run is not kept");
}

#[test]
fn a_finish_callback_registered_in_a_finish_callback_runs() {
    let (us, _peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    let (logged, registry) = (log.clone(), callbacks.clone());
    callbacks.on_finish(move |_| {
        logged.add("outer");
        registry.on_finish(move |_| logged.add("inner"));
    });
    drop(us);
    assert_eq!(log.take(), ["outer", "inner"]);
}

#[test]
fn a_registry_made_after_the_end_has_ended() {
    let (mut us, mut peer) = Connection::pair();
    block_on(async { futures::join!(us.next(), peer.close()) }).1.unwrap();
    let (mut us, callbacks) = us.callbacks();
    let log = Log::default();
    let logged = log.clone();
    callbacks.on_finish(move |finish| logged.add(finish.code));
    assert_eq!(log.take(), ["1000"]);
    assert_stream_done!(us);
}

#[test]
fn the_end_drops_all_callbacks_even_in_a_cycle() {
    let (us, peer) = Connection::pair();
    let (us, callbacks) = us.callbacks();
    let held = Arc::new(());
    let watched = Arc::downgrade(&held);
    let cycle = (callbacks.clone(), held);
    callbacks.on_each(move |_, _| drop(cycle.clone()));
    assert!(watched.upgrade().is_some());
    close_by_peer(us, peer);
    assert!(watched.upgrade().is_none());
}

#[test]
fn what_the_end_drops_may_use_the_registry() {
    struct RegisterOnDrop(Callbacks, Log);
    impl Drop for RegisterOnDrop {
        fn drop(&mut self) {
            let log = self.1.clone();
            self.0.on_finish(move |finish| log.add(finish.code));
        }
    }

    let (us, _peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    let held = RegisterOnDrop(callbacks.clone(), log.clone());
    callbacks.on_next(move |_, _| drop(held));
    drop(us);
    assert_eq!(log.take(), ["1001"]);
}

#[test]
fn neither_registry_nor_registration_keeps_the_connection_alive() {
    let (us, peer) = Connection::pair();
    let (us, callbacks) = us.callbacks();
    let registration = callbacks.on_each(|_, _| ());
    drop(us);
    assert_eq!(block_on(peer.run()).code, CloseCode::GOING_AWAY);
    registration.cancel();
    drop(callbacks);
}

#[test]
fn a_finish_callback_that_registers_is_not_interrupted() {
    let (us, _peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    let (logged, registry) = (log.clone(), callbacks.clone());
    callbacks.on_finish(move |_| {
        logged.add("first begins");
        registry.on_each(|_, _| ());
        logged.add("first ends");
    });
    let logged = log.clone();
    callbacks.on_finish(move |_| logged.add("second"));
    drop(us);
    assert_eq!(log.take(), ["first begins", "first ends", "second"]);
}

#[test]
fn a_finish_callback_that_registers_can_still_cancel_the_next() {
    let (us, _peer) = Connection::pair();
    let (us, callbacks) = us.callbacks();
    let later = Arc::new(Mutex::new(None::<Registration>));
    let (registry, cancel) = (callbacks.clone(), Arc::clone(&later));
    callbacks.on_finish(move |_| {
        registry.on_each(|_, _| ());
        cancel.lock().unwrap().take().unwrap().cancel();
    });
    let second = callbacks.on_finish(|finish| unreachable!("{finish}"));
    *later.lock().unwrap() = Some(second);
    drop(us);
}

#[test]
fn another_thread_that_registers_runs_none_of_the_finish_callbacks() {
    let (us, _peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    let ours = thread::current().id();
    let registry = callbacks.clone();
    callbacks.on_finish(move |_| {
        thread::spawn(move || registry.on_each(|_, _| ())).join().unwrap();
    });
    let logged = log.clone();
    callbacks.on_finish(move |_| logged.add(thread::current().id() == ours));
    drop(us);
    assert_eq!(log.take(), ["true"]);
}

#[test]
fn what_another_thread_registers_during_the_end_runs_behind_the_others() {
    let (us, _peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    let (registry, logged) = (callbacks.clone(), log.clone());
    callbacks.on_finish(move |_| {
        let theirs = logged.clone();
        let register = move || registry.on_finish(move |_| theirs.add("theirs"));
        thread::spawn(register).join().unwrap();
        logged.add("first");
    });
    let logged = log.clone();
    callbacks.on_finish(move |_| logged.add("second"));
    drop(us);
    assert_eq!(log.take(), ["first", "second", "theirs"]);
}

#[test]
fn any_number_of_finish_callbacks_may_register() {
    let (us, _peer) = Connection::pair();
    let (us, callbacks) = us.callbacks();
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..50_000 {
        let (registry, ran) = (callbacks.clone(), Arc::clone(&ran));
        callbacks.on_finish(move |_| {
            registry.on_each(|_, _| ());
            ran.fetch_add(1, Ordering::Relaxed);
        });
    }
    drop(us);
    assert_eq!(ran.load(Ordering::Relaxed), 50_000);
}

#[test]
fn of_many_panics_the_first_unwinds_when_all_have_run() {
    let (us, peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    callbacks.on_finish(|_| panic!("one"));
    callbacks.on_finish(|_| panic!("two"));
    let logged = log.clone();
    callbacks.on_finish(move |_| logged.add("third"));
    let panic = catch_unwind(AssertUnwindSafe(|| close_by_peer(us, peer))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"one"));
    assert_eq!(log.take(), ["third"]);
    let logged = log.clone();
    callbacks.on_finish(move |finish| logged.add(finish.code));
    assert_eq!(log.take(), ["1000"], "a panic does not end the settling for ever");
}

#[test]
fn a_panic_in_the_drop_of_a_callback_leaves_the_finish_callbacks() {
    struct PanicOnDrop;
    impl Drop for PanicOnDrop {
        fn drop(&mut self) {
            panic!("drop");
        }
    }

    let (us, _peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    let held = PanicOnDrop;
    callbacks.on_next(move |_, _| drop(held));
    let logged = log.clone();
    callbacks.on_finish(move |finish| logged.add(finish.code));
    catch_unwind(AssertUnwindSafe(|| drop(us))).unwrap_err();
    assert_eq!(log.take(), ["1001"]);
}
