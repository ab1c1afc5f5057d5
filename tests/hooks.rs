//! Hooks: which ones see what, and in what order.

mod hooked;

use std::{cell::RefCell, rc::Rc};

use futures::{FutureExt, SinkExt, StreamExt, executor::block_on};
use futures_test::{assert_stream_next, assert_stream_pending};
use wsweave::{Config, Connection, ConnectionExt, Message, Peer, Role};

use crate::hooked::{Log, close_by_peer, drive, next, pass, send, text};

#[test]
fn on_each_sees_every_message_and_no_control_frame() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let mut us = us.on_each(|_, message| log.add(format!("{message:?}")));

    send(&mut peer, "");
    peer.ping("ping").unwrap();
    send(&mut peer, b"");
    send(&mut peer, "0");
    for expected in [Message::from(""), b"".into(), "0".into()] {
        assert_stream_next!(us, expected);
    }
    assert_stream_pending!(us);
    drive(&mut peer);
    close_by_peer(us, peer);
    assert_eq!(log.take(), ["Text(\"\")", "Binary(b\"\")", "Text(\"0\")"]);
}

#[test]
fn a_hook_is_not_called_while_there_is_no_message() {
    let (us, _peer) = Connection::pair();
    let mut us =
        us.on_each(|_, _| -> () { unreachable!() }).on_next(|_, _| -> () { unreachable!() });
    assert_stream_pending!(us);
    assert_stream_pending!(us);
}

#[test]
fn on_next_sees_one_message() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let mut us = us.on_next(|_, message| log.add(text(message)));
    for message in ["1", "2"] {
        send(&mut peer, message);
        next(&mut us);
    }
    assert_eq!(log.take(), ["1"]);
}

#[test]
fn text_hooks_see_texts_only() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let mut us = us
        .on_each_text(|text| log.add(format!("each {text}")))
        .on_next_text(|text| log.add(format!("next {text}")));
    send(&mut peer, b"\0");
    send(&mut peer, "1");
    send(&mut peer, "2");
    for _ in 0..3 {
        next(&mut us);
    }
    assert_eq!(log.take(), ["each 1", "next 1", "each 2"]);
}

#[test]
fn the_hook_nearest_to_the_connection_runs_first_and_all_run_before_the_consumer() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let mut us = us
        .on_each(|_, _| log.add("each"))
        .on_next(|_, _| log.add("next"))
        .on_each(|_, _| log.add("outer each"));
    send(&mut peer, "1");
    next(&mut us);
    log.add("consumer");
    send(&mut peer, "2");
    next(&mut us);
    assert_eq!(log.take(), ["each", "next", "outer each", "consumer", "each", "outer each"]);
}

#[test]
fn what_hooks_send_is_queued_in_order_before_the_message_is_delivered() {
    let (us, mut peer) = Connection::pair();
    let mut us = us
        .on_each(|peer, _| {
            peer.send("first");
            peer.send("second");
        })
        .on_each(|peer, _| peer.send("third"));
    send(&mut peer, "go");
    next(&mut us);
    send(&mut us, "fourth");
    for expected in ["first", "second", "third", "fourth"] {
        assert_stream_next!(peer, expected.into());
    }
}

#[test]
fn what_arrives_before_the_hooks_are_on_waits_for_them() {
    let hello = b"\x81\x05hello".as_slice();
    let log = Log::default();
    let io = futures::io::Cursor::new(Vec::new());
    let us = Connection::from_partially_read(io, hello, Role::Client, Config::default())
        .on_next(|_, message| log.add(text(message)));
    block_on(us.run());
    assert_eq!(log.take(), ["hello"]);
}

#[test]
fn a_message_without_hooks_reaches_the_stream() {
    let (us, mut peer) = Connection::pair();
    let mut us = us.on_next(|_, _| ());
    send(&mut peer, "1");
    send(&mut peer, "2");
    assert_stream_next!(us, "1".into());
    assert_stream_next!(us, "2".into());
}

#[test]
fn unhook_takes_off_the_hook_that_calls_it() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let dropped = DropLog(log.clone());
    let mut us = us
        .on_each(|_, _| log.add("stays"))
        .on_each(move |peer, message| {
            dropped.0.add(text(message));
            if message.as_text() == Some("2") {
                peer.unhook();
            }
        })
        .on_each(|_, _| log.add("stays too"));
    for message in ["1", "2", "3"] {
        send(&mut peer, message);
        next(&mut us);
    }
    let both = ["stays", "stays too"];
    let expected = ["stays", "1", both[1], both[0], "2", "dropped", both[1], both[0], both[1]];
    assert_eq!(log.take(), expected);
}

struct DropLog(Log);

impl Drop for DropLog {
    fn drop(&mut self) {
        self.0.add("dropped");
    }
}

#[test]
fn ping_and_pong_hooks_watch_and_may_send() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let mut us = us
        .on_ping(|peer, payload| {
            log.add(format!("ping {payload:?}"));
            peer.send("pinged");
        })
        .on_pong(|_, payload| log.add(format!("pong {payload:?}")));
    us.ping("ours").unwrap();
    us.flush().now_or_never().unwrap().unwrap();
    peer.ping("theirs").unwrap();
    drive(&mut peer);
    drive(&mut us);
    assert_stream_next!(peer, "pinged".into());
    let mut logged = log.take();
    logged.sort();
    assert_eq!(logged, ["ping b\"theirs\"", "pong b\"ours\""]);
}

#[test]
fn ping_and_pong_hooks_can_take_themselves_off() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let mut us = us
        .on_ping(|peer, _| {
            log.add("ping");
            peer.unhook();
        })
        .on_pong(|peer, _| {
            log.add("pong");
            peer.unhook();
        });
    for _ in 0..2 {
        us.ping("").unwrap();
        us.flush().now_or_never().unwrap().unwrap();
        peer.ping("").unwrap();
        drive(&mut peer);
        drive(&mut us);
    }
    let mut logged = log.take();
    logged.sort();
    assert_eq!(logged, ["ping", "pong"]);
}

#[test]
fn a_ping_is_answered_before_its_hook_sends() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let mut us = us.on_ping(|peer, _| peer.send("hook"));
    let mut peer = {
        peer.ping("x").unwrap();
        peer.flush().now_or_never().unwrap().unwrap();
        peer.on_pong(|_, _| log.add("pong")).on_each(|_, message| log.add(text(message)))
    };
    drive(&mut us);
    next(&mut peer);
    assert_eq!(log.take(), ["pong", "hook"]);
}

#[test]
fn closures_and_named_functions_stack_without_annotations() {
    fn greet(peer: &mut Peer<'_>, message: &Message) {
        peer.send(format!("hello, {}", text(message)));
    }
    fn number(_: &mut Peer<'_>, message: &Message) -> Result<(), std::num::ParseIntError> {
        text(message).parse::<u8>().map(drop)
    }

    let (us, mut peer) = Connection::pair();
    let mut total = 0;
    let mut us = us
        .on_next(greet)
        .on_each(number)
        .on_each(|_, message| -> Result<(), std::num::ParseIntError> {
            total += text(message).parse::<u32>()?;
            Ok(())
        })
        .on_each(|peer, message| peer.send(message.clone()))
        .on_next(|_, message| -> () { assert_eq!(text(message), "7") });
    send(&mut peer, "7");
    next(&mut us);
    send(&mut peer, "8");
    next(&mut us);
    us.flush().now_or_never().unwrap().unwrap();
    for expected in ["hello, 7", "7", "8"] {
        assert_stream_next!(peer, expected.into());
    }
    drop(us);
    assert_eq!(total, 15);
}

#[test]
fn closures_may_borrow_and_need_not_be_send() {
    let (us, mut peer) = Connection::pair();
    let shared = Rc::new(RefCell::new(Vec::new()));
    let mut borrowed = 0;
    let mut us = us
        .on_each({
            let shared = Rc::clone(&shared);
            move |_, message| shared.borrow_mut().push(message.clone())
        })
        .on_next(|_, _| borrowed += 1)
        .on_finish(|_| shared.borrow_mut().clear());
    pass(&mut us, &mut peer);
    assert_eq!(*shared.borrow(), ["a message".into()]);
    drop(us);
    assert!(shared.borrow().is_empty());
    assert_eq!(borrowed, 1);
}

#[test]
fn hooks_run_in_a_pipe_of_split_halves() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let (sink, stream) = us
        .on_next(|peer, _| peer.send("hook"))
        .on_each(|_, message| log.add(text(message)))
        .on_finish(|finish| log.add(finish.code))
        .split();
    let echo = stream.map(Ok).forward(sink);
    let talk = async {
        peer.send("1".into()).await.unwrap();
        assert_eq!(peer.next().await, Some("hook".into()));
        assert_eq!(peer.next().await, Some("1".into()));
        peer.close().await.unwrap();
    };
    let (echoed, ()) = block_on(futures::future::join(echo, talk));
    echoed.unwrap();
    assert_eq!(log.take(), ["1", "1000"]);
}
