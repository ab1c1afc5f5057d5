//! Peers that vanish, fall silent or never come to an end: each connection ends, in bounded memory.

#[path = "support/allocator.rs"]
mod allocator;
mod support;

use std::task::Poll;

use futures::{SinkExt, StreamExt};
use wsweave::{Config, ConnectionExt, ErrorKind, Initiator, Role};

use crate::support::{BOTH, Frame, Rig, tcp_pair, within};

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

#[test]
fn a_peer_that_vanishes_is_noticed_by_keepalive() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let mut seconds = 0;
        while rig.next().is_pending() {
            seconds += 1;
            assert!(seconds <= 40, "nobody noticed");
            rig.clock.advance_secs(1);
        }
        assert_eq!(seconds, 40);
        assert_eq!(rig.finish().error.unwrap().kind(), ErrorKind::Timeout);
    }
}

#[test]
fn a_peer_that_vanishes_while_it_is_written_to_is_noticed() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().keepalive_interval(None));
        rig.wire.allow(10);
        rig.feed("more than ten bytes");
        let mut seconds = 0;
        while rig.next().is_pending() {
            seconds += 1;
            assert!(seconds <= 40, "nobody noticed");
            rig.clock.advance_secs(1);
        }
        assert!(seconds >= 39);
    }
}

#[test]
fn a_peer_that_never_answers_a_close_is_left() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let mut seconds = 0;
        while rig.close().is_pending() {
            seconds += 1;
            assert!(seconds <= 10, "still waiting");
            rig.receive([Frame::text("what?"), Frame::ping("are you there?")]);
            rig.clock.advance_secs(1);
        }
        assert_eq!(seconds, 10);
        assert_eq!(rig.finish().initiator, Initiator::Us);
    }
}

#[test]
fn a_peer_that_never_ends_its_frames_cannot_hold_up_a_close() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let header = Frame::binary("").keyed((role == Role::Server).then_some([0; 4]));
        rig.wire.give(header.header(10 << 20));
        assert!(rig.close().is_pending());
        for _ in 0..10 {
            rig.wire.give([7; 1_000]);
            assert!(rig.close().is_pending());
            rig.clock.advance_secs(1);
        }
        assert!(matches!(rig.close(), Poll::Ready(Err(_))));
    }
}

#[test]
fn a_reset_in_mid_message_delivers_no_part_of_it() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let message = rig.encode([Frame::text("whole"), Frame::text("never whole")]);
        rig.wire.give(&message[..message.len() - 1]);
        rig.wire.reset();
        assert_eq!(rig.settle(), ["whole".into()]);
        let finish = rig.finish();
        assert_eq!((finish.initiator, finish.code.0), (Initiator::Network, 1006));
        assert_eq!(finish.error.unwrap().kind(), ErrorKind::Io);
    }
}

#[test]
fn a_peer_that_connects_and_leaves_is_an_unclean_end() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.end();
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.finish().code, 1006);
    }
}

#[test]
fn endless_fragments_end_at_a_limit_in_bounded_memory() {
    for role in BOTH {
        for (size, code) in [(0, 1008), (1, 1008), (1_000, 1009)] {
            let mut rig = Rig::with(role, Config::default().max_message_size(1 << 20));
            rig.receive([Frame::binary("").unfinished()]);
            let fragment = Frame::continuation(vec![7; size]).unfinished().to(role);
            rig.wire.flood(fragment, 4_000);
            let peak = allocator::peak_of(|| assert_eq!(rig.settle(), []));
            assert_eq!(rig.finish().code, code, "fragments of {size} bytes");
            assert!(peak < 8 << 20, "fragments of {size} bytes: {peak} bytes held");
        }
    }
}

#[test]
fn announcing_2_to_the_62nd_bytes_fails_at_once_and_costs_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let header = Frame::binary("").keyed((role == Role::Server).then_some([0; 4]));
        rig.wire.give(header.header(1 << 62));
        let peak = allocator::peak_of(|| assert_eq!(rig.settle(), []));
        assert_eq!(rig.finish().code, 1009);
        assert!(peak < 300_000, "{peak} bytes held");
    }
}

#[test]
fn a_peer_that_only_sends_is_read_in_bounded_memory() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        rig.wire.flood(Frame::ping([7; 125]).to(role), 8_192);
        let peak = allocator::peak_of(|| {
            for _ in 0..50 {
                assert!(rig.next().is_pending());
            }
        });
        assert!(peak < 4 << 20, "{peak} bytes held for pongs that nobody reads");
    }
}

#[test]
fn over_tcp_a_peer_that_resets_is_noticed() {
    within(async {
        let [mut client, mut server] = tcp_pair(&Config::default());
        client.send("unread".into()).await.unwrap();
        // A socket that is closed with unread data resets.
        server.abort();
        drop(server);
        assert_eq!(client.next().await, None);
        assert!(!client.finish().unwrap().clean);
    });
}
