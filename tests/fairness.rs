//! Fairness: a flood starves neither the writes nor the executor.

mod support;

use std::cell::Cell;

use wsweave::{Bytes, Config, ConnectionExt, Duplex, Role};

use crate::support::{BOTH, Frame, Op, Rig, Task, quiet};

/// Polls once, under a flood; asserts that the task yielded and will be polled again.
fn assert_yields<C: Duplex + Unpin>(rig: &mut Rig<C>) {
    let wakes = rig.task.wakes();
    assert!(rig.next().is_pending());
    assert!(rig.task.wakes() > wakes, "it wakes itself, for nobody else will");
}

/// The start of a frame that never ends, as the peer of `role` sends it.
fn endless_frame(role: Role) -> Vec<u8> {
    let key = (role == Role::Server).then_some([1, 2, 3, 4]);
    Frame::binary("").keyed(key).header(1 << 40)
}

fn limitless() -> Config {
    Config::default().max_message_size(1 << 50).max_frame_size(1 << 50).max_fragments(usize::MAX)
}

#[test]
fn a_poll_reads_at_most_a_mebibyte() {
    for role in BOTH {
        let piece = 16 << 10;
        let mut rig = Rig::with(role, limitless());
        rig.wire.give(endless_frame(role));
        rig.wire.flood([7], piece);
        for _ in 0..3 {
            let before = rig.wire.bytes_read();
            assert_yields(&mut rig);
            let read = rig.wire.bytes_read() - before;
            assert!(read <= (1 << 20) + piece, "{read} bytes in one poll");
        }
    }
}

#[test]
fn a_poll_reads_at_most_128_times() {
    for role in BOTH {
        let mut rig = Rig::with(role, limitless());
        rig.wire.give(endless_frame(role));
        rig.wire.flood([7], 1);
        for _ in 0..3 {
            let before = rig.wire.reads();
            assert_yields(&mut rig);
            let reads = rig.wire.reads() - before;
            assert!(reads <= 128, "{reads} reads in one poll");
        }
    }
}

#[test]
fn a_poll_handles_at_most_a_thousand_frames_without_a_message() {
    let floods = [
        vec![Frame::pong(""); 10_000],
        vec![Frame::ping(""); 10_000],
        [vec![Frame::text("").unfinished()], vec![Frame::continuation("").unfinished(); 9_999]]
            .concat(),
    ];
    for role in BOTH {
        for flood in &floods {
            let mut rig = Rig::with(role, limitless());
            rig.receive(flood.clone());
            for yields in 0..9 {
                let wakes = rig.task.wakes();
                assert!(rig.next().is_pending());
                assert!(rig.task.wakes() > wakes, "only {yields} yields for 10,000 frames");
            }
            assert_eq!(rig.settle(), []);
        }
    }
}

#[test]
fn hooks_on_pings_do_not_lift_the_bound() {
    for role in BOTH {
        let seen = Cell::new(0);
        let mut rig = Rig::new(role).weave(|conn| conn.on_ping(|_, _| seen.set(seen.get() + 1)));
        rig.wire.flood(Frame::ping("").to(role), 8_192);
        for _ in 0..3 {
            seen.set(0);
            assert_yields(&mut rig);
            assert!(seen.get() <= 1_000, "{} pings in one poll", seen.get());
        }
    }
}

#[test]
fn run_yields_under_a_flood_of_messages() {
    for role in BOTH {
        let seen = Cell::new(0);
        let Rig { conn, wire, task, .. } = Rig::new(role);
        let mut run = Box::pin(conn.on_each(|_, _| seen.set(seen.get() + 1)).run());
        wire.flood(Frame::text("flood").to(role), 4_096);
        for _ in 0..3 {
            let (before, wakes) = (wire.reads(), task.wakes());
            assert!(task.poll(&mut run).is_pending());
            assert!(task.wakes() > wakes);
            assert!(wire.reads() - before <= 128);
        }
        assert!(seen.get() > 0);
    }
}

#[test]
fn a_loop_over_messages_yields_too() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        for _ in 0..40 {
            rig.receive([Frame::binary(vec![0; 60_000])]);
        }
        let wakes = rig.task.wakes();
        let taken = (0..40).take_while(|_| rig.next().is_ready()).count();
        assert!((15..=18).contains(&taken), "{taken} messages of 60,000 bytes in a mebibyte");
        assert!(rig.task.wakes() > wakes, "it wakes itself, for nobody else will");
        assert_eq!(rig.settle().len(), 40 - taken);
    }
}

#[test]
fn large_answers_to_a_flood_do_not_lift_the_bound() {
    let large = Bytes::from(vec![0; 20_000]);
    for role in BOTH {
        let Rig { conn, wire, task, .. } = Rig::new(role);
        let answer_loudly = conn.on_each(|peer, _| {
            for _ in 0..300 {
                peer.send(large.clone());
            }
        });
        let mut run = Box::pin(answer_loudly.run());
        wire.limit_writes(100_000);
        wire.flood(Frame::text("x").to(role), 7);
        for _ in 0..3 {
            let wakes = task.wakes();
            assert!(task.poll(&mut run).is_pending());
            assert!(task.wakes() > wakes);
            let written = wire.take_written().len();
            // Four mebibytes, and the flush of a task that yields: as much again.
            let most = 2 * ((4 << 20) + 100_000);
            assert!((1..=most).contains(&written), "{written} bytes in one poll");
        }
    }
}

#[test]
fn a_write_of_a_mebibyte_is_not_a_turn() {
    let large = Bytes::from(vec![0; 1 << 20]);
    for role in BOTH {
        let mut rig = Rig::new(role);
        for written in 1..=3 {
            rig.feed(large.clone());
            assert!(rig.task.flush(&mut rig.conn).is_ready());
            assert_eq!(rig.task.wakes(), 0, "it woke itself for the flush of number {written}");
        }
    }
}

#[test]
fn a_yield_flushes_first() {
    for role in BOTH {
        let mut rig = Rig::with(role, limitless());
        rig.wire.give(endless_frame(role));
        rig.wire.flood([7], 1 << 20);
        rig.feed("not starved");
        assert_yields(&mut rig);
        assert_eq!(rig.sent(), [Frame::text("not starved")]);
        let ops = rig.wire.state().ops.clone();
        assert!(ops.contains(&Op::Flush));
    }
}

#[test]
fn the_yield_is_not_an_end() {
    for role in BOTH {
        let mut rig = Rig::with(role, limitless());
        let frame = Frame::binary(vec![7; 5 << 20]);
        rig.wire.give_in_pieces(&rig.encode([frame]), 10_000);
        assert_eq!(rig.settle(), [vec![7; 5 << 20].into()]);
    }
}

#[test]
fn a_close_gets_through_a_flood() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.flood(Frame::text("x").to(role), 8_192);
        assert!(rig.task.close(&mut rig.conn).is_pending());
        assert_eq!(rig.sent(), [Frame::close(1000, "")]);
        for _ in 0..3 {
            assert!(rig.task.close(&mut rig.conn).is_pending(), "each poll comes to its end");
        }
        rig.clock.advance_secs(10);
        assert!(rig.task.close(&mut rig.conn).is_ready(), "the timeout holds under a flood");
    }
}

#[test]
fn pings_whose_answers_fill_the_outbox_one_by_one_end_a_turn() {
    let mut rig = Rig::with(Role::Client, quiet().outbox_size(1));
    rig.wire.give_in_pieces(&rig.encode((0..50_000).map(|_| Frame::ping("x"))), 3_000);
    assert!(rig.next().is_pending());
    assert!(rig.wire.unread() > 0, "one poll answered 50,000 pings");
}

#[test]
fn messages_that_a_close_drops_end_a_turn() {
    let mut rig = Rig::with(Role::Client, quiet());
    assert!(rig.close().is_pending());
    rig.receive((0..2).map(|_| Frame::binary(vec![0; 40_000])));
    rig.wire.give_in_pieces(&rig.encode((0..200_000).map(|_| Frame::binary([]))), 60_000);
    assert!(Task::new().close(&mut rig.conn).is_pending());
    assert!(rig.wire.unread() > 300_000, "{} bytes are left of 400,000", rig.wire.unread());
}
