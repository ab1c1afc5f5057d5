//! Writes: many messages go out in one, none waits too long, every one arrives whole.

mod support;

use futures::{FutureExt, SinkExt};
use wsweave::{Bytes, Config, ConnectionExt, ErrorKind, Message, Role};

use crate::support::{BOTH, Frame, Op, Rig, parse};

/// Where in `ops` the first write is, and how many reads there are before it.
fn reads_before_the_first_write(ops: &[Op]) -> usize {
    let before = ops.iter().take_while(|op| !matches!(op, Op::Write(_)));
    before.filter(|op| matches!(op, Op::Read(_))).count()
}

#[test]
fn fed_messages_go_out_in_one_write_when_reading_would_block() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        for n in 0..200 {
            rig.feed(format!("message {n}"));
        }
        assert_eq!(rig.wire.writes(), 0);
        assert!(rig.next().is_pending());
        assert_eq!(rig.wire.writes(), 1);
        assert_eq!(rig.sent().len(), 200);
    }
}

#[test]
fn answers_of_hooks_go_out_in_one_write_when_reading_would_block() {
    for role in BOTH {
        let mut rig =
            Rig::new(role).weave(|conn| conn.on_each(|peer, message| peer.send(message.clone())));
        rig.receive((0..200).map(|n| Frame::text(format!("message {n}"))));
        assert_eq!(rig.settle().len(), 200);
        assert_eq!(rig.wire.writes(), 1);
        let sent = rig.sent();
        assert_eq!(sent.len(), 200);
        assert_eq!(sent[199], Frame::text("message 199"));
    }
}

#[test]
fn pongs_and_answers_share_a_write() {
    for role in BOTH {
        let mut rig =
            Rig::new(role).weave(|conn| conn.on_each(|peer, message| peer.send(message.clone())));
        rig.receive([Frame::ping("a"), Frame::text("b"), Frame::ping("c"), Frame::text("d")]);
        rig.settle();
        assert_eq!(rig.wire.writes(), 1);
        let order = [Frame::pong("a"), Frame::text("b"), Frame::pong("c"), Frame::text("d")];
        assert_eq!(rig.sent(), order);
    }
}

#[test]
fn what_is_queued_goes_out_before_the_16th_read() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.feed("waiting");
        rig.wire.flood(Frame::text("x").to(role), Frame::text("x").to(role).len());
        for _ in 0..40 {
            assert_eq!(rig.message(), Some("x".into()));
        }
        let reads = reads_before_the_first_write(&rig.wire.state().ops);
        assert!(reads <= 15, "{reads} reads before the write");
        assert_eq!(rig.sent(), [Frame::text("waiting")]);
    }
}

#[test]
fn the_16_reads_count_from_when_it_was_queued() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.flood(Frame::text("x").to(role), Frame::text("x").to(role).len());
        for round in 0..5 {
            for _ in 0..round * 3 {
                assert_eq!(rig.message(), Some("x".into()));
            }
            rig.wire.state().ops.clear();
            rig.peer().send("waiting");
            for _ in 0..40 {
                assert_eq!(rig.message(), Some("x".into()));
            }
            let reads = reads_before_the_first_write(&rig.wire.state().ops);
            assert!((14..=15).contains(&reads), "{reads} reads before the write");
            assert_eq!(rig.sent(), [Frame::text("waiting")]);
        }
    }
}

#[test]
fn one_message_a_read_is_never_one_write_a_message() {
    for role in BOTH {
        let mut rig =
            Rig::new(role).weave(|conn| conn.on_each(|peer, message| peer.send(message.clone())));
        for _ in 0..1_000 {
            rig.receive([Frame::text("ping-pong")]);
        }
        assert_eq!(rig.settle().len(), 1_000);
        assert_eq!(rig.sent().len(), 1_000);
        let writes = rig.wire.writes();
        assert!(writes <= 125, "{writes} writes for 1,000 messages");
    }
}

#[test]
fn send_has_flushed_when_it_is_done() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.conn.send("now".into()).now_or_never().unwrap().unwrap();
        assert_eq!(rig.sent(), [Frame::text("now")]);
        assert_eq!(rig.wire.state().ops.last(), Some(&Op::Flush), "buffering transports, too");
    }
}

#[test]
fn the_transport_is_flushed_before_the_connection_waits() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.feed("now");
        assert!(rig.next().is_pending());
        let ops = rig.wire.state().ops.clone();
        let write = ops.iter().rposition(|op| matches!(op, Op::Write(_))).unwrap();
        assert!(ops[write..].contains(&Op::Flush), "{ops:?}");
    }
}

#[test]
fn an_idle_poll_touches_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        for _ in 0..3 {
            assert!(rig.next().is_pending());
        }
        assert_eq!(rig.wire.writes(), 0);
        assert!(rig.wire.take_written().is_empty());
    }
}

#[test]
fn messages_survive_writes_of_any_size() {
    for role in BOTH {
        for limit in [1, 2, 3, 7, 13, 64, 999] {
            let mut rig = Rig::new(role);
            rig.wire.limit_writes(limit);
            let large = vec![9; 3_000];
            rig.feed("first");
            rig.feed(large.clone());
            rig.feed("");
            rig.feed("last");
            rig.settle();
            let order =
                [Frame::text("first"), Frame::binary(large), Frame::text(""), Frame::text("last")];
            assert_eq!(rig.sent(), order, "at {limit} bytes a write");
        }
    }
}

#[test]
fn answers_and_messages_in_turn_survive_writes_of_any_size() {
    for role in BOTH {
        let mut rig =
            Rig::new(role).weave(|conn| conn.on_each(|peer, message| peer.send(message.clone())));
        rig.wire.block_writes();
        let ours = Frame::text("ours");
        let theirs = Frame::text("theirs");
        for _ in 0..20 {
            rig.feed("ours");
            rig.receive([theirs.clone()]);
            assert!(rig.next().is_ready());
        }
        rig.wire.unblock_writes();
        rig.wire.limit_writes(7);
        rig.settle();
        let sent = rig.sent();
        assert_eq!(sent.len(), 40);
        assert!(sent.chunks_exact(2).all(|pair| *pair == [ours.clone(), theirs.clone()]));
    }
}

#[test]
fn messages_survive_writes_that_block_anywhere() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        let large = vec![9; 100_000];
        rig.feed("first");
        rig.feed(large.clone());
        rig.feed("last");
        let mut step = 0;
        while rig.wire.state().written.len() < 100_000 + 9 {
            step += 1;
            rig.wire.allow(step);
            assert!(rig.next().is_pending());
        }
        rig.wire.unblock_writes();
        assert!(rig.next().is_pending());
        let order = [Frame::text("first"), Frame::binary(large), Frame::text("last")];
        assert_eq!(rig.sent(), order);
    }
}

#[test]
fn large_payloads_survive_a_transport_without_vectored_writes() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.without_vectored();
        let large = vec![9; 1 << 20];
        rig.feed("small");
        rig.feed(large.clone());
        rig.feed("small");
        rig.settle();
        assert_eq!(rig.sent(), [Frame::text("small"), Frame::binary(large), Frame::text("small")]);
    }
}

#[test]
fn a_large_payload_goes_out_with_its_neighbours_and_without_a_copy() {
    let mut rig = Rig::with(Role::Server, Config::default().outbox_size(4 << 20));
    let large = Bytes::from(vec![9; 1 << 20]);
    rig.feed("small");
    rig.feed(large.clone());
    rig.feed("small");
    rig.settle();
    assert!(rig.wire.writes() <= 3, "{} writes", rig.wire.writes());
    let slices = rig.wire.state().large_slices.clone();
    assert!(slices.contains(&large.as_ptr().addr()), "written from where it was");
}

#[test]
fn a_write_of_nothing_ends_the_connection() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.limit_writes(0);
        rig.feed("x");
        rig.wire.end();
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.finish().error.unwrap().kind(), ErrorKind::Io);
    }
}

#[test]
fn messages_above_the_fragment_size_are_fragmented() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().fragment_size(Some(4)));
        for message in ["", "1234", "12345", "ääääää", "123456789012"] {
            rig.feed(message);
        }
        rig.settle();
        let expected = [
            Frame::text(""),
            Frame::text("1234"),
            Frame::text("1234").unfinished(),
            Frame::continuation("5"),
            Frame::text("ää").unfinished(),
            Frame::continuation("ää").unfinished(),
            Frame::continuation("ää"),
            Frame::text("1234").unfinished(),
            Frame::continuation("5678").unfinished(),
            Frame::continuation("9012"),
        ];
        assert_eq!(rig.sent(), expected);
    }
}

#[test]
fn fragments_of_large_messages_add_up() {
    for role in BOTH {
        for size in [1, 100, 65_536, 100_000] {
            let mut rig = Rig::with(role, Config::default().fragment_size(Some(size)));
            let payload: Vec<u8> = (0..=250).cycle().take(150_000).collect();
            rig.feed(payload.clone());
            rig.feed("");
            rig.settle();
            let mut sent = rig.sent();
            assert_eq!(sent.pop(), Some(Frame::text("")));
            assert!(sent.iter().all(|frame| frame.payload.len() <= size && frame.rsv == 0));
            assert_eq!(sent.len(), payload.len().div_ceil(size));
            assert!(sent.iter().skip(1).all(|frame| frame.opcode == 0));
            assert!(sent.iter().rev().skip(1).all(|frame| !frame.fin) && sent.last().unwrap().fin);
            let joined: Vec<u8> = sent.into_iter().flat_map(|frame| frame.payload).collect();
            assert_eq!(Message::from(joined), payload.into());
        }
    }
}

#[test]
fn a_flushed_frame_is_never_written_again() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        for n in 0..10 {
            rig.conn.ping(vec![n]).unwrap();
            rig.feed(vec![n; 10]);
            rig.settle();
            let written = rig.wire.take_written();
            assert_eq!(parse(&written).0.len(), 2, "round {n}");
        }
    }
}
