//! `Config::idle_timeout`: how long a connection may go without a message.

mod support;

use std::time::Duration;

use wsweave::{CloseCode, Config, ConnectionExt, Initiator, Role};

use crate::support::{BOTH, Frame, Rig};

/// A connection that may be idle for a minute.
fn idling(role: Role) -> Rig {
    let config = Config::default().idle_timeout(Some(Duration::from_secs(60)));
    Rig::with(role, config.keepalive_interval(None))
}

/// Lets `seconds` pass, and whoever is woken run.
fn pass(rig: &mut Rig, seconds: u64) {
    rig.clock.advance_secs(seconds);
    assert_eq!(rig.settle(), []);
}

#[test]
fn an_idle_connection_is_closed_with_1001_and_a_reason() {
    for role in BOTH {
        let mut rig = idling(role);
        assert!(rig.next().is_pending());
        pass(&mut rig, 59);
        assert_eq!(rig.sent(), []);
        let wakes = rig.task.wakes();
        rig.clock.advance_secs(1);
        assert!(rig.task.wakes() > wakes, "the timeout wakes the task by itself");
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent(), [Frame::close(1001, "idle timeout")]);

        rig.receive([Frame::close(1001, "")]);
        rig.wire.end();
        rig.settle();
        let finish = rig.finish();
        assert!(finish.clean, "{finish}");
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode::GOING_AWAY));
        assert_eq!(finish.reason, "idle timeout");
    }
}

#[test]
fn an_idle_peer_that_does_not_answer_the_close_is_left() {
    for role in BOTH {
        let mut rig = idling(role);
        assert!(rig.next().is_pending());
        pass(&mut rig, 60);
        pass(&mut rig, 10);
        assert!(!rig.finish().clean);
    }
}

#[test]
fn a_message_in_either_direction_keeps_it_open() {
    for role in BOTH {
        let mut rig = idling(role);
        assert!(rig.next().is_pending());
        for _ in 0..5 {
            pass(&mut rig, 40);
            rig.receive([Frame::text("in")]);
            assert_eq!(rig.settle(), ["in".into()]);
            pass(&mut rig, 40);
            rig.feed("out");
            rig.settle();
            pass(&mut rig, 40);
            rig.conn.handle().try_send("by a handle").unwrap();
            rig.settle();
            pass(&mut rig, 40);
            rig.peer().send("by a hook");
            rig.settle();
        }
        assert_eq!(rig.sent_codes(), []);
        pass(&mut rig, 60);
        assert_eq!(rig.sent_codes(), [Some(1001)]);
    }
}

#[test]
fn a_message_puts_the_end_off_by_exactly_the_timeout_while_keepalive_listens() {
    for role in BOTH {
        let config = Config::default().idle_timeout(Some(Duration::from_secs(15)));
        let mut rig = Rig::with(role, config);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(10);
        rig.receive([Frame::text("x")]);
        assert_eq!(rig.settle().len(), 1);
        pass(&mut rig, 14);
        assert_eq!(rig.sent(), []);
        pass(&mut rig, 1);
        assert_eq!(rig.sent_codes(), [Some(1001)]);
    }
}

#[test]
fn pings_pongs_and_keepalive_do_not_count() {
    for role in BOTH {
        let config = Config::default().idle_timeout(Some(Duration::from_secs(60)));
        let mut rig = Rig::with(role, config);
        assert!(rig.next().is_pending());
        for _ in 0..2 {
            pass(&mut rig, 20);
            let asked = rig.sent();
            assert_eq!(asked.len(), 1, "keepalive asks: {asked:?}");
            rig.conn.ping("of ours").unwrap();
            rig.receive([Frame::pong(&asked[0].payload), Frame::ping("theirs")]);
            rig.settle();
            assert_eq!(rig.sent().len(), 2);
        }
        pass(&mut rig, 20);
        assert_eq!(rig.sent_codes(), [Some(1001)]);
    }
}

#[test]
fn a_large_message_that_is_on_its_way_is_no_idleness() {
    for role in BOTH {
        for parts in [
            vec![Frame::binary([0; 100])],
            vec![Frame::text("a").unfinished(), Frame::continuation("b"), Frame::text("c")],
        ] {
            let mut rig = idling(role);
            let bytes = rig.encode(parts.clone());
            assert!(rig.next().is_pending());
            for part in bytes.chunks(8) {
                pass_unread(&mut rig, 50);
                rig.wire.give(part);
            }
            rig.settle();
            assert_eq!(rig.sent_codes(), [], "{parts:?}");
        }

        let mut rig = idling(role);
        rig.wire.block_writes();
        rig.feed(vec![0; 100]);
        for _ in 0..10 {
            rig.wire.allow(8);
            pass(&mut rig, 30);
        }
        rig.wire.unblock_writes();
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent(), [Frame::binary([0; 100])]);
    }
}

/// Lets `seconds` pass, whatever arrives.
fn pass_unread(rig: &mut Rig, seconds: u64) {
    rig.settle();
    rig.clock.advance_secs(seconds);
}

#[test]
fn a_message_that_never_comes_to_its_end_is_idleness() {
    for role in BOTH {
        let mut rig = idling(role);
        rig.receive([Frame::text("half").unfinished()]);
        assert!(rig.next().is_pending());
        for _ in 0..2 {
            pass(&mut rig, 30);
            rig.receive([Frame::ping("still here")]);
            rig.settle();
        }
        assert_eq!(rig.sent_codes(), [Some(1001)]);
    }
}

#[test]
fn what_has_arrived_counts_although_nobody_polled() {
    for role in BOTH {
        let mut rig = idling(role);
        assert!(rig.next().is_pending());
        rig.receive([Frame::text("in time")]);
        rig.clock.advance_secs(1_000);
        assert_eq!(rig.settle(), ["in time".into()]);
        pass(&mut rig, 59);
        assert_eq!(rig.sent(), []);
    }
}

#[test]
fn without_an_idle_timeout_it_may_be_idle_forever() {
    for role in BOTH {
        for timeout in [None, Some(Duration::ZERO)] {
            let config = Config::default().keepalive_interval(None).idle_timeout(timeout);
            let mut rig = Rig::with(role, config);
            for _ in 0..100 {
                pass(&mut rig, 3_600);
            }
            assert_eq!(rig.sent(), []);
        }
    }
}
