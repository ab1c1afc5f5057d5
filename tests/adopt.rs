//! Connections over streams and sinks of tungstenite's messages.

mod support;

use std::{cell::RefCell, fmt::Debug, io, rc::Rc, task::Poll, time::Duration};

use async_tungstenite::{
    WebSocketStream,
    tungstenite::{self, protocol::WebSocketConfig},
};
use futures::{FutureExt, SinkExt, StreamExt, TryStreamExt, stream::FusedStream};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use wsweave::{
    CloseCode, CloseFrame, Config, Connection, ConnectionExt, ErrorKind, Initiator, Role,
    adopt::Adopted,
};

use crate::support::{BOTH, Frame, ManualClock, Rig, Script, Task, Wire, quiet, within};

type Inner = WebSocketStream<Script>;
type Adoption = Rig<Connection<Adopted<Inner>>>;

fn adopted(role: Role) -> Adoption {
    adopted_with(role, Config::default(), None)
}

/// A connection over tungstenite in `role`, over a wire.
fn adopted_with(role: Role, config: Config, inner: Option<WebSocketConfig>) -> Adoption {
    let (script, wire) = Wire::new();
    let ws = WebSocketStream::from_raw_socket(script, inner_role(role), inner);
    let ws = ws.now_or_never().expect("it does not wait");
    let clock = ManualClock::new();
    let conn = wsweave::adopt(ws, config.timer(clock.clone()));
    Rig { conn, wire, clock, task: Task::new(), role }
}

fn inner_role(role: Role) -> tungstenite::protocol::Role {
    match role {
        Role::Client => tungstenite::protocol::Role::Client,
        Role::Server => tungstenite::protocol::Role::Server,
    }
}

assert_impl_all!(Adopted<Inner>: Send, Unpin, Debug);
assert_not_impl_any!(Adopted<Rc<()>>: Send, Sync);

#[test]
fn messages_of_every_kind_and_length_pass_both_ways() {
    for role in BOTH {
        let mut rig = adopted(role);
        for length in [0, 1, 125, 126, 4096, 4097, 65_535, 65_536, 300_000] {
            for frame in [Frame::text("é".repeat(length / 2)), Frame::binary(vec![7; length])] {
                rig.receive([frame.clone()]);
                let message = rig.message().unwrap();
                assert_eq!(message.is_text(), frame.opcode == 1);
                assert_eq!(message.as_bytes(), frame.payload);
                rig.feed(message);
                rig.settle();
                assert_eq!(rig.sent(), [frame]);
            }
        }
    }
}

#[test]
fn what_hooks_send_goes_out() {
    for role in BOTH {
        let mut rig = adopted(role).weave(|conn| {
            conn.on_next(|peer, _| peer.send("hello"))
                .on_each(|peer, message| peer.send(message.clone()))
        });
        rig.receive([Frame::text("a"), Frame::binary("b")]);
        assert_eq!(rig.settle(), ["a".into(), b"b".into()]);
        assert_eq!(rig.sent(), [Frame::text("hello"), Frame::text("a"), Frame::binary("b")]);
    }
}

#[test]
fn the_registry_of_callbacks_and_handles_work() {
    for role in BOTH {
        let mut rig = adopted(role);
        let handle = rig.conn.handle();
        let mut rig = rig.weave(|conn| {
            let (conn, callbacks) = conn.callbacks();
            callbacks.on_each(|peer, message| peer.send(message.clone()));
            conn
        });
        handle.try_send("from afar").unwrap();
        rig.receive([Frame::text("a")]);
        assert_eq!(rig.settle(), ["a".into()]);
        let mut sent = rig.sent();
        sent.sort_by(|a, b| a.payload.cmp(&b.payload));
        assert_eq!(sent, [Frame::text("a"), Frame::text("from afar")]);
    }
}

#[test]
fn fragments_are_put_together() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.receive([
            Frame::text("a").unfinished(),
            Frame::continuation("b").unfinished(),
            Frame::continuation("c"),
        ]);
        assert_eq!(rig.settle(), ["abc".into()]);
    }
}

#[test]
fn messages_go_out_whole_whatever_the_fragment_size() {
    for role in BOTH {
        let mut rig = adopted_with(role, Config::default().fragment_size(Some(2)), None);
        rig.feed("abcdef");
        rig.settle();
        assert_eq!(rig.sent(), [Frame::text("abcdef")]);
    }
}

#[test]
fn a_ping_is_answered_once() {
    for role in BOTH {
        let pings = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&pings);
        let mut rig = adopted(role)
            .weave(|conn| conn.on_ping(move |_, payload| seen.borrow_mut().push(payload.clone())));
        for payload in ["", "x", &"y".repeat(125)] {
            rig.receive([Frame::ping(payload)]);
            rig.settle();
            assert_eq!(rig.sent(), [Frame::pong(payload)]);
        }
        assert_eq!(pings.borrow().len(), 3);
    }
}

#[test]
fn keepalive_pings_measures_and_gives_up() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.settle();
        rig.clock.advance_secs(20);
        rig.settle();
        let [ping] = rig.sent().try_into().unwrap();
        rig.clock.advance_secs(1);
        rig.receive([Frame::pong(&ping.payload)]);
        rig.settle();
        assert_eq!(rig.conn.latency(), Some(Duration::from_secs(1)));

        rig.clock.advance_secs(20);
        rig.settle();
        rig.clock.advance_secs(20);
        rig.settle();
        assert_eq!(rig.finish().error.unwrap().to_string(), "no answer to keepalive");
    }
}

#[test]
fn our_close_goes_out_with_its_code_and_reason_and_the_answer_ends_it() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.peer().close_with(4001, "bye");
        rig.settle();
        assert_eq!(rig.sent(), [Frame::close(4001, "bye")]);
        rig.receive([Frame::text("late"), Frame::close(4001, "")]);
        assert_eq!(rig.settle(), ["late".into()]);
        if role == Role::Client {
            assert!(!rig.has_ended(), "a client waits for the end of TCP");
            rig.wire.end();
            rig.settle();
        }
        let finish = rig.finish();
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode(4001)));
        assert!(finish.clean, "{finish}");
        assert_eq!(rig.sent(), []);
    }
}

#[test]
fn the_peers_close_is_answered_once_and_its_code_and_reason_are_known() {
    for role in BOTH {
        for (close, code) in [
            (Frame::close(4002, "enough"), CloseCode(4002)),
            (Frame::empty_close(), CloseCode::NO_STATUS),
        ] {
            let mut rig = adopted(role);
            rig.receive([close.clone()]);
            rig.wire.end();
            assert_eq!(rig.settle(), []);
            assert_eq!(rig.sent(), std::slice::from_ref(&close));
            let finish = rig.finish();
            assert_eq!((finish.initiator, finish.code), (Initiator::Peer, code));
            assert_eq!(finish.reason.as_bytes(), close.payload.get(2..).unwrap_or_default());
            assert!(finish.clean && rig.conn.is_terminated(), "{finish}");
        }
    }
}

#[test]
fn after_close_nothing_is_accepted() {
    for role in BOTH {
        let mut rig = adopted(role);
        assert!(rig.close().is_pending());
        let sent = rig.conn.start_send_unpin("late".into());
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(rig.sent(), [Frame::close(1000, "")]);
    }
}

#[test]
fn close_gives_up_at_its_timeout() {
    for role in BOTH {
        let mut rig = adopted(role);
        assert!(rig.close().is_pending());
        rig.clock.advance_secs(10);
        assert!(
            matches!(rig.close(), Poll::Ready(Err(error)) if error.kind() == ErrorKind::Timeout)
        );
    }
}

#[test]
fn hooks_answer_what_came_right_before_a_close() {
    for role in BOTH {
        let mut rig =
            adopted(role).weave(|conn| conn.on_each(|peer, message| peer.send(message.clone())));
        let echoes = ["a", "b", "c"].map(Frame::text).to_vec();
        let all = [echoes, vec![Frame::close(1000, "")]].concat();
        rig.receive(all.clone());
        rig.wire.end();
        rig.settle();
        assert_eq!(rig.sent(), all);
        assert!(rig.finish().clean);
    }
}

#[test]
fn a_pipe_answers_what_came_right_before_a_close() {
    for role in BOTH {
        let Rig { conn, wire, task, .. } = adopted(role);
        let (sink, stream) = conn.results().split();
        let mut echo = stream.forward(sink);
        let all = [Frame::text("a"), Frame::text("b"), Frame::close(1000, "")];
        wire.give(all.clone().map(|frame| frame.to(role)).concat());
        wire.end();
        let echoed = task.until_stalled(|cx| echo.poll_unpin(cx));
        assert!(matches!(echoed, Poll::Ready(Ok(()))), "{echoed:?}");
        assert_eq!(wire.sent_by(role), all);
    }
}

#[test]
fn what_is_queued_for_a_peer_that_does_not_read_is_dropped_at_its_close() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.wire.block_writes();
        for _ in 0..4 {
            rig.feed(vec![7; 100_000]);
        }
        rig.receive([Frame::close(1000, "")]);
        rig.settle();
        rig.wire.unblock_writes();
        rig.wire.end();
        rig.settle();
        assert_eq!(rig.sent().last(), Some(&Frame::close(1000, "")));
        assert!(rig.finish().clean);
    }
}

#[test]
fn an_end_without_a_close_is_unclean() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.receive([Frame::text("last")]);
        rig.wire.end();
        assert_eq!(rig.settle(), ["last".into()]);
        let finish = rig.finish();
        assert_eq!((finish.initiator, finish.code), (Initiator::Network, CloseCode::ABNORMAL));
        let error = finish.error.unwrap();
        assert_eq!(error.to_string(), "the peer ended the connection without a Close");
        assert!(error.is_retryable());
    }
}

#[test]
fn a_broken_rule_ends_it_with_the_error_of_tungstenite() {
    for role in BOTH {
        for (frame, kind) in [
            (Frame::text("x").with_rsv(1), ErrorKind::Protocol),
            (Frame::text([0xff]), ErrorKind::InvalidUtf8),
            (Frame::binary(vec![0; (16 << 20) + 1]), ErrorKind::LimitExceeded),
        ] {
            let rig = adopted(role);
            rig.receive([Frame::text("good"), frame]);
            let Rig { conn, task, .. } = rig;
            let mut conn = conn.results();
            let mut next = || task.until_stalled(|cx| conn.poll_next_unpin(cx));
            assert!(matches!(next(), Poll::Ready(Some(Ok(_)))));
            let Poll::Ready(Some(Err(error))) = next() else { panic!("no error") };
            assert_eq!(error.kind(), kind, "{error}");
            let source = std::error::Error::source(&error).unwrap();
            assert!(source.is::<tungstenite::Error>(), "{source:?}");
            assert!(matches!(next(), Poll::Ready(None)));
        }
    }
}

#[test]
fn a_failing_transport_ends_it_with_its_own_error() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.wire.reset();
        rig.settle();
        let error = rig.finish().error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Io);
        let source = std::error::Error::source(&error).unwrap();
        let source = source.downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn failed_writes_leave_what_the_peer_sent_before() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.wire.break_writes();
        rig.receive([Frame::text("a"), Frame::text("b"), Frame::close(1001, "")]);
        rig.feed("lost");
        assert_eq!(rig.settle(), ["a".into(), "b".into()]);
        assert_eq!(rig.finish().received.map(|close| close.code), Some(CloseCode::GOING_AWAY));
    }
}

#[test]
fn a_failing_hook_says_1011() {
    for role in BOTH {
        let mut rig = adopted(role).weave(|conn| conn.on_each(|_, _| Err("no")));
        rig.receive([Frame::text("x")]);
        rig.settle();
        assert_eq!(rig.sent_codes(), [Some(1011)]);
        assert_eq!(rig.finish().error.unwrap().kind(), ErrorKind::Hook);
    }
}

#[test]
fn our_limit_on_messages_holds() {
    for role in BOTH {
        let config = Config::default().max_message_size(5).max_frame_size(2);
        let mut rig = adopted_with(role, config, None);
        rig.receive([Frame::text("fits!"), Frame::text("too big")]);
        assert_eq!(rig.settle(), ["fits!".into()]);
        assert_eq!(rig.sent_codes(), [Some(1009)]);
        let error = rig.finish().error.unwrap();
        assert_eq!(error.to_string(), "a message of 7 bytes is over the limit of 5");
    }
}

#[test]
fn a_drop_writes_what_was_queued_and_close_1001() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.feed("last");
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert_eq!(wire.sent_by(role), [Frame::text("last"), Frame::close(1001, "")]);
        assert!(wire.is_dropped());
    }
}

#[test]
#[cfg(feature = "runtime")]
fn lingering_finishes_what_was_queued_and_waits_for_the_peer() {
    for role in BOTH {
        let mut rig = adopted(role).weave(|conn| within(async { conn.linger_on_drop() }));
        rig.wire.block_writes();
        rig.feed(vec![7; 300_000]);
        rig.feed("last");
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert!(!wire.is_dropped());
        wire.unblock_writes();
        wire.wait_until("the Close is out", |state| {
            let (frames, _) = support::parse(&state.written);
            frames.last().is_some_and(|frame| frame.close_code() == Some(1001))
        });
        assert!(!wire.is_dropped());
        wire.give([Frame::text("ignored").to(role), Frame::close(1001, "").to(role)].concat());
        wire.end();
        wire.wait_until("the stream is let go", |state| state.dropped);
        let order = [Frame::binary(vec![7; 300_000]), Frame::text("last"), Frame::close(1001, "")];
        assert_eq!(wire.sent_by(role), order);
    }
}

#[test]
fn an_abort_says_nothing() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.settle();
        rig.peer().abort();
        rig.settle();
        assert!(rig.has_ended());
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert_eq!(wire.sent_by(role), []);
    }
}

#[test]
fn a_sink_that_takes_nothing_makes_ours_wait() {
    for role in BOTH {
        let mut rig = adopted_with(role, Config::default().outbox_size(200_000), None);
        rig.wire.block_writes();
        let mut fed = 0;
        while rig.task.ready(&mut rig.conn).is_ready() {
            rig.conn.start_send_unpin(vec![7; 50_000].into()).unwrap();
            fed += 1;
            assert!(fed < 20, "without bounds");
        }
        // tungstenite buffers 128 KiB, and what was one write is on the way to it.
        assert!(fed >= 4, "{fed}");
        let wakes = rig.task.wakes();
        rig.wire.unblock_writes();
        assert!(rig.task.wakes() > wakes);
        rig.settle();
        assert_eq!(rig.sent(), vec![Frame::binary(vec![7; 50_000]); fed]);
    }
}

#[test]
fn a_bounded_buffer_of_tungstenite_loses_nothing() {
    for role in BOTH {
        let inner = WebSocketConfig::default().write_buffer_size(1000).max_write_buffer_size(5000);
        let mut rig = adopted_with(role, Config::default(), Some(inner));
        rig.wire.block_writes();
        for _ in 0..10 {
            rig.feed(vec![7; 2000]);
        }
        rig.peer().close_with(1000, "");
        rig.settle();
        for _ in 0..10 {
            rig.wire.allow(2500);
            rig.settle();
        }
        let mut sent = rig.sent();
        assert_eq!(sent.pop(), Some(Frame::close(1000, "")));
        assert_eq!(sent, vec![Frame::binary(vec![7; 2000]); 10]);
    }
}

#[test]
fn a_message_that_never_fits_tungstenite_is_an_error() {
    for role in BOTH {
        let inner = WebSocketConfig::default().write_buffer_size(1000).max_write_buffer_size(5000);
        let mut rig = adopted_with(role, Config::default(), Some(inner));
        rig.feed(vec![7; 6000]);
        rig.settle();
        let error = rig.finish().error.unwrap();
        assert_eq!(error.to_string(), "the adopted WebSocket failed: Write buffer is full");
    }
}

#[test]
fn reading_goes_on_while_writing_is_blocked() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.wire.block_writes();
        rig.feed(vec![7; 300_000]);
        rig.receive([Frame::text("a"), Frame::text("b")]);
        assert_eq!(rig.settle(), ["a".into(), "b".into()]);
    }
}

#[test]
fn an_idle_one_is_left_alone() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.receive([Frame::text("a"), Frame::ping("b")]);
        rig.feed("c");
        rig.settle();
        let wakes = rig.task.wakes();
        assert!(rig.next().is_pending());
        assert_eq!(rig.task.wakes(), wakes);
    }
}

#[test]
fn two_tasks_are_each_woken_for_their_half() {
    for role in BOTH {
        let Rig { conn, wire, .. } = adopted_with(role, quiet().outbox_size(1), None);
        let (mut sink, mut stream) = conn.split();
        let [reads, sends] = [Task::new(), Task::new()];
        let next =
            |stream: &mut _| reads.until_stalled(|cx| StreamExt::poll_next_unpin(stream, cx));
        wire.block_writes();
        assert!(next(&mut stream).is_pending());
        let mut send = sink.send(vec![7; 300_000].into());
        assert!(sends.until_stalled(|cx| send.poll_unpin(cx)).is_pending());

        let wakes = reads.wakes();
        wire.give(Frame::text("a").to(role));
        assert!(reads.wakes() > wakes);
        assert_eq!(next(&mut stream), Poll::Ready(Some("a".into())));
        assert!(next(&mut stream).is_pending());

        let wakes = sends.wakes();
        wire.unblock_writes();
        assert!(sends.wakes() > wakes);
        assert!(sends.until_stalled(|cx| send.poll_unpin(cx)).is_ready());
        assert_eq!(wire.sent_by(role), [Frame::binary(vec![7; 300_000])]);
    }
}

#[test]
fn what_was_adopted_is_had_back() {
    for role in BOTH {
        let rig = adopted(role);
        assert!(!rig.conn.get_ref().get_ref().is_terminated());
        let mut ws = rig.conn.into_inner().into_inner();
        ws.send("mine".into()).now_or_never().unwrap().unwrap();
        assert_eq!(rig.wire.sent_by(role), [Frame::text("mine")]);
    }
}

#[test]
fn adapters_of_futures_stay_beneath() {
    for role in BOTH {
        let (script, wire) = Wire::new();
        let ws = WebSocketStream::from_raw_socket(script, inner_role(role), None);
        let mut seen = 0;
        let ws = ws.now_or_never().unwrap().inspect_ok(|_| seen += 1);
        let mut conn = wsweave::adopt(ws, quiet());
        wire.give(Frame::text("a").to(role));
        assert_eq!(conn.next().now_or_never(), Some(Some("a".into())));
        conn.send("b".into()).now_or_never().unwrap().unwrap();
        assert_eq!(wire.sent_by(role), [Frame::text("b")]);
        drop(conn);
        assert_eq!(seen, 1);
    }
}

#[test]
fn what_closes_in_both_frames_is_told() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.peer().close_with(1000, "");
        rig.settle();
        rig.receive([Frame::close(3000, "as you wish")]);
        rig.wire.end();
        rig.settle();
        let CloseFrame { code, reason } = rig.finish().received.unwrap();
        assert_eq!((code, reason.as_str()), (CloseCode(3000), "as you wish"));
    }
}
