//! Handles on other threads: nothing is lost or overtaken, and whoever waits is woken.

mod support;

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{SinkExt, StreamExt};
use shuttle::{future::block_on, sync::Mutex, thread};
use wsweave::{CloseCode, Config, Connection, ConnectionExt, Finish, Handle, Message};

use self::support::{End, check, pair};

#[test]
fn all_that_handles_send_arrives_in_order() {
    check(1000, || {
        let (mut conn, peer) = pair(64, narrow());
        let handle = conn.handle();
        let run = run(conn);
        let received = receive_all(peer);
        let senders = ["a", "b"].map(|name| {
            let handle = handle.clone();
            thread::spawn(move || {
                for number in 0..2 {
                    block_on(handle.send(format!("{name}{number}"))).unwrap();
                }
            })
        });
        // A sink that waits for room, and loses interest.
        let mut sink = handle.clone();
        let idle = block_on(poll_fn(|cx| Poll::Ready(sink.poll_ready_unpin(cx))));
        assert!(!matches!(idle, Poll::Ready(Err(_))));
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        handle.close_with(1000, "").unwrap();
        assert!(run.join().unwrap().clean);
        let received = received.join().unwrap();
        assert_eq!(received.len(), 4);
        assert_eq!(of("a", &received), ["a0", "a1"]);
        assert_eq!(of("b", &received), ["b0", "b1"]);
    });
}

/// By one thing, behind which no other comes.
#[test]
fn a_connection_that_falls_asleep_is_woken() {
    check(1000, || {
        let (mut conn, mut peer) = pair(64, Config::default());
        let handle = conn.handle();
        let run = run(conn);
        let sender = thread::spawn(move || handle.try_send("x").unwrap());
        assert_eq!(block_on(peer.next()), Some("x".into()));
        block_on(peer.close()).unwrap();
        assert!(run.join().unwrap().clean);
        sender.join().unwrap();
    });
    check(1000, || {
        let (mut conn, peer) = pair(64, Config::default());
        let handle = conn.handle();
        let (run, received) = (run(conn), receive_all(peer));
        handle.close_with(1000, "").unwrap();
        assert!(run.join().unwrap().clean);
        assert!(received.join().unwrap().is_empty());
    });
    check(1000, || {
        let (mut conn, _peer) = pair(64, Config::default());
        let handle = conn.handle();
        let run = run(conn);
        handle.abort();
        assert_eq!(run.join().unwrap().code, CloseCode::ABNORMAL);
    });
}

/// The one who waits has not registered with what is not there yet.
#[test]
fn a_connection_that_waits_heeds_a_handle_made_later() {
    check(500, || {
        let (conn, _peer) = pair(64, Config::default());
        let conn = Arc::new(Mutex::new(conn));
        let reader = {
            let conn = Arc::clone(&conn);
            let poll = move |cx: &mut Context<'_>| conn.lock().unwrap().poll_next_unpin(cx);
            thread::spawn(move || assert_eq!(block_on(poll_fn(poll)), None))
        };
        let handle = conn.lock().unwrap().handle();
        handle.abort();
        reader.join().unwrap();
    });
}

#[test]
fn a_flush_ends_and_what_it_waited_for_is_written() {
    check(1000, || {
        let (mut conn, peer) = pair(8, narrow());
        let handle = conn.handle();
        let run = run(conn);
        let received = receive_all(peer);
        let mut other = handle.clone();
        let other = thread::spawn(move || {
            block_on(async {
                // Either may come after the abort.
                let _ = other.feed("b".into()).await;
                let _ = SinkExt::close(&mut other).await;
            });
        });
        let mut flusher = handle;
        block_on(async {
            flusher.feed("a0".into()).await.unwrap();
            flusher.feed("a1".into()).await.unwrap();
            flusher.flush().await.unwrap();
        });
        // Takes back nothing that is written.
        flusher.abort();
        assert_eq!(run.join().unwrap().code, CloseCode::ABNORMAL);
        assert_eq!(of("a", &received.join().unwrap()), ["a0", "a1"]);
        other.join().unwrap();
    });
}

#[test]
fn all_who_wait_learn_that_the_peer_closes() {
    check(1000, || {
        let (mut conn, mut peer) = pair(16, narrow());
        let waiting = Waiting::new(&conn.handle());
        let run = run(conn);
        // A fault only if the peer's own goodbye was.
        block_on(peer.close()).unwrap();
        waiting.join(&run.join().unwrap());
    });
}

#[test]
fn all_who_wait_learn_that_the_peer_is_gone() {
    check(1000, || {
        let (mut conn, peer) = pair(16, narrow());
        let waiting = Waiting::new(&conn.handle());
        let run = run(conn);
        drop(peer);
        waiting.join(&run.join().unwrap());
    });
}

#[test]
fn all_who_wait_learn_of_an_abort() {
    check(1000, || {
        let (mut conn, _peer_that_takes_nothing) = pair(16, narrow());
        let handle = conn.handle();
        let waiting = Waiting::new(&handle);
        let run = run(conn);
        handle.abort();
        waiting.join(&run.join().unwrap());
    });
}

#[test]
fn all_who_wait_learn_of_a_drop() {
    check(1000, || {
        let (mut conn, mut peer) = pair(16, narrow());
        let handle = conn.handle();
        let waiting = Waiting::new(&handle);
        let reader = thread::spawn(move || assert_eq!(block_on(conn.next()), Some("x".into())));
        block_on(peer.send("x".into())).unwrap();
        reader.join().unwrap();
        waiting.join(&block_on(handle.closed()));
    });
}

/// Although nobody polls the connection.
#[test]
fn who_waits_for_room_learns_at_once_that_there_will_be_none() {
    for stop in [|handle: &Handle| handle.close_with(1000, "").unwrap(), Handle::abort] {
        check(500, move || {
            let (mut conn, _peer) = pair(16, narrow());
            let handle = conn.handle();
            let [sender, mut sink] = [(); 2].map(|()| handle.clone());
            let waiting = [
                thread::spawn(move || block_on(async { while sender.send("x").await.is_ok() {} })),
                thread::spawn(move || {
                    block_on(async { while sink.feed("x".into()).await.is_ok() {} })
                }),
            ];
            stop(&handle);
            waiting.into_iter().for_each(|waiting| waiting.join().unwrap());
        });
    }
}

#[test]
fn an_abort_ends_a_closing_handshake() {
    check(1000, || {
        let (mut conn, _peer_that_does_not_answer) = pair(64, Config::default());
        let handle = conn.handle();
        let closing = thread::spawn(move || block_on(conn.close()));
        handle.abort();
        assert!(closing.join().unwrap().is_err());
    });
}

/// Threads that wait: for the end, for room, and for a flush.
struct Waiting {
    closed: thread::JoinHandle<Finish>,
    others: [thread::JoinHandle<()>; 2],
}

impl Waiting {
    fn new(handle: &Handle) -> Self {
        let [closed, sender, mut flusher] = [(); 3].map(|()| handle.clone());
        Self {
            closed: thread::spawn(move || block_on(closed.closed())),
            others: [
                thread::spawn(move || {
                    block_on(async { while sender.send("more than 16 bytes").await.is_ok() {} });
                }),
                thread::spawn(move || {
                    block_on(async {
                        while SinkExt::flush(&mut flusher).await.is_ok()
                            && flusher.feed("b".into()).await.is_ok()
                        {}
                    });
                }),
            ],
        }
    }

    fn join(self, finish: &Finish) {
        assert_eq!(self.closed.join().unwrap().code, finish.code);
        self.others.into_iter().for_each(|other| other.join().unwrap());
    }
}

/// Room for one message at a time.
fn narrow() -> Config {
    Config::default().outbox_size(1)
}

fn run(conn: Connection<End>) -> thread::JoinHandle<Finish> {
    thread::spawn(|| block_on(conn.run()))
}

fn receive_all(peer: Connection<End>) -> thread::JoinHandle<Vec<Message>> {
    thread::spawn(|| block_on(peer.collect()))
}

/// What one of the senders sent, in the order of arrival.
fn of<'a>(sender: &str, received: &'a [Message]) -> Vec<&'a str> {
    received.iter().filter_map(Message::as_text).filter(|text| text.starts_with(sender)).collect()
}
