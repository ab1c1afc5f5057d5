//! Calls on other threads: each gets its answer or learns of the end, and none waits for room that is
//! there.

mod support;

use std::task::{Context, Poll};

use futures::{StreamExt, task::noop_waker};
use shuttle::{future::block_on, thread};
use wsweave::{CallError, Codec, Config, ConnectionExt, Message};

use self::support::{check, pair};

/// Messages of one byte, which is their id.
#[derive(Clone)]
struct Byte;

impl Codec for Byte {
    type In = u8;
    type Out = u8;
    type Error = ();

    fn encode(&mut self, byte: u8) -> Result<Message, ()> {
        Ok(vec![byte].into())
    }

    fn decode(&mut self, message: &Message) -> Result<u8, ()> {
        message.as_bytes().first().copied().ok_or(())
    }
}

#[test]
fn all_calls_are_answered_though_there_is_room_for_one() {
    check(1000, || {
        let (conn, peer) = pair(64, Config::default());
        let (conn, caller) = conn.codec(Byte).calls(|id| Some(*id), |id| Some(*id));
        let mut conn = conn.max_in_flight(1);
        let handle = conn.get_mut().handle();
        let polling = thread::spawn(move || {
            while block_on(conn.next()).is_some() {}
            conn.get_ref().finish().cloned().unwrap()
        });
        let echo = peer.on_each(|peer, message| peer.send(message.clone())).run();
        let echo = thread::spawn(move || block_on(echo));
        let calls = [1, 2].map(|id| {
            let caller = caller.clone();
            thread::spawn(move || assert_eq!(block_on(caller.call(id)).unwrap(), id))
        });
        // One that loses interest, whether it waits for room or for its answer.
        let lost = poll_once(&mut Box::pin(caller.call(3)));
        assert!(!matches!(lost, Poll::Ready(Err(_))));
        calls.into_iter().for_each(|call| call.join().unwrap());
        handle.close_with(1000, "").unwrap();
        assert!(polling.join().unwrap().clean);
        echo.join().unwrap();
    });
}

#[test]
fn calls_with_one_id_are_answered_or_refused() {
    check(1000, || {
        let (conn, peer) = pair(64, Config::default());
        let (conn, caller) = conn.codec(Byte).calls(|id| Some(*id), |id| Some(*id));
        let mut conn = conn.max_in_flight(1);
        let handle = conn.get_mut().handle();
        let polling = thread::spawn(move || while block_on(conn.next()).is_some() {});
        let echo = peer.on_each(|peer, message| peer.send(message.clone())).run();
        let echo = thread::spawn(move || block_on(echo));
        let calls = [1, 1, 2].map(|id| {
            let caller = caller.clone();
            thread::spawn(move || match block_on(caller.call(id)) {
                Ok(answer) => assert_eq!(answer, id),
                Err(error) => assert!(matches!(error, CallError::InFlight(1)), "{error:?}"),
            })
        });
        calls.into_iter().for_each(|call| call.join().unwrap());
        handle.close_with(1000, "").unwrap();
        polling.join().unwrap();
        echo.join().unwrap();
    });
}

#[test]
fn the_end_reaches_every_call() {
    check(1000, || {
        let (conn, _peer) = pair(64, Config::default());
        let (conn, caller) = conn.codec(Byte).calls(|id| Some(*id), |id| Some(*id));
        let mut conn = conn.max_in_flight(1);
        let handle = conn.get_mut().handle();
        let polling = thread::spawn(move || while block_on(conn.next()).is_some() {});
        let calls = [1, 2].map(|id| {
            let caller = caller.clone();
            thread::spawn(move || {
                let error = block_on(caller.call(id)).unwrap_err();
                assert!(matches!(error, CallError::Ended(_) | CallError::Closed), "{error:?}");
            })
        });
        handle.abort();
        calls.into_iter().for_each(|call| call.join().unwrap());
        polling.join().unwrap();
    });
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(&noop_waker()))
}
