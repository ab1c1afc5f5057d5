//! Ping and pong (RFC 6455, sections 5.5.2 and 5.5.3), keepalive and latency.

mod support;

use std::{cell::RefCell, pin::Pin, task::Poll, time::Duration};

use wsweave::{Bytes, Config, ConnectionExt, Duplex, ErrorKind, Event};

use crate::support::{BOTH, Frame, Rig};

#[test]
fn a_ping_is_answered_with_its_payload() {
    for role in BOTH {
        for payload in ["", "x", &"y".repeat(125)] {
            let mut rig = Rig::new(role);
            rig.receive([Frame::ping(payload)]);
            assert!(rig.next().is_pending());
            assert_eq!(rig.sent(), [Frame::pong(payload)]);
        }
    }
}

#[test]
fn a_ping_between_fragments_is_answered_at_once() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text("a").unfinished(), Frame::ping("now")]);
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent(), [Frame::pong("now")]);
        rig.receive([Frame::continuation("b")]);
        assert_eq!(rig.settle(), ["ab".into()]);
    }
}

#[test]
fn a_ping_after_our_close_is_not_answered() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.close().is_pending());
        rig.receive([Frame::ping("late"), Frame::close(1000, "")]);
        rig.wire.end();
        rig.settle();
        assert_eq!(rig.sent(), [Frame::close(1000, "")]);
    }
}

#[test]
fn a_ping_after_the_peers_close_is_not_answered() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::close(1000, ""), Frame::ping("late")]);
        rig.wire.end();
        rig.settle();
        assert!(rig.sent().iter().all(|frame| frame.payload != b"late"));
    }
}

#[test]
fn an_unasked_pong_is_ignored() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::pong("unasked"), Frame::pong(""), Frame::text("after")]);
        assert_eq!(rig.settle(), ["after".into()]);
        assert_eq!(rig.sent(), []);
    }
}

#[test]
fn pings_are_sent_behind_what_was_queued() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.feed("first");
        rig.conn.ping("second").unwrap();
        rig.peer().ping("third");
        rig.settle();
        assert_eq!(rig.sent(), [Frame::text("first"), Frame::ping("second"), Frame::ping("third")]);
    }
}

#[test]
fn a_ping_of_more_than_125_bytes_is_refused() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let refused = rig.conn.ping(vec![0; 126]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        rig.conn.ping(vec![0; 125]).unwrap();
        rig.settle();
        assert_eq!(rig.sent(), [Frame::ping([0; 125])]);
    }
}

#[test]
fn a_ping_of_more_than_125_bytes_in_a_hook_fails_the_connection() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.peer().ping(vec![0; 126]);
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent_codes(), [Some(1011)]);
        assert!(!rig.finish().clean);
    }
}

#[test]
fn a_ping_after_a_close_is_refused() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let _ = rig.close();
        assert_eq!(rig.conn.ping("late").unwrap_err().kind(), ErrorKind::Closed);
        rig.peer().ping("late too");
        rig.settle();
        assert_eq!(rig.sent(), [Frame::close(1000, "")]);
    }
}

#[test]
fn events_show_control_frames_in_order() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([
            Frame::ping("1"),
            Frame::text("2").unfinished(),
            Frame::pong("3"),
            Frame::continuation(""),
        ]);
        let mut seen = Vec::new();
        while let Poll::Ready(Some(event)) = Pin::new(&mut rig.conn).poll_event(&mut rig.task.cx())
        {
            seen.push(match event {
                Event::Message(message) => ("message", message.into_bytes()),
                Event::Ping(payload) => ("ping", payload),
                Event::Pong(payload) => ("pong", payload),
                other => panic!("{other:?}"),
            });
        }
        let expected = [("ping", "1"), ("pong", "3"), ("message", "2")];
        assert_eq!(seen, expected.map(|(kind, payload)| (kind, Bytes::from(payload))));
        assert_eq!(rig.sent(), [Frame::pong("1")]);
    }
}

#[test]
fn the_pong_is_queued_before_the_hook_sees_the_ping() {
    for role in BOTH {
        let seen = RefCell::new(Vec::new());
        let mut rig = Rig::new(role).weave(|conn| {
            conn.on_ping(|peer, payload| {
                seen.borrow_mut().push(payload.clone());
                peer.send("seen");
            })
        });
        rig.receive([Frame::ping("x")]);
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent(), [Frame::pong("x"), Frame::text("seen")]);
        assert_eq!(*seen.borrow(), ["x"]);
    }
}

#[test]
fn a_flood_of_pings_from_a_peer_that_does_not_read_grows_no_queue() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().outbox_size(10_000));
        rig.wire.block_writes();
        rig.wire.flood(Frame::ping([7; 100]).to(role), 4_096);
        for _ in 0..100 {
            assert!(rig.next().is_pending());
        }
        rig.wire.stop_flood();
        rig.wire.unblock_writes();
        rig.settle();
        let queued = rig.wire.take_written().len();
        assert!(queued <= 10_000 + 2 * 4_096, "{queued} bytes of pongs waited");
        assert!(queued > 0, "the last ping is answered");
    }
}

#[test]
fn reading_goes_on_when_the_pongs_have_gone_out() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().outbox_size(1_000));
        rig.wire.block_writes();
        for _ in 0..100 {
            rig.receive(vec![Frame::ping([7; 100]); 10]);
        }
        rig.receive([Frame::text("behind the flood")]);
        let before = rig.settle();
        rig.wire.unblock_writes();
        let after = rig.settle();
        assert_eq!([before, after].concat(), ["behind the flood".into()]);
        assert_eq!(rig.sent().last(), Some(&Frame::pong([7; 100])));
    }
}

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
