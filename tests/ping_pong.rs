//! Ping and pong (RFC 6455, sections 5.5.2 and 5.5.3).

mod support;

use std::{cell::RefCell, pin::Pin, task::Poll};

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
