//! Hooks that fail, panic, close or abort; and the hooks on errors.

mod hooked;

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::{FutureExt, SinkExt, StreamExt, executor::block_on};
use futures_test::assert_stream_next;
use wsweave::{
    CloseCode, Config, Connection, ConnectionExt, ErrorKind, Finish, Initiator, Message, Pipe, Role,
};

use crate::hooked::{Log, close_by_peer, drive, next, run_both, send, text};

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
    type Hooked = Box<dyn FnOnce(Connection<Pipe>) -> Finish>;
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
fn an_error_hook_runs_for_every_rule_that_the_peer_breaks_and_the_close_goes_out() {
    let small = || Config::default().max_message_size(1);
    for (frame, code, kind) in [
        (b"\x83\x80\0\0\0\0".as_slice(), 1002_u16, ErrorKind::Protocol),
        (b"\x81\x81\0\0\0\0\xff", 1007, ErrorKind::InvalidUtf8),
        (b"\x82\x82\0\0\0\0..", 1009, ErrorKind::LimitExceeded),
    ] {
        let log = Log::default();
        let io = futures::io::Cursor::new(Vec::new());
        let mut us = Connection::from_partially_read(io, frame, Role::Server, small())
            .on_error(|error| log.add(format!("{:?}", error.kind())))
            .on_finish(|finish| log.add(finish.code));
        assert_eq!(block_on(us.next()), None);
        assert_eq!(log.take(), [format!("{kind:?}"), code.to_string()]);

        let written = us.into_inner().into_inner();
        assert_eq!((written[0], &written[2..4]), (0x88, code.to_be_bytes().as_slice()));
    }
}
