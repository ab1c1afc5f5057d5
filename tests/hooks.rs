//! Hooks: which ones see what, in what order, and what happens when one fails.

mod hooked;

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::{FutureExt, SinkExt, Stream, StreamExt, executor::block_on, stream::FusedStream};
use futures_test::{assert_stream_next, assert_stream_pending};
use hooked::{Log, close_by_peer, drive, next, run_both, send, text};
use wsweave::{
    CloseCode, Config, Connection, ConnectionExt, ErrorKind, Initiator, Message, Peer, Pipe, Role,
};

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
fn an_err_fails_the_connection_with_1011_behind_the_message_at_hand() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let mut us = us
        .on_each(|_, message| message.as_text().map(drop).ok_or("text only"))
        .on_each(|_, message| log.add(text(message)))
        .on_error(|error| log.add(error));
    send(&mut peer, "fine");
    send(&mut peer, b"\0");
    send(&mut peer, "never seen");
    assert_stream_next!(us, "fine".into());
    assert_stream_next!(us, Message::from(b"\0"));

    let (ours, theirs) = run_both(us, peer);
    assert_eq!(log.take(), ["fine", "binary", "a hook failed: text only"]);
    assert_eq!((ours.initiator, ours.code, ours.clean), (Initiator::Us, CloseCode(1011), false));
    let error = ours.error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Hook);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "text only");
    assert_eq!(theirs.code, CloseCode::INTERNAL_ERROR);
}

#[test]
fn an_err_fails_the_connection_from_every_kind_of_hook() {
    type Hooked = Box<dyn FnOnce(Connection<Pipe>) -> wsweave::Finish>;
    let hooks: [Hooked; 6] = [
        Box::new(|us| block_on(us.on_each(|_, _| Err("no")).run())),
        Box::new(|us| block_on(us.on_next(|_, _| Err("no")).run())),
        Box::new(|us| block_on(us.on_each_text(|_| Err("no")).run())),
        Box::new(|us| block_on(us.on_next_text(|_| Err("no")).run())),
        Box::new(|us| block_on(us.on_ping(|_, _| Err("no")).run())),
        Box::new(|us| block_on(us.on_pong(|_, _| Err("no")).run())),
    ];
    for run in hooks {
        let (mut us, mut peer) = Connection::pair();
        us.ping("for a pong").unwrap();
        us.flush().now_or_never().unwrap().unwrap();
        drive(&mut peer);
        peer.ping("for a ping").unwrap();
        send(&mut peer, "for a message");
        assert_eq!(run(us).error.unwrap().to_string(), "a hook failed: no");
    }
}

#[test]
fn a_refused_close_code_counts_as_the_hooks_err() {
    let (us, mut peer) = Connection::pair();
    send(&mut peer, "1");
    let us = us.on_each(|peer, _| peer.close_with(CloseCode::NO_STATUS, ""));
    let (ours, theirs) = run_both(us, peer);
    assert_eq!(ours.code, CloseCode::INTERNAL_ERROR);
    assert!(ours.error.is_some());
    assert_eq!(theirs.code, CloseCode::INTERNAL_ERROR);
}

#[test]
fn a_panic_unwinds_to_the_poller_and_the_drop_closes_with_1011() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let mut us = us
        .on_each(|_, _| -> () { panic!("hook") })
        .on_finish(|finish| log.add(format!("{} {}", finish.code, finish.clean)));
    send(&mut peer, "1");
    catch_unwind(AssertUnwindSafe(|| next(&mut us))).unwrap_err();
    drop(us);
    assert_eq!(log.take(), ["1011 false"]);
    assert_eq!(block_on(peer.run()).code, CloseCode::INTERNAL_ERROR);
}

#[test]
fn after_a_close_in_a_hook_the_remaining_hooks_and_messages_still_run() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let us = us
        .on_next(|peer, _| {
            assert!(peer.is_open());
            peer.close_with(4000, "enough");
            assert!(!peer.is_open());
            peer.send("dropped");
        })
        .on_each(|_, message| log.add(text(message)));
    send(&mut peer, "1");
    send(&mut peer, "2");
    let (ours, theirs) = run_both(us, peer.on_each(|_, _| -> () { unreachable!() }));
    assert_eq!(log.take(), ["1", "2"]);
    assert!(ours.clean && theirs.clean);
    assert_eq!((theirs.code, &*theirs.reason), (CloseCode(4000), "enough"));
}

#[test]
fn closing_twice_in_hooks_is_closing_once() {
    let (us, mut peer) = Connection::pair();
    let us = us
        .on_each(|peer, _| peer.close_with(4000, "first"))
        .on_each(|peer, _| peer.close_with(4001, "second"));
    send(&mut peer, "1");
    let (ours, theirs) = run_both(us, peer);
    assert_eq!((ours.code, theirs.code), (CloseCode(4000), CloseCode(4000)));
}

#[test]
fn after_an_abort_in_a_hook_the_remaining_hooks_still_run() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let us = us
        .on_each(|peer, _| peer.abort())
        .on_each(|_, message| log.add(text(message)))
        .on_finish(|finish| log.add(finish.clean));
    send(&mut peer, "1");
    block_on(us.run());
    assert_eq!(log.take(), ["1", "false"]);
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
fn every_error_hook_runs_before_any_finish_hook() {
    let unmasked = b"\x81\x00".as_slice();
    let log = Log::default();
    let io = futures::io::Cursor::new(Vec::new());
    let us = Connection::from_partially_read(io, unmasked, Role::Server, Config::default())
        .on_finish(|finish| log.add(format!("inner finish {}", finish.code)))
        .on_error(|error| log.add(format!("inner error {:?}", error.kind())))
        .on_finish(|_| log.add("outer finish"))
        .on_error(|_| log.add("outer error"));
    block_on(us.run());
    let expected = ["inner error Protocol", "outer error", "inner finish 1002", "outer finish"];
    assert_eq!(log.take(), expected);
}

#[test]
fn an_error_hook_is_not_called_for_a_clean_end_nor_for_a_drop() {
    let (us, peer) = Connection::pair();
    let finish = close_by_peer(us.on_error(|error| unreachable!("{error}")), peer);
    assert!(finish.clean);
    let (us, _peer) = Connection::pair();
    drop(us.on_error(|error| unreachable!("{error}")));
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

#[test]
fn the_connection_works_through_any_number_of_layers() {
    let (us, mut peer) = Connection::pair();
    let (us, _callbacks) = us
        .on_each(|_, _| ())
        .on_each_text(|_| ())
        .on_each_async(|_, _| async {})
        .on_next(|_, _| ())
        .on_next_text(|_| ())
        .on_ping(|_, _| ())
        .on_pong(|_, _| ())
        .on_error(|_| ())
        .on_finish(|_| ())
        .callbacks();
    let mut us = us.on_each(|_, _| ());

    send(&mut us, "sink");
    assert_stream_next!(peer, "sink".into());
    send(&mut peer, "stream");
    assert_stream_next!(us, "stream".into());
    us.ping("ping").unwrap();
    assert_eq!(us.ping(vec![0; 126]).unwrap_err().kind(), ErrorKind::InvalidInput);
    us.handle().try_send("handle").unwrap();
    drive(&mut us);
    assert_stream_next!(peer, "handle".into());
    let _: &Pipe = us.get_ref();
    assert!(us.finish().is_none() && !us.is_terminated());
    assert_eq!(us.size_hint(), (0, None));

    let refused = us.close_with(CloseCode::ABNORMAL, "").now_or_never().unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let (closed, theirs) =
        block_on(async { futures::join!(us.close_with(4000, "bye"), peer.run()) });
    closed.unwrap();
    assert_eq!(theirs.to_string(), "closed by the peer with code 4000 (\"bye\")");
    assert_eq!(us.next().now_or_never(), Some(None));
    assert!(us.is_terminated());
    assert_eq!(us.finish().unwrap().code, CloseCode(4000));
    let _: Pipe = us.into_inner();
}

#[test]
fn dropping_close_with_half_way_loses_nothing() {
    let (us, mut peer) = Connection::pair();
    let mut us = us.on_each(|_, _| ());
    drop(us.close_with(4000, "never polled"));
    send(&mut us, "still open");
    assert_stream_next!(peer, "still open".into());

    assert!(us.close_with(4001, "on its way").now_or_never().is_none());
    let (closed, theirs) = block_on(async { futures::join!(us.close_with(4002, ""), peer.run()) });
    closed.unwrap();
    assert_eq!((theirs.code, &*theirs.reason), (CloseCode(4001), "on its way"));
}

#[test]
fn aborting_through_layers_ends_without_a_word() {
    let (us, peer) = Connection::pair();
    let mut us = us.on_each(|_, _| ());
    us.abort();
    assert!(!block_on(us.run()).clean);
    let theirs = block_on(peer.run());
    assert_eq!((theirs.initiator, theirs.code), (Initiator::Network, CloseCode::ABNORMAL));
}

#[test]
fn debug_shows_the_layers_and_needs_nothing_of_the_hooks() {
    let (us, _peer) = Connection::pair();
    let us = us.on_each(|_, _| ()).on_finish(|_| ());
    let shown = format!("{us:?}");
    assert!(shown.starts_with("OnFinish { inner: OnEach { inner: Connection"), "{shown}");
}
