//! The closing handshake (RFC 6455, sections 5.5.1 and 7.1), from either side, in both roles.

mod support;

use std::{pin::Pin, task::Poll};

use futures::FutureExt;
use wsweave::{CloseCode, ConnectionExt, Duplex, ErrorKind, Initiator, Role};

use crate::support::{BOTH, Frame, Rig, Task};

#[test]
fn close_sends_1000_and_waits_for_the_peer() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.close().is_pending());
        assert_eq!(rig.sent(), [Frame::close(1000, "")]);
        assert!(!rig.has_ended());

        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
        assert_eq!(rig.sent(), []);

        let finish = rig.finish();
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode::NORMAL));
        assert!(finish.clean && finish.error.is_none());
        assert_eq!(finish.sent.unwrap().code, 1000);
        assert_eq!(finish.received.unwrap().code, 1000);
        assert_eq!(rig.next(), Poll::Ready(None));
    }
}

#[test]
fn the_server_ends_tcp_first() {
    let mut rig = Rig::new(Role::Server);
    assert!(rig.close().is_pending());
    assert!(!rig.wire.is_closed(), "before the peer's Close");
    rig.receive([Frame::close(1000, "")]);
    assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
    assert!(rig.wire.is_closed());
}

#[test]
fn the_client_waits_for_the_end_of_tcp() {
    let mut rig = Rig::new(Role::Client);
    assert!(rig.close().is_pending());
    rig.receive([Frame::close(1000, "")]);
    assert!(rig.close().is_pending());
    assert!(!rig.wire.is_closed() && !rig.has_ended());
    rig.wire.end();
    assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
}

#[test]
fn the_peers_close_is_answered_with_its_code() {
    for role in BOTH {
        for code in [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999] {
            let mut rig = Rig::new(role);
            rig.receive([Frame::close(code, "bye")]);
            rig.wire.end();
            assert_eq!(rig.settle(), []);
            assert_eq!(rig.sent_codes(), [Some(code)]);

            let finish = rig.finish();
            assert_eq!((finish.initiator, finish.code), (Initiator::Peer, CloseCode(code)));
            assert_eq!(finish.reason, "bye");
            assert!(finish.clean && finish.error.is_none());
            assert_eq!(finish.received.unwrap().reason, "bye");
            assert_eq!(finish.sent.unwrap().code, code);
        }
    }
}

#[test]
fn an_empty_close_is_answered_with_an_empty_one() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::empty_close()]);
        rig.wire.end();
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent(), [Frame::empty_close()]);
        let finish = rig.finish();
        assert_eq!((finish.initiator, finish.code), (Initiator::Peer, CloseCode::NO_STATUS));
        assert!(finish.clean);
    }
}

#[test]
fn a_server_that_answered_ends_without_waiting() {
    let mut rig = Rig::new(Role::Server);
    rig.receive([Frame::close(1001, "")]);
    assert_eq!(rig.next(), Poll::Ready(None));
    assert_eq!(rig.sent_codes(), [Some(1001)]);
    assert!(rig.wire.is_closed());
    assert!(rig.finish().clean);
}

#[test]
fn the_answer_is_written_before_the_stream_ends() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        assert!(rig.next().is_pending());
        rig.wire.unblock_writes();
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent_codes(), [Some(1000)]);
        assert!(rig.finish().clean);
    }
}

#[test]
fn closing_twice_is_once() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.close().is_pending());
        assert!(rig.close().is_pending());
        assert!(rig.conn.close_with(4000, "again").now_or_never().is_none());
        rig.peer().close_with(4001, "and again");
        rig.settle();
        assert_eq!(rig.sent(), [Frame::close(1000, "")]);

        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
        assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
        assert!(matches!(rig.conn.close_with(4000, "").now_or_never(), Some(Ok(()))));
        assert_eq!(rig.sent(), []);
        assert_eq!(rig.finish().code, 1000);
    }
}

#[test]
fn connection_peer_and_handle_close_alike() {
    type Door = fn(&mut Rig);
    let doors: [Door; 3] = [
        |rig| assert!(rig.conn.close_with(4321, "done").now_or_never().is_none()),
        |rig| rig.peer().close_with(4321, "done"),
        |rig| rig.conn.handle().close_with(4321, "done").unwrap(),
    ];
    for role in BOTH {
        for door in doors {
            let mut rig = Rig::new(role);
            door(&mut rig);
            rig.settle();
            assert_eq!(rig.sent(), [Frame::close(4321, "done")]);
            rig.receive([Frame::close(4321, "done")]);
            rig.wire.end();
            assert_eq!(rig.settle(), []);
            let finish = rig.finish();
            assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode(4321)));
            assert_eq!(finish.reason, "done");
            assert!(finish.clean);
        }
    }
}

#[test]
fn close_goes_out_behind_what_was_queued() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.feed("one");
        rig.peer().send("two");
        assert!(rig.close().is_pending());
        assert_eq!(rig.sent(), [Frame::text("one"), Frame::text("two"), Frame::close(1000, "")]);
    }
}

#[test]
fn closes_that_cross_are_one_clean_end() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        assert!(rig.conn.close_with(4001, "ours").now_or_never().is_none());
        rig.receive([Frame::close(4002, "theirs")]);
        rig.wire.end();
        rig.settle();
        rig.wire.unblock_writes();
        rig.settle();
        assert_eq!(rig.sent(), [Frame::close(4001, "ours")]);
        let finish = rig.finish();
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode(4001)));
        assert_eq!(finish.received.unwrap().code, 4002);
        assert!(finish.clean);
    }
}

#[test]
fn messages_still_arrive_until_the_peers_close() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive(["a", "b", "c"].map(Frame::text));
        assert_eq!(rig.next(), Poll::Ready(Some("a".into())));
        rig.peer().close_with(1000, "");
        assert_eq!(rig.settle(), ["b".into(), "c".into()]);
        rig.receive([Frame::text("d"), Frame::close(1000, ""), Frame::text("ghost")]);
        rig.wire.end();
        assert_eq!(rig.settle(), ["d".into()]);
        assert!(rig.finish().clean);
    }
}

#[test]
fn close_keeps_what_arrives_for_a_reader() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.close().is_pending());
        rig.receive([Frame::text("late"), Frame::close(1000, "")]);
        rig.wire.end();
        assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
        assert_eq!(rig.settle(), ["late".into()]);
        assert_eq!(rig.next(), Poll::Ready(None));
    }
}

#[test]
fn close_drops_what_does_not_fit_rather_than_hang() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.close().is_pending());
        for n in 0..100 {
            rig.receive([Frame::binary([n; 10_000])]);
        }
        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
        let kept = rig.settle();
        assert!((1..=7).contains(&kept.len()), "{} messages of 10,000 bytes in 64 KiB", kept.len());
        for (n, message) in (0..).zip(kept) {
            assert_eq!(message, vec![n; 10_000].into(), "in order, from the first on");
        }
    }
}

#[test]
fn close_keeps_one_message_larger_than_the_mark() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.close().is_pending());
        let large = Frame::binary(vec![1; 1 << 20]);
        rig.wire.give_in_pieces(&rig.encode([large, Frame::close(1000, "")]), 5_000);
        rig.wire.end();
        assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
        assert_eq!(rig.settle(), [vec![1; 1 << 20].into()]);
    }
}

#[test]
fn a_second_close_of_the_peer_changes_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::close(4000, "first"), Frame::close(4001, "second")]);
        rig.wire.end();
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent_codes(), [Some(4000)]);
        assert_eq!(rig.finish().reason, "first");
    }
}

#[test]
fn poll_drive_alone_completes_the_handshake() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.peer().close_with(1000, "");
        let (task, conn) = (Task::new(), &mut rig.conn);
        assert!(task.until_stalled(|cx| Pin::new(&mut *conn).poll_drive(cx)).is_pending());
        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        let conn = &mut rig.conn;
        assert!(task.until_stalled(|cx| Pin::new(&mut *conn).poll_drive(cx)).is_ready());
        assert!(rig.finish().clean);
    }
}

#[test]
fn after_a_clean_end_sending_fails_and_closing_does_not() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        rig.settle();
        assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
        match rig.task.ready(&mut rig.conn) {
            Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Closed),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn finish_reads_as_one_line() {
    let mut rig = Rig::new(Role::Server);
    rig.receive([Frame::close(4000, "two\nlines")]);
    rig.settle();
    let line = rig.finish().to_string();
    assert!(line.contains("4000") && line.contains("two"), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
}
