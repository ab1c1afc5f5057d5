//! What is counted of what goes over a connection.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::time::Duration;

use futures::FutureExt;
use wsweave::{Compression, Config, Connection, ConnectionExt, Message, Stats, Traffic};

use crate::support::{BOTH, Frame, Rig, quiet};

fn counts(traffic: Traffic) -> (u64, u64, u64) {
    (traffic.messages, traffic.frames, traffic.payload)
}

#[test]
fn each_kind_of_frame_counts_once_and_fragments_make_one_message() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([
            Frame::text("whole"),
            Frame::ping("ping"),
            Frame::binary("in ").unfinished(),
            Frame::pong("pong"),
            Frame::continuation("three ").unfinished(),
            Frame::continuation("parts"),
        ]);
        assert_eq!(rig.settle().len(), 2);
        rig.feed("answer");
        assert!(rig.next().is_pending());

        let Stats { received, sent, queued, .. } = rig.conn.stats();
        assert_eq!(counts(received), (2, 6, 5 + 14));
        assert_eq!(received.wire, rig.wire.bytes_read() as u64);
        // The answer, and the pong to the ping.
        assert_eq!(counts(sent), (1, 2, 6));
        assert_eq!(sent.wire, rig.wire.take_written().len() as u64);
        assert_eq!(queued, 0);
    }
}

#[test]
fn messages_that_are_cut_into_fragments_count_once() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().fragment_size(Some(4)));
        rig.feed("ten bytes!");
        assert_eq!(counts(rig.conn.stats().sent), (1, 3, 10));
    }
}

#[test]
fn large_messages_count_as_small_ones_do() {
    let message = Message::from(vec![7; 300_000]);
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.feed(message.clone());
        rig.receive([Frame::binary(message.as_bytes())]);
        assert_eq!(rig.message().as_ref(), Some(&message));
        let Stats { received, sent, .. } = rig.conn.stats();
        assert_eq!((counts(received), counts(sent)), ((1, 1, 300_000), (1, 1, 300_000)));
        assert_eq!(received.wire, rig.wire.bytes_read() as u64);
        assert_eq!(sent.wire, rig.wire.take_written().len() as u64);
    }
}

#[test]
fn compressed_messages_count_plain_and_as_they_are_on_the_wire() {
    let on = || quiet().compression(Compression::default().min_size(0));
    let (mut client, mut server) = Connection::pair_with(on(), on());
    let message = Message::from("again and again ".repeat(1_000));
    let talk = async {
        futures::SinkExt::send(&mut client, message.clone()).await.unwrap();
        assert_eq!(futures::StreamExt::next(&mut server).await, Some(message.clone()));
    };
    talk.now_or_never().unwrap();
    let (sent, received) = (client.stats().sent, server.stats().received);
    assert_eq!(sent, received);
    assert_eq!(counts(sent), (1, 1, 16_000));
    assert!((20..200).contains(&sent.wire), "{sent:?}");
}

#[test]
fn what_waits_is_what_is_queued_and_what_handles_have_sent() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.block_writes();
        rig.feed("waits");
        let framed = rig.conn.stats().queued;
        assert!((7..=11).contains(&framed), "{framed}");
        let handle = rig.conn.handle();
        handle.try_send("waits, too").unwrap();
        let queued = rig.conn.stats().queued;
        assert!(queued >= framed + 10, "{queued}");
        assert_eq!(rig.conn.stats().sent.messages, 1, "not in a frame yet");

        rig.wire.unblock_writes();
        assert!(rig.next().is_pending());
        assert_eq!((rig.conn.stats().queued, rig.conn.stats().sent.messages), (0, 2));
    }
}

#[test]
fn it_is_open_from_the_start_to_the_end() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.clock.advance_secs(3);
        let open_for = |rig: &Rig| rig.conn.stats().open_for;
        assert_eq!(open_for(&rig), Some(Duration::from_secs(3)));
        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        assert_eq!(rig.settle(), []);
        assert!(rig.has_ended());
        rig.clock.advance_secs(3);
        assert_eq!(open_for(&rig), Some(Duration::from_secs(3)), "it has ended");
    }
    let (conn, _peer) = Connection::pair_with(quiet(), quiet());
    assert_eq!(conn.stats().open_for, None, "nobody knows without a clock");
}

#[test]
fn a_handle_sees_what_was_when_the_connection_last_waited_and_what_was_at_the_end() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        rig.receive([Frame::text("one"), Frame::text("two")]);
        assert!(rig.next().is_ready());
        assert_eq!(handle.stats().received.messages, 0, "it has not waited");
        assert_eq!(rig.settle().len(), 1);
        assert_eq!(handle.stats().received, rig.conn.stats().received);
        assert_eq!(handle.stats().received.messages, 2);

        handle.try_send("queued").unwrap();
        assert_eq!(handle.stats().queued, rig.conn.stats().queued);
        rig.clock.advance_secs(7);
        assert_eq!(handle.stats().open_for, Some(Duration::from_secs(7)));

        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        assert_eq!(rig.settle(), []);
        rig.clock.advance_secs(7);
        assert_eq!(handle.stats(), rig.conn.stats());
        assert_eq!(handle.stats().open_for, Some(Duration::from_secs(7)));
        assert_eq!(handle.stats().received.frames, 3);
    }
}

#[test]
fn a_handle_knows_when_a_dropped_connection_was_open_no_more() {
    let rig = Rig::new(BOTH[0]);
    let (clock, mut conn) = (rig.clock.clone(), rig.conn);
    let handle = conn.handle();
    clock.advance_secs(2);
    drop(conn);
    clock.advance_secs(2);
    assert_eq!(handle.stats().open_for, Some(Duration::from_secs(2)));
}

#[test]
fn keepalive_s_round_trip_is_in_it() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        assert!(rig.next().is_pending());
        assert_eq!(rig.conn.stats().latency, None);
        rig.clock.advance_secs(20);
        assert!(rig.next().is_pending());
        let [ping] = &*rig.sent() else { panic!("one ping") };
        rig.clock.advance_secs(2);
        rig.receive([Frame::pong(&ping.payload)]);
        assert!(rig.next().is_pending());
        assert_eq!(rig.conn.stats().latency, Some(Duration::from_secs(2)));
        assert_eq!(handle.stats().latency, Some(Duration::from_secs(2)));
    }
}

#[test]
fn hooks_are_looked_through_and_what_a_broken_transport_took_stays_counted() {
    for role in BOTH {
        let mut rig = Rig::new(role)
            .weave(|conn| conn.on_each(|peer, _| peer.send("answer")).on_finish(|_| ()));
        rig.receive([Frame::text("question")]);
        assert!(rig.next().is_ready());
        assert!(rig.next().is_pending());
        let before = rig.conn.stats();
        assert_eq!((counts(before.received), counts(before.sent)), ((1, 1, 8), (1, 1, 6)));
        rig.wire.reset();
        assert_eq!(rig.settle(), []);
        let after = rig.conn.stats();
        assert_eq!((after.received, after.sent, after.queued), (before.received, before.sent, 0));
    }
}
