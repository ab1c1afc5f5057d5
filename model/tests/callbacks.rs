//! Callbacks that come and go on other threads, while messages run and while the connection ends.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use futures::SinkExt;
use shuttle::{
    future::block_on,
    sync::{Mutex, atomic::AtomicBool as Point},
    thread,
};
use wsweave::{Callbacks, Config, ConnectionExt, Finish};

use self::support::{check, pair};

#[test]
fn each_message_reaches_a_callback_once_until_that_is_cancelled() {
    check(1000, || {
        let (callbacks, run) = three_messages();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let cancelled = Arc::new(AtomicBool::new(false));
        let late = Arc::new(AtomicUsize::new(0));
        let registration = {
            let (seen, cancelled, late) =
                (Arc::clone(&seen), Arc::clone(&cancelled), Arc::clone(&late));
            callbacks.on_each(move |_, message| {
                late.fetch_add(usize::from(cancelled.load(Relaxed)), Relaxed);
                seen.lock().unwrap().push(message.as_text().unwrap().to_owned());
            })
        };
        registration.cancel();
        cancelled.store(true, Relaxed);
        run.join().unwrap();
        // A call that cancelling did not wait for.
        assert!(late.load(Relaxed) <= 1);
        let seen = seen.lock().unwrap();
        assert!("abc".contains(&seen.concat()), "{seen:?}");
        assert_eq!(Arc::strong_count(&cancelled), 1);
    });
}

#[test]
fn what_comes_during_the_messages_is_called_in_order_and_leaves_nothing_behind() {
    check(1000, || {
        let (callbacks, run) = three_messages();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let others = ["next", "each"].map(|kind| {
            let (callbacks, seen) = (callbacks.clone(), Arc::clone(&seen));
            thread::spawn(move || {
                let note = move |text: &str| seen.lock().unwrap().push(format!("{kind} {text}"));
                if kind == "next" {
                    callbacks.on_next(move |_, message| note(message.as_text().unwrap()));
                } else {
                    callbacks.on_each(move |_, message| note(message.as_text().unwrap()));
                }
            })
        });
        others.into_iter().for_each(|other| other.join().unwrap());
        run.join().unwrap();
        assert_eq!(Arc::strong_count(&seen), 1);
        let seen = seen.lock().unwrap();
        let all = ["a", "b", "c"].map(|text| format!("each {text}"));
        let (next, each): (Vec<_>, Vec<_>) =
            seen.iter().cloned().partition(|seen| seen.starts_with("next"));
        assert!(next.len() <= 1, "{seen:?}");
        assert!(all.ends_with(&each), "{seen:?}");
    });
}

#[test]
fn every_callback_for_the_end_runs_once_and_one_at_a_time() {
    check(1000, || {
        let (callbacks, run) = three_messages();
        let calls = Arc::new(Calls::default());
        let others = [(); 2].map(|()| {
            let (callbacks, calls) = (callbacks.clone(), Arc::clone(&calls));
            thread::spawn(move || {
                let (inner, inner_calls) = (callbacks.clone(), Arc::clone(&calls));
                callbacks.on_finish(move |_| {
                    inner_calls.call();
                    let calls = Arc::clone(&inner_calls);
                    inner.on_finish(move |_| calls.call());
                });
                let calls = Arc::clone(&calls);
                callbacks.on_each(move |_, _| drop(Arc::clone(&calls)));
            })
        });
        others.into_iter().for_each(|other| other.join().unwrap());
        run.join().unwrap();
        assert_eq!(calls.count.load(Relaxed), 4);
        assert_eq!(Arc::strong_count(&calls), 1);
    });
}

#[test]
fn a_cancelled_callback_for_the_end_runs_before_that_or_never() {
    check(1000, || {
        let (callbacks, run) = three_messages();
        let calls = Arc::new(Calls::default());
        let registration = {
            let calls = Arc::clone(&calls);
            callbacks.on_finish(move |_| calls.call())
        };
        let other = {
            let registration = registration.clone();
            thread::spawn(move || registration.cancel())
        };
        registration.cancel();
        other.join().unwrap();
        let (running, before) = (Arc::strong_count(&calls) > 1, calls.count.load(Relaxed));
        run.join().unwrap();
        let after = calls.count.load(Relaxed);
        assert!(after <= 1);
        assert!(running || before == after, "it ran after it was cancelled");
        assert_eq!(Arc::strong_count(&calls), 1);
    });
}

/// A connection that runs on another thread; its peer sends "a", "b", "c" and closes.
fn three_messages() -> (Callbacks, thread::JoinHandle<Finish>) {
    let (conn, mut peer) = pair(64, Config::default());
    let (conn, callbacks) = conn.callbacks();
    let run = thread::spawn(|| block_on(conn.run()));
    thread::spawn(move || {
        block_on(async {
            for text in ["a", "b", "c"] {
                peer.send(text.into()).await.unwrap();
            }
            peer.close().await.unwrap();
        });
    });
    (callbacks, run)
}

/// Calls that must not overlap.
#[derive(Default)]
struct Calls {
    count: AtomicUsize,
    running: AtomicBool,
}

impl Calls {
    fn call(&self) {
        assert!(!self.running.swap(true, Relaxed), "two run at the same time");
        Point::new(false).load(Relaxed);
        self.running.store(false, Relaxed);
        self.count.fetch_add(1, Relaxed);
    }
}
