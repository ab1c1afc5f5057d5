//! Peers that send more than anybody asked for.

use std::task::Poll;

use wsweave::{Message, Role};

use crate::{
    LITTLE, allocator, cost,
    support::{BOTH, Frame, Rig},
};

#[test]
fn a_flood_of_pings_that_nobody_reads_the_answers_to_stops_the_reading() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        rig.wire.flood(Frame::ping([7; 125]).to(role), 64 << 10);
        let cost = cost(&mut rig, |rig| assert_eq!(rig.settle(), []));
        assert!(cost.held < 4 << 20, "{cost:?}");
        let (reads, wakes) = (rig.wire.reads(), rig.task.wakes());
        for _ in 0..10 {
            assert!(rig.next().is_pending());
        }
        assert_eq!(rig.wire.reads(), reads, "the rest waits at the peer");
        assert_eq!(rig.task.wakes(), wakes, "and the task sleeps");
    }
}

#[test]
fn a_flood_of_closes_is_one_close() {
    for role in BOTH {
        for deaf in [false, true] {
            let mut rig = Rig::new(role);
            if deaf {
                rig.wire.block_writes();
            }
            rig.wire.flood(Frame::close(1001, "again").to(role), 8_192);
            let cost = cost(&mut rig, |rig| {
                for _ in 0..200 {
                    let reads = rig.wire.reads();
                    if rig.next().is_ready() {
                        return;
                    }
                    assert!(rig.wire.reads() - reads <= 129, "a poll comes to its end");
                    rig.clock.advance_secs(1);
                }
                panic!("still waiting");
            });
            assert!(cost.held < 2 * LITTLE, "{cost:?}");
            let closes = if deaf { vec![] } else { vec![Some(1001)] };
            assert_eq!(rig.sent_codes(), closes);
            assert_eq!(rig.finish().clean, !deaf);
        }
    }
}

#[test]
fn a_flood_of_data_behind_a_close_is_neither_delivered_nor_kept() {
    for role in BOTH {
        for flood in [Frame::text("ghost"), Frame::ping("ghost"), Frame::new(3, "ghost")] {
            let mut rig = Rig::new(role);
            let (mut polls, mut seconds) = (0, 0);
            rig.receive([Frame::text("last words"), Frame::close(4000, "bye")]);
            rig.wire.flood(flood.to(role), 8_192);
            let cost = cost(&mut rig, |rig| {
                assert_eq!(rig.message(), Some("last words".into()));
                loop {
                    let reads = rig.wire.reads();
                    polls += 1;
                    match rig.next() {
                        Poll::Ready(None) => return,
                        Poll::Ready(ghost) => panic!("{ghost:?}"),
                        Poll::Pending => {}
                    }
                    assert!(rig.wire.reads() - reads <= 129, "a poll comes to its end");
                    if polls % 8 == 0 {
                        seconds += 1;
                        assert!(seconds <= 10, "still waiting");
                        rig.clock.advance_secs(1);
                    }
                }
            });
            assert!(cost.held < 2 * LITTLE && cost.writes == 1, "{cost:?}");
            assert_eq!(rig.sent(), [Frame::close(4000, "")]);
            assert!(rig.finish().clean);
        }
    }
}

#[test]
fn tiny_messages_in_one_segment_cost_as_much_as_they_weigh() {
    for role in BOTH {
        for payload in ["", "x"] {
            let [few, many] = [25_000, 100_000].map(|count| {
                let mut rig = Rig::new(role);
                let bytes = rig.encode([Frame::text(payload)]).repeat(count);
                rig.wire.give(&bytes);
                let mut delivered = 0;
                let cost = cost(&mut rig, |rig| {
                    while let Some(message) = rig.message() {
                        assert_eq!(message, payload.into());
                        delivered += 1;
                    }
                });
                assert_eq!(delivered, count);
                assert!(cost.held < LITTLE && cost.reads <= 20, "{cost:?}");
                assert!(cost.allocated < LITTLE + 3 * bytes.len(), "{cost:?}");
                cost.allocated
            });
            assert!(
                many < LITTLE + 5 * few,
                "{few} bytes for a part, {many} for four times as much"
            );
        }
    }
}

#[test]
fn pings_in_one_segment_are_answered_in_few_writes() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.give(rig.encode([Frame::ping("")]).repeat(100_000));
        let mut answered = 0;
        let cost = cost(&mut rig, |rig| {
            assert_eq!(rig.settle(), []);
            answered = rig.sent().len();
        });
        assert_eq!(answered, 100_000);
        assert!(cost.writes <= 200, "{cost:?}");
    }
}

#[test]
fn messages_that_nobody_takes_are_not_read() {
    let mut rig = Rig::new(Role::Server);
    rig.wire.flood(Frame::binary([7; 1_000]).to(Role::Server), 8_192);
    let cost = cost(&mut rig, |rig| {
        rig.feed("something to flush");
        for _ in 0..100 {
            let _ = rig.task.flush::<Message, _>(&mut rig.conn);
        }
    });
    assert!(cost.held < LITTLE && cost.reads < 20, "{cost:?}");
}

#[test]
fn what_waits_behind_a_message_that_is_still_worked_on_is_kept_in_little_memory() {
    for role in BOTH {
        let mut rigs: Vec<Rig> = (0..100).map(|_| Rig::new(role)).collect();
        let held = allocator::peak_of(|| {
            for rig in &mut rigs {
                rig.wire.give(rig.encode([Frame::text("first"), Frame::text("second")]));
                assert_eq!(rig.message(), Some("first".into()));
            }
        });
        assert!(held < LITTLE, "{held} bytes");
        for rig in &mut rigs {
            assert_eq!(rig.message(), Some("second".into()));
        }
    }
}
