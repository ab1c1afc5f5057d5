//! Ends without a complete closing handshake: timeouts, the end of TCP, resets, failing writes.

mod support;

use std::{error::Error as _, io, task::Poll, time::Duration};

use wsweave::{CloseCode, Config, ConnectionExt, ErrorKind, Finish, Initiator, Role};

use crate::support::{BOTH, Frame, Rig};

fn assert_unclean(finish: &Finish, initiator: Initiator, code: u16, kind: ErrorKind) {
    assert_eq!((finish.initiator, finish.code), (initiator, CloseCode(code)), "{finish:?}");
    assert!(!finish.clean, "{finish:?}");
    assert_eq!(finish.error.as_ref().map(wsweave::Error::kind), Some(kind), "{finish:?}");
}

/// After an unclean end every door of the sink gives the end's error.
fn assert_sink_fails(rig: &mut Rig, kind: ErrorKind) {
    let polled = [
        rig.task.ready(&mut rig.conn),
        rig.task.flush(&mut rig.conn),
        rig.task.close(&mut rig.conn),
    ];
    for result in polled {
        let Poll::Ready(Err(error)) = result else { panic!("{result:?}") };
        assert_eq!(error.kind(), kind);
    }
}

#[test]
fn a_close_that_nobody_answers_times_out() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.close().is_pending());
        let wakes = rig.task.wakes();
        rig.clock.advance(Duration::from_millis(9_999));
        assert!(rig.close().is_pending());
        rig.clock.advance(Duration::from_millis(1));
        assert!(rig.task.wakes() > wakes, "the clock wakes the task");
        let Poll::Ready(Err(error)) = rig.close() else { panic!("still waiting") };
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_unclean(&rig.finish(), Initiator::Us, 1000, ErrorKind::Timeout);
        assert!(rig.wire.is_closed(), "TCP is not left open");
        assert_eq!(rig.next(), Poll::Ready(None));
        assert_sink_fails(&mut rig, ErrorKind::Timeout);
    }
}

#[test]
fn the_close_timeout_is_configurable_and_ends_the_stream() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().close_timeout(Duration::from_secs(2)));
        rig.peer().close_with(4000, "");
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(2);
        assert_eq!(rig.settle(), []);
        assert_unclean(&rig.finish(), Initiator::Us, 4000, ErrorKind::Timeout);
    }
}

#[test]
fn data_does_not_prolong_the_close_timeout() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.close().is_pending());
        for _ in 0..9 {
            rig.clock.advance_secs(1);
            rig.receive([Frame::text("more"), Frame::ping("")]);
            assert!(rig.close().is_pending());
        }
        rig.clock.advance_secs(1);
        assert!(matches!(rig.close(), Poll::Ready(Err(_))));
    }
}

#[test]
fn a_close_that_cannot_be_written_times_out() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        assert!(rig.close().is_pending());
        rig.clock.advance_secs(10);
        assert!(matches!(rig.close(), Poll::Ready(Err(_))));
        assert!(!rig.finish().clean);
    }
}

#[test]
fn an_answer_that_cannot_be_written_times_out() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        rig.receive([Frame::close(1000, "")]);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(10);
        assert_eq!(rig.settle(), []);
        assert_unclean(&rig.finish(), Initiator::Peer, 1000, ErrorKind::Timeout);
    }
}

#[test]
fn a_failure_ends_at_the_timeout_if_its_close_cannot_be_written() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        rig.receive([Frame::text("").with_rsv(1)]);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(10);
        assert_eq!(rig.settle(), []);
        assert_unclean(&rig.finish(), Initiator::Us, 1002, ErrorKind::Protocol);
    }
}

#[test]
fn a_client_whose_server_keeps_tcp_open_ends_at_the_timeout() {
    let mut rig = Rig::new(Role::Client);
    assert!(rig.close().is_pending());
    rig.clock.advance_secs(6);
    rig.receive([Frame::close(1000, "")]);
    assert!(rig.close().is_pending());
    rig.clock.advance_secs(4);
    assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
    let finish = rig.finish();
    assert!(finish.clean, "both sides sent a Close: {finish:?}");
}

#[test]
fn without_a_clock_close_waits_for_the_peer() {
    for role in BOTH {
        let (script, wire) = crate::support::Wire::new();
        let config = Config::default().no_timer();
        let mut conn = wsweave::Connection::from_raw(script, role, config);
        let task = crate::support::Task::new();
        assert!(task.close(&mut conn).is_pending());
        assert!(task.close(&mut conn).is_pending());
        wire.give(Frame::close(1000, "").to(role));
        wire.end();
        assert!(matches!(task.close(&mut conn), Poll::Ready(Ok(()))));
    }
}

#[test]
fn the_end_of_tcp_without_a_close_is_unclean() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text("last")]);
        rig.wire.end();
        assert_eq!(rig.settle(), ["last".into()]);
        assert_unclean(&rig.finish(), Initiator::Network, 1006, ErrorKind::Io);
        assert!(rig.finish().received.is_none());
        assert_sink_fails(&mut rig, ErrorKind::Io);
    }
}

#[test]
fn the_end_of_tcp_in_mid_frame_is_unclean_wherever_it_comes() {
    for role in BOTH {
        let whole = Frame::text("0123456789").to(role);
        for cut in 1..whole.len() {
            let mut rig = Rig::new(role);
            rig.wire.give(&whole[..cut]);
            rig.wire.end();
            assert_eq!(rig.settle(), []);
            assert_unclean(&rig.finish(), Initiator::Network, 1006, ErrorKind::Io);
        }
    }
}

#[test]
fn the_end_of_tcp_in_mid_message_delivers_no_part_of_it() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text("whole"), Frame::text("part").unfinished()]);
        rig.wire.end();
        assert_eq!(rig.settle(), ["whole".into()]);
        assert_unclean(&rig.finish(), Initiator::Network, 1006, ErrorKind::Io);
    }
}

#[test]
fn the_end_of_tcp_instead_of_an_answer_is_unclean() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.close().is_pending());
        rig.wire.end();
        let Poll::Ready(Err(error)) = rig.close() else { panic!("still waiting") };
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_unclean(&rig.finish(), Initiator::Us, 1000, ErrorKind::Io);
    }
}

#[test]
fn a_reset_carries_the_transports_error() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text("last")]);
        rig.wire.reset();
        assert_eq!(rig.settle(), ["last".into()]);
        let finish = rig.finish();
        assert_unclean(&finish, Initiator::Network, 1006, ErrorKind::Io);
        let error = finish.error.unwrap();
        assert!(error.is_retryable());
        let cause = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(cause.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn what_was_queued_is_written_after_the_peers_half_close() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        rig.receive([Frame::text("question")]);
        assert_eq!(rig.next(), Poll::Ready(Some("question".into())));
        rig.peer().send("answer");
        rig.wire.end();
        let _ = rig.next();
        rig.wire.unblock_writes();
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent().first(), Some(&Frame::text("answer")));
        assert!(rig.has_ended());
    }
}

#[test]
fn our_side_of_tcp_is_shut_when_the_peers_is() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.end();
        assert_eq!(rig.settle(), []);
        assert!(rig.wire.is_closed());
    }
}

#[test]
fn a_write_error_loses_no_message_that_was_received() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive(["a", "b", "c"].map(Frame::text));
        assert_eq!(rig.next(), Poll::Ready(Some("a".into())));
        rig.wire.break_writes();
        rig.feed("into the void");
        assert!(matches!(rig.task.flush(&mut rig.conn), Poll::Ready(Err(_))));
        rig.receive([Frame::text("d")]);
        assert_eq!(rig.settle(), ["b".into(), "c".into(), "d".into()]);
        rig.wire.end();
        assert_eq!(rig.settle(), []);
        let finish = rig.finish();
        assert_unclean(&finish, Initiator::Network, 1006, ErrorKind::Io);
    }
}

#[test]
fn after_a_write_error_the_connection_ends_within_the_close_timeout() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.break_writes();
        rig.feed("into the void");
        let _ = rig.next();
        rig.clock.advance_secs(10);
        assert_eq!(rig.settle(), []);
        assert_unclean(&rig.finish(), Initiator::Network, 1006, ErrorKind::Io);
    }
}

#[test]
fn an_answer_that_fails_to_be_written_is_not_clean() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.break_writes();
        rig.receive([Frame::close(4000, "bye")]);
        assert_eq!(rig.settle(), []);
        assert_unclean(&rig.finish(), Initiator::Peer, 4000, ErrorKind::Io);
    }
}

#[test]
fn abort_ends_without_a_word() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.feed("never seen");
        rig.conn.abort();
        assert_eq!(rig.next(), Poll::Ready(None));
        let finish = rig.finish();
        assert_eq!(finish.initiator, Initiator::Us);
        assert!(!finish.clean && finish.sent.is_none(), "{finish:?}");
        drop(rig.conn);
        assert!(rig.wire.take_written().is_empty());
    }
}

#[test]
fn abort_does_not_unsay_a_failure() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        rig.receive([Frame::text([0xff])]);
        assert!(rig.next().is_pending());
        rig.conn.abort();
        assert_unclean(&rig.finish(), Initiator::Us, 1007, ErrorKind::InvalidUtf8);
    }
}

#[test]
fn abort_does_not_unsay_the_closing_handshake() {
    let mut rig = Rig::new(Role::Client);
    rig.receive([Frame::close(4001, "bye")]);
    assert!(rig.next().is_pending(), "a client waits for the end of TCP");
    rig.conn.abort();
    let finish = rig.finish();
    assert_eq!((finish.initiator, finish.code), (Initiator::Peer, CloseCode(4001)));
    assert!(finish.received.is_some() && finish.sent.is_some(), "{finish:?}");
}
