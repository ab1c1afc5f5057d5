//! Keepalive and latency, by a clock that the test moves.

mod support;

use std::time::Duration;

use wsweave::{Config, ConnectionExt, ErrorKind};

use crate::support::{BOTH, Frame, Rig};

#[test]
fn keepalive_pings_after_silence_and_gives_up_without_an_answer() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(19);
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent(), []);
        rig.clock.advance_secs(1);
        assert!(rig.next().is_pending());
        let sent = rig.sent();
        assert!(matches!(&sent[..], [ping] if ping.opcode == 9), "{sent:?}");

        rig.clock.advance_secs(19);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(1);
        assert_eq!(rig.settle(), []);
        let finish = rig.finish();
        assert!(!finish.clean);
        let error = finish.error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.to_string(), "no answer to keepalive");
    }
}

#[test]
fn keepalive_wakes_the_task_by_itself() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.next().is_pending());
        for _ in 0..2 {
            let wakes = rig.task.wakes();
            rig.clock.advance_secs(20);
            assert!(rig.task.wakes() > wakes);
            let _ = rig.next();
        }
        assert!(rig.has_ended());
    }
}

#[test]
fn what_came_before_the_first_silence_does_not_prolong_it() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text("the last sign of life")]);
        assert_eq!(rig.settle().len(), 1);
        for _ in 0..2 {
            rig.clock.advance_secs(20);
            let _ = rig.next();
        }
        assert!(rig.has_ended());
    }
}

#[test]
fn an_answered_ping_keeps_the_connection_alive() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.next().is_pending());
        for _ in 0..10 {
            rig.clock.advance_secs(20);
            assert!(rig.next().is_pending());
            let ping = rig.sent().pop().expect("a ping after 20 s");
            rig.clock.advance_secs(10);
            rig.receive([Frame::pong(ping.payload)]);
            assert!(rig.next().is_pending());
        }
    }
}

#[test]
fn an_answer_may_bring_the_next_ping_forward() {
    for role in BOTH {
        let config = Config::default()
            .keepalive_interval(Some(Duration::from_secs(5)))
            .keepalive_timeout(Duration::from_secs(60));
        let mut rig = Rig::with(role, config);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(5);
        for _ in 0..3 {
            assert!(rig.next().is_pending());
            let ping = rig.sent().pop().expect("a ping after 5 s");
            rig.clock.advance_secs(2);
            rig.receive([Frame::pong(ping.payload)]);
            assert!(rig.next().is_pending());
            let wakes = rig.task.wakes();
            rig.clock.advance(Duration::from_millis(4_999));
            assert_eq!(rig.task.wakes(), wakes);
            rig.clock.advance(Duration::from_millis(1));
            assert!(rig.task.wakes() > wakes);
        }
    }
}

#[test]
fn any_data_counts_as_a_sign_of_life() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let long = rig.encode([Frame::binary([0; 20])]);
        assert!(rig.next().is_pending());
        for byte in &long[..20] {
            rig.clock.advance_secs(15);
            rig.wire.give([*byte]);
            assert!(rig.next().is_pending());
        }
        assert_eq!(rig.sent(), [], "never 20 s of silence");

        rig.clock.advance_secs(20);
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent().len(), 1, "silence: a ping");
        rig.clock.advance_secs(15);
        rig.wire.give(&long[20..21]);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(15);
        assert!(rig.next().is_pending(), "a byte answers the ping, too");
    }
}

#[test]
fn what_has_arrived_is_read_before_the_peer_is_judged() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(20);
        assert!(rig.next().is_pending());
        rig.receive([Frame::pong(""), Frame::text("alive")]);
        rig.clock.advance_secs(100);
        assert_eq!(rig.settle(), ["alive".into()]);
        assert!(!rig.has_ended());
    }
}

#[test]
fn time_in_which_nobody_polled_does_not_count_against_the_peer() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(1_000);
        assert!(rig.next().is_pending(), "the peer was never asked");
        rig.clock.advance_secs(19);
        assert!(rig.next().is_pending(), "it had less than 20 s to answer");
        for _ in 0..2 {
            rig.clock.advance_secs(20);
            let _ = rig.next();
        }
        assert!(rig.has_ended());
    }
}

#[test]
fn time_in_which_nothing_was_read_does_not_count_against_the_peer() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(20);
        assert!(rig.next().is_pending());
        let ping = rig.sent().pop().expect("a ping after 20 s");

        // Answers that cannot be written stop the reading.
        rig.wire.block_writes();
        rig.peer().send(vec![0; 2 << 20]);
        assert!(rig.next().is_pending());
        rig.receive([Frame::pong(ping.payload)]);
        rig.clock.advance_secs(30);
        assert!(rig.next().is_pending());
        assert!(rig.wire.unread() > 0);

        rig.wire.unblock_writes();
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.wire.unread(), 0);
        assert!(!rig.has_ended());
    }
}

#[test]
fn time_in_which_a_write_goes_on_does_not_count_against_the_peer() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        rig.feed(vec![0; 500_000]);
        for second in 0..90 {
            rig.wire.allow(1_000);
            assert!(rig.next().is_pending(), "it ended after {second} s");
            rig.clock.advance_secs(1);
        }
    }
}

#[test]
fn without_an_interval_there_is_no_keepalive() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().keepalive_interval(None));
        for _ in 0..100 {
            assert!(rig.next().is_pending());
            rig.clock.advance_secs(60);
        }
        assert_eq!(rig.sent(), []);
    }
}

#[test]
fn keepalive_keeps_to_its_configuration() {
    for role in BOTH {
        let config = Config::default()
            .keepalive_interval(Some(Duration::from_secs(3)))
            .keepalive_timeout(Duration::from_secs(2));
        let mut rig = Rig::with(role, config);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(3);
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent().len(), 1);
        rig.clock.advance_secs(2);
        assert_eq!(rig.settle(), []);
        assert!(rig.has_ended());
    }
}

#[test]
fn latency_is_the_time_from_a_ping_to_its_pong() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert_eq!(rig.conn.latency(), None);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(20);
        assert!(rig.next().is_pending());
        let ping = rig.sent().pop().expect("a ping after 20 s");
        assert_eq!(rig.conn.latency(), None);

        rig.clock.advance(Duration::from_millis(30));
        rig.receive([Frame::pong(ping.payload)]);
        assert!(rig.next().is_pending());
        assert_eq!(rig.conn.latency(), Some(Duration::from_millis(30)));
    }
}

#[test]
fn latency_is_measured_though_something_else_comes_before_the_pong() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(20);
        assert!(rig.next().is_pending());
        let ping = rig.sent().pop().expect("a ping after 20 s");
        rig.receive([Frame::ping("of theirs")]);
        assert!(rig.next().is_pending());
        rig.clock.advance(Duration::from_millis(30));
        rig.receive([Frame::pong(&ping.payload)]);
        assert!(rig.next().is_pending());
        assert_eq!(rig.conn.latency(), Some(Duration::from_millis(30)));

        rig.clock.advance(Duration::from_millis(30));
        rig.receive([Frame::pong(ping.payload)]);
        assert!(rig.next().is_pending());
        assert_eq!(
            rig.conn.latency(),
            Some(Duration::from_millis(30)),
            "only the first one counts"
        );
    }
}
