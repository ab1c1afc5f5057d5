//! The two halves of a connection on two threads, and a handle on a third.

mod support;

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use futures::{SinkExt, StreamExt};
use shuttle::{future::block_on, thread};
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

/// A wake-up must not go to the half that has lost interest alone.
#[test]
fn a_half_gets_on_although_the_other_is_polled_no_more() {
    check(1000, || {
        let (conn, mut peer) = pair(8, Config::default());
        let (mut sink, mut stream) = conn.split();
        let reader = thread::spawn(move || {
            let once = |cx: &mut Context<'_>| Poll::Ready(stream.poll_next_unpin(cx));
            assert_eq!(block_on(poll_fn(once)), Poll::Pending);
            stream
        });
        let writer = thread::spawn(move || block_on(sink.send("longer than 8".into())));
        assert_eq!(block_on(peer.next()), Some("longer than 8".into()));
        writer.join().unwrap().unwrap();
        drop(reader.join().unwrap());
    });
}
