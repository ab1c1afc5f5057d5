//! Closing handshakes, failures and drops.

use std::{error::Error, io, slice, task::Poll};

use async_tungstenite::tungstenite;
use futures::{FutureExt, SinkExt, StreamExt, stream::FusedStream};
use wsweave::{CloseCode, CloseFrame, ConnectionExt, ErrorKind, Initiator, Role};

use crate::{
    adopted,
    support::{BOTH, Frame, Rig},
};

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
            assert_eq!(rig.sent(), slice::from_ref(&close));
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
            let source = error.source().unwrap();
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
        let source = error.source().unwrap();
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
        let mut rig =
            adopted(role).weave(|conn| crate::support::within(async { conn.linger_on_drop() }));
        rig.wire.block_writes();
        rig.feed(vec![7; 300_000]);
        rig.feed("last");
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert!(!wire.is_dropped());
        wire.unblock_writes();
        wire.wait_until("the Close is out", |state| {
            let (frames, _) = crate::support::parse(&state.written);
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
