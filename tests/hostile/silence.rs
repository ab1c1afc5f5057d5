//! Peers that say too little, too slowly, or nothing any more.

use std::task::Poll;

use wsweave::{Config, ErrorKind, Message, Role};

use crate::{
    LITTLE, cost,
    support::{BOTH, Frame, Rig},
};

/// Lets `seconds` pass, and polls whenever the task is woken; returns how often that was, and whether
/// the stream ended.
fn wait(rig: &mut Rig, seconds: usize) -> (usize, bool) {
    let (mut polls, mut seen) = (0, rig.task.wakes());
    for _ in 0..seconds {
        rig.clock.advance_secs(1);
        while rig.task.wakes() > seen {
            seen = rig.task.wakes();
            polls += 1;
            assert!(polls < 100, "a busy loop");
            if rig.next() == Poll::Ready(None) {
                return (polls, true);
            }
        }
    }
    (polls, false)
}

/// The start of a frame that announces `length` bytes.
fn half_a_frame(role: Role, length: u64) -> Vec<u8> {
    let frame = Frame::binary("").keyed((role == Role::Server).then_some([1, 2, 3, 4]));
    [frame.header(length), vec![7; 1_000]].concat()
}

#[test]
fn half_a_frame_and_then_nothing_is_waited_for_asleep_and_not_for_ever() {
    for role in BOTH {
        let frame = Frame::binary([7; 1_000]).to(role);
        for cut in [1, 2, 3, 4, 8, 9, 500] {
            let mut rig = Rig::new(role);
            rig.wire.give(&frame[..cut]);
            let cost = cost(&mut rig, |rig| {
                assert!(rig.next().is_pending());
                let (polls, ended) = wait(rig, 40);
                assert!(ended && polls < 10, "{polls} polls, at an end: {ended}");
            });
            assert_eq!(rig.finish().error.unwrap().kind(), ErrorKind::Timeout);
            assert!(cost.held < LITTLE && cost.reads < 10, "{cost:?}");
        }
    }
}

#[test]
fn half_a_frame_and_then_an_end_is_the_end_at_once_and_costs_nothing() {
    for role in BOTH {
        let half = half_a_frame(role, 16 << 20);
        for cut in [1, 2, 3, 9, 10, half.len()] {
            for reset in [false, true] {
                let mut rig = Rig::new(role);
                rig.wire.give(&half[..cut]);
                if reset {
                    rig.wire.reset();
                } else {
                    rig.wire.end();
                }
                let cost = cost(&mut rig, |rig| assert_eq!(rig.settle(), []));
                assert_eq!(rig.finish().error.unwrap().kind(), ErrorKind::Io);
                assert!(rig.wire.is_closed() != reset, "what is reset needs no end of ours");
                assert!(cost.held < LITTLE && cost.reads <= 3 && cost.writes <= 1, "{cost:?}");
            }
        }
    }
}

#[test]
fn one_byte_a_second_costs_one_read_a_second() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let bytes = rig.encode([Frame::text([b'x'; 300]), Frame::ping("slow")]);
        let mut messages = Vec::new();
        let cost = cost(&mut rig, |rig| {
            for byte in &bytes {
                rig.wire.give([*byte]);
                messages.extend(rig.settle());
                rig.clock.advance_secs(1);
            }
        });
        assert_eq!(messages, [Message::from("x".repeat(300))]);
        assert_eq!(rig.sent(), [Frame::pong("slow")]);
        assert!(cost.held < LITTLE && cost.allocated < 2 * LITTLE, "{cost:?}");
        assert_eq!((cost.reads, cost.writes), (bytes.len(), 1));
    }
}

#[test]
fn a_peer_that_never_reads_holds_what_the_outbox_may_hold_and_is_left() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().keepalive_interval(None));
        rig.wire.block_writes();
        let cost = cost(&mut rig, |rig| {
            let message = Message::from(vec![7; 1_000]);
            while rig.task.ready::<Message, _>(&mut rig.conn).is_ready() {
                rig.feed(message.clone());
            }
            assert!(rig.next().is_pending());
            let (polls, ended) = wait(rig, 40);
            assert!(ended && polls < 10, "{polls} polls, at an end: {ended}");
        });
        assert!(cost.held < LITTLE + (3 << 20), "{cost:?}");
        assert_eq!(rig.finish().error.unwrap().kind(), ErrorKind::Timeout);
    }
}

#[test]
fn a_peer_that_reads_a_byte_a_second_costs_a_write_a_second() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        let cost = cost(&mut rig, |rig| {
            let message = Message::from(vec![7; 1_000]);
            while rig.task.ready::<Message, _>(&mut rig.conn).is_ready() {
                rig.feed(message.clone());
            }
            for _ in 0..100 {
                rig.wire.allow(1);
                let wakes = rig.task.wakes();
                assert!(rig.next().is_pending());
                assert!(rig.next().is_pending());
                rig.clock.advance_secs(1);
                assert!(rig.task.wakes() - wakes <= 1);
            }
        });
        assert!(!rig.has_ended(), "what goes on is not stalled");
        assert!(cost.held < LITTLE + (3 << 20), "{cost:?}");
        assert_eq!(cost.writes, 100);
    }
}

#[test]
fn a_peer_that_never_answers_a_close_is_waited_for_asleep_and_left() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let cost = cost(&mut rig, |rig| {
            assert!(rig.close().is_pending());
            let (polls, ended) = wait(rig, 10);
            assert!(ended && polls < 5, "{polls} polls, at an end: {ended}");
        });
        assert!(rig.wire.is_closed() && !rig.finish().clean);
        assert!(cost.held < LITTLE && cost.reads == 0 && cost.writes == 1, "{cost:?}");
    }
}

/// Closes under a flood, and polls as often as an executor with nothing else to do.
fn close_under_flood(rig: &mut Rig) {
    for second in 0..=10 {
        for _ in 0..8 {
            let before = rig.wire.reads();
            let closed = rig.task.close(&mut rig.conn);
            let reads = rig.wire.reads() - before;
            // A turn; one more for what came before the time was over.
            assert!(reads <= 2 * 128, "{reads} reads in one poll");
            if closed.is_ready() {
                assert_eq!(second, 10);
                return;
            }
        }
        rig.clock.advance_secs(1);
    }
    panic!("still waiting");
}

#[test]
fn a_peer_that_floods_instead_of_answering_a_close_is_left_in_time() {
    let floods = [Frame::binary([7; 1_000]), Frame::text(""), Frame::ping("x"), Frame::pong("x")];
    for role in BOTH {
        for flood in &floods {
            for deaf in [false, true] {
                let mut rig = Rig::new(role);
                if deaf {
                    rig.wire.block_writes();
                }
                rig.wire.flood(flood.clone().to(role), 8_192);
                let cost = cost(&mut rig, close_under_flood);
                assert!(!rig.finish().clean);
                assert!(cost.held < 10 * LITTLE, "{flood:?}: {cost:?}");
            }
        }
    }
}

#[test]
fn a_peer_that_keeps_tcp_open_behind_its_close_keeps_a_client_for_ten_seconds_and_a_server_not() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::close(1000, "")]);
        let cost = cost(&mut rig, |rig| {
            let ended = rig.next().is_ready();
            assert_eq!(ended, role == Role::Server);
            let (polls, ended) = if ended { (0, true) } else { wait(rig, 10) };
            assert!(ended && polls < 5, "{polls} polls, at an end: {ended}");
        });
        assert!(cost.held < LITTLE && cost.writes == 1, "{cost:?}");
        assert!(rig.wire.is_closed());
    }
}

#[test]
fn a_peer_that_ends_tcp_behind_its_close_is_answered_and_let_go() {
    for role in BOTH {
        for reset in [false, true] {
            let mut rig = Rig::new(role);
            rig.receive([Frame::text("last words"), Frame::close(4000, "bye")]);
            if reset {
                rig.wire.reset();
            } else {
                rig.wire.end();
            }
            assert_eq!(rig.settle(), ["last words".into()]);
            let finish = rig.finish();
            assert_eq!((finish.code.0, finish.clean), (4000, !reset));
        }
    }
}
