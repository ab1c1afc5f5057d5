//! The `callbacks()` registry: its order, registering and cancelling at any time.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod hooked;

use std::{
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    thread,
};

use futures::{FutureExt, SinkExt, StreamExt};
use futures_test::assert_stream_next;
use wsweave::{Callbacks, Connection, ConnectionExt, Message, Peer, Registration};

use crate::hooked::{Log, close_by_peer, drive, pass, run_both, send};

#[test]
fn next_callbacks_run_before_each_callbacks_in_order_of_registration() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut us, callbacks) = us.callbacks();
    callbacks.on_each(log.line("each 1"));
    callbacks.on_next(log.line("next 1"));
    callbacks.on_each(log.line("each 2"));
    callbacks.on_next(log.line("next 2"));
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["next 1", "next 2", "each 1", "each 2"]);
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["each 1", "each 2"]);
}

#[test]
fn they_run_in_their_layer() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.on_each(log.line("below")).callbacks();
    let mut us = us.on_each(log.line("above"));
    callbacks.on_each(log.line("callback"));
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["below", "callback", "above"]);
}

#[test]
fn control_frames_are_no_messages() {
    let (us, mut peer) = Connection::pair();
    let (mut us, callbacks) = us.callbacks();
    callbacks.on_each(|_, _| -> () { unreachable!() });
    callbacks.on_next(|_, _| -> () { unreachable!() });
    peer.ping("").unwrap();
    peer.flush().now_or_never().unwrap().unwrap();
    drive(&mut us);
    drive(&mut peer);
    close_by_peer(us, peer);
}

#[test]
fn what_is_registered_during_a_message_starts_with_the_following_one() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut us, callbacks) = us.callbacks();
    let (logged, registry) = (log.clone(), callbacks.clone());
    callbacks.on_next(move |_, _| {
        registry.on_next(logged.line("next in next"));
        registry.on_each(logged.line("each in next"));
    });
    let (logged, registry) = (log.clone(), callbacks.clone());
    let mut done = false;
    callbacks.on_each(move |_, _| {
        if !mem::replace(&mut done, true) {
            registry.on_next(logged.line("next in each"));
            registry.on_each(logged.line("each in each"));
        }
    });
    pass(&mut us, &mut peer);
    assert!(log.take().is_empty());
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["next in next", "next in each", "each in next", "each in each"]);
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["each in next", "each in each"]);
}

#[test]
fn peer_lends_the_registry() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let us = us.on_next(|peer, _| assert!(peer.callbacks().is_none(), "below the registry"));
    let (us, callbacks) = us.callbacks();
    let logged = log.clone();
    callbacks.on_next(move |peer, _| {
        peer.callbacks().unwrap().on_next(logged.line("from a callback"));
    });
    let logged = log.clone();
    let mut us = us.on_next(move |peer, _| {
        peer.callbacks().unwrap().on_next(logged.line("from a hook above"));
    });
    pass(&mut us, &mut peer);
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["from a callback", "from a hook above"]);
}

#[test]
fn cancelling_takes_effect_at_once_and_is_idempotent() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut us, callbacks) = us.callbacks();
    let later = Arc::new(Mutex::new(Vec::<Registration>::new()));
    let to_cancel = Arc::clone(&later);
    callbacks.on_next(move |_, _| {
        for registration in to_cancel.lock().unwrap().drain(..) {
            registration.cancel();
            registration.cancel();
        }
    });
    let cancelled = [
        callbacks.on_next(log.line("cancelled next")),
        callbacks.on_each(log.line("cancelled each")),
    ];
    callbacks.on_each(log.line("stays"));
    later.lock().unwrap().extend(cancelled);
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["stays"]);
}

#[test]
fn cancelling_earlier_ones_skips_and_repeats_none() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut us, callbacks) = us.callbacks();
    let earlier = [callbacks.on_each(log.line("1")), callbacks.on_each(log.line("2"))];
    callbacks.on_each(log.line("3"));
    let mut fourth = log.line("4");
    callbacks.on_each(move |peer, message| {
        earlier.iter().for_each(Registration::cancel);
        fourth(peer, message);
    });
    callbacks.on_each(log.line("5"));
    callbacks.on_each(log.line("6"));
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["1", "2", "3", "4", "5", "6"]);
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["3", "4", "5", "6"]);
}

#[test]
fn what_a_callback_cancels_in_its_drop_is_never_reached() {
    struct CancelsAtDrop(Vec<Registration>);
    impl Drop for CancelsAtDrop {
        fn drop(&mut self) {
            self.0.iter().for_each(Registration::cancel);
        }
    }
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut us, callbacks) = us.callbacks();
    let victims = Arc::new(Mutex::new(CancelsAtDrop(Vec::new())));
    let held = Arc::clone(&victims);
    let first = callbacks.on_each(log.line("first"));
    callbacks.on_each(move |peer, _| {
        let _held = &held;
        peer.unhook();
    });
    let following = callbacks.on_each(log.line("following"));
    callbacks.on_each(log.line("last"));
    victims.lock().unwrap().0.extend([first, following]);
    drop(victims);
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["first", "last"]);
}

#[test]
fn each_registration_is_its_own() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    fn count(_: &mut Peer<'_>, _: &Message) {
        CALLS.fetch_add(1, SeqCst);
    }

    let (us, mut peer) = Connection::pair();
    let (mut us, callbacks) = us.callbacks();
    let first = callbacks.on_each(count);
    callbacks.on_each(count);
    first.cancel();
    first.cancel();
    pass(&mut us, &mut peer);
    assert_eq!(CALLS.load(SeqCst), 1);
}

#[test]
fn unhook_takes_off_the_callback_that_calls_it() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut us, callbacks) = us.callbacks();
    let logged = log.clone();
    callbacks.on_each(move |peer, _| {
        logged.add("once");
        peer.unhook();
    });
    callbacks.on_each(log.line("stays"));
    pass(&mut us, &mut peer);
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["once", "stays", "stays"]);
}

#[test]
fn a_callback_can_cancel_itself_and_register_itself_again() {
    fn again(callbacks: &Callbacks, log: Log) {
        let own = Arc::new(Mutex::new(None::<Registration>));
        let cancel = Arc::clone(&own);
        let registration = callbacks.on_each(move |peer, _| {
            log.add("called");
            cancel.lock().unwrap().take().unwrap().cancel();
            again(&peer.callbacks().unwrap(), log.clone());
        });
        *own.lock().unwrap() = Some(registration);
    }

    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut us, callbacks) = us.callbacks();
    again(&callbacks, log.clone());
    for _ in 0..3 {
        pass(&mut us, &mut peer);
        assert_eq!(log.take(), ["called"]);
    }
}

#[test]
fn dropping_a_registration_cancels_nothing() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut us, callbacks) = us.callbacks();
    drop(callbacks.on_each(log.line("still there")));
    drop(callbacks);
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["still there"]);
}

#[test]
fn a_cancelled_callback_is_dropped_at_once_and_may_use_the_registry_in_its_drop() {
    struct CancelOnDrop(Registration, Callbacks, Log);
    impl Drop for CancelOnDrop {
        fn drop(&mut self) {
            self.0.cancel();
            self.1.on_each(self.2.line("registered in a drop"));
        }
    }
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut us, callbacks) = us.callbacks();
    let other = callbacks.on_each(log.line("other"));
    let guard = CancelOnDrop(other, callbacks.clone(), log.clone());
    let registration = callbacks.on_each(move |_, _| {
        let _held = &guard;
    });
    registration.cancel();
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["registered in a drop"]);
}

#[test]
fn a_callback_cancelled_while_it_runs_is_dropped_after_its_call() {
    let (us, mut peer) = Connection::pair();
    let (mut us, callbacks) = us.callbacks();
    let alive = Arc::new(());
    let watched = Arc::downgrade(&alive);
    let own = Arc::new(Mutex::new(None::<Registration>));
    let (cancel, watch) = (Arc::clone(&own), watched.clone());
    let registration = callbacks.on_each(move |_, _| {
        cancel.lock().unwrap().take().unwrap().cancel();
        assert!(watch.upgrade().is_some() && Arc::strong_count(&alive) >= 1);
    });
    *own.lock().unwrap() = Some(registration);
    pass(&mut us, &mut peer);
    assert!(watched.upgrade().is_none());
}

#[test]
fn other_threads_register_and_cancel_while_a_callback_runs() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (mut us, callbacks) = us.callbacks();
    let (running, is_running) = mpsc::channel();
    let (proceed, may_proceed) = mpsc::channel();
    let first = callbacks.on_each(move |_, _| {
        running.send(()).unwrap();
        may_proceed.recv().unwrap();
    });
    let (registry, logged) = (callbacks.clone(), log.clone());
    let other = thread::spawn(move || {
        is_running.recv().unwrap();
        registry.on_each(logged.line("from a thread"));
        first.cancel(); // does not wait for the running call
        proceed.send(()).unwrap();
    });
    pass(&mut us, &mut peer);
    other.join().unwrap();
    pass(&mut us, &mut peer);
    assert_eq!(log.take(), ["from a thread"]);
}

#[test]
fn the_connection_can_be_closed_in_a_callback_and_the_rest_still_run() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (us, callbacks) = us.callbacks();
    callbacks.on_next(|peer, _| peer.close_with(4000, "enough"));
    callbacks.on_each(log.line("each"));
    send(&mut peer, "1");
    send(&mut peer, "2");
    let (ours, theirs) = run_both(us, peer);
    assert_eq!(log.take(), ["each", "each"]);
    assert!(ours.clean && theirs.code == 4000);
}

#[test]
fn messages_reach_the_stream_behind_the_callbacks() {
    let (us, mut peer) = Connection::pair();
    let (us, callbacks) = us.callbacks();
    callbacks.on_each(|peer, _| peer.send("callback"));
    let (mut sink, mut stream) = us.split();
    send(&mut peer, "1");
    assert_stream_next!(stream, "1".into());
    sink.send("2".into()).now_or_never().unwrap().unwrap();
    assert_stream_next!(peer, "callback".into());
    assert_stream_next!(peer, "2".into());
}
