//! The two halves of a connection on two threads, and a handle on a third.

mod support;

use futures::{SinkExt, StreamExt};
use shuttle::{future::block_on, sync::mpsc, thread};
use wsweave::{Config, ConnectionExt};

use self::support::{check, pair};

#[test]
fn both_halves_and_a_handle_get_on() {
    check(1000, || {
        let (mut conn, mut peer) = pair(8, Config::default().outbox_size(1));
        let handle = conn.handle();
        let (mut sink, mut stream) = conn.split();
        let echo = thread::spawn(move || {
            block_on(async {
                while let Some(message) = peer.next().await {
                    peer.send(message).await.unwrap();
                }
            });
        });
        let reader = thread::spawn(move || {
            block_on(async {
                let mut received = Vec::new();
                for _ in 0..3 {
                    received.push(stream.next().await.unwrap());
                }
                (stream, received)
            })
        });
        let writer = thread::spawn(move || {
            block_on(async {
                sink.send("a0, longer than 8".into()).await.unwrap();
                sink.send("a1".into()).await.unwrap();
            });
            sink
        });
        block_on(handle.send("b, longer than 8, too")).unwrap();
        let (stream, mut received) = reader.join().unwrap();
        let mut conn = stream.reunite(writer.join().unwrap()).unwrap();
        let from_handle = received.iter().position(|message| message.len() > 17).unwrap();
        received.remove(from_handle);
        assert_eq!(received, ["a0, longer than 8".into(), "a1".into()]);
        block_on(conn.close()).unwrap();
        echo.join().unwrap();
    });
}

/// The handle is made while the sink half waits, and nobody polls the stream half any more.
#[test]
fn a_half_that_waits_heeds_a_handle_that_was_made_later() {
    check(1000, || {
        let (conn, mut peer) = pair(8, Config::default());
        let (sender, handles) = mpsc::channel();
        let conn = conn.on_next(move |peer, _| sender.send(peer.handle()).unwrap());
        let (mut sink, mut stream) = conn.split();
        let reader = thread::spawn(move || block_on(stream.next()));
        let writer = thread::spawn(move || {
            block_on(sink.send("more than a peer takes that does not read".into()))
        });
        let stopper = thread::spawn(move || handles.recv().unwrap().abort());
        block_on(peer.feed("x".into())).unwrap();
        let _ = block_on(peer.flush());
        assert!(writer.join().unwrap().is_err());
        stopper.join().unwrap();
        reader.join().unwrap();
    });
}
