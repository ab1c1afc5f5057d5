//! Messages and sending: what travels, and how it looks on the wire (RFC 6455, sections 5.2 to 5.6).

mod support;

use std::{collections::HashSet, task::Poll};

use futures::{FutureExt, SinkExt, StreamExt, stream::FusedStream};
use wsweave::{Bytes, Config, Connection, ConnectionExt, ErrorKind, Message, Role, Text};

use crate::support::{BOTH, Frame, Pool, Rig, Task, Wire, parse, quiet};

#[test]
fn text_and_binary_arrive_as_what_they_are() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text("grüezi"), Frame::binary([0, 255, 128])]);
        assert_eq!(rig.settle(), ["grüezi".into(), Message::from(vec![0, 255, 128])]);
    }
}

#[test]
fn empty_messages_and_a_zero_are_real() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text(""), Frame::binary(""), Frame::text("0")]);
        assert_eq!(rig.settle(), [Message::from(""), Message::from(vec![]), Message::from("0")]);

        for message in ["".into(), Message::from(vec![]), "0".into()] {
            rig.feed(message);
        }
        rig.settle();
        assert_eq!(rig.sent(), [Frame::text(""), Frame::binary(""), Frame::text("0")]);
    }
}

#[test]
fn every_kind_of_payload_is_sent_as_its_kind() {
    let texts: [Message; 3] = ["a".into(), String::from("a").into(), Text::from("a").into()];
    let binaries: [Message; 4] = [
        vec![b'a'].into(),
        Bytes::from_static(b"a").into(),
        (b"a" as &'static [u8]).into(),
        b"a".into(),
    ];
    for role in BOTH {
        let mut rig = Rig::new(role);
        texts.iter().cloned().for_each(|message| rig.feed(message));
        binaries.iter().cloned().for_each(|message| rig.feed(message));
        rig.settle();
        let sent = rig.sent();
        assert_eq!(sent[..3], [Frame::text("a"), Frame::text("a"), Frame::text("a")]);
        assert!(sent[3..].iter().all(|frame| *frame == Frame::binary("a")));
        assert_eq!(sent.len(), 7);
    }
}

#[test]
fn a_message_of_any_size_is_one_frame_with_the_shortest_length() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        for size in [1, 125, 126, 127, 65_535, 65_536, 3 << 20] {
            let payload: Vec<u8> = (0..=255).cycle().take(size).collect();
            rig.feed(payload.clone());
            rig.settle();
            assert_eq!(rig.sent(), [Frame::binary(&payload)], "{size} bytes");

            rig.receive([Frame::binary(&payload)]);
            assert_eq!(rig.settle(), [Message::from(payload)]);
        }
    }
}

#[test]
fn a_client_masks_every_frame_with_a_fresh_key() {
    let mut rig = Rig::new(Role::Client);
    for _ in 0..500 {
        rig.feed("again");
    }
    rig.settle();
    let written = rig.wire.take_written();
    let (frames, _) = parse(&written);
    let keys: HashSet<_> = frames.iter().map(|frame| frame.key.expect("masked")).collect();
    assert!(keys.len() > 498, "{} keys for 500 frames", keys.len());
    assert!(frames.iter().all(|frame| frame.payload == b"again"));
}

#[test]
fn masking_leaves_other_owners_of_the_payload_alone() {
    let expected: Vec<u8> = (0..251).cycle().take(200_000).collect();
    let shared = Bytes::from(expected.clone());
    let mut rig = Rig::new(Role::Client);
    let ends = [1, 100, 4096, 4097, 5_001, 20_030, 32_768, 32_769, 100_015, 200_000];
    let ranges: Vec<_> =
        ends.into_iter().zip((0..4).cycle()).map(|(end, start)| start..end).collect();
    for range in &ranges {
        rig.feed(shared.slice(range.clone()));
    }
    rig.settle();
    let expected_frames = ranges.into_iter().map(|range| Frame::binary(&expected[range]));
    assert_eq!(rig.sent(), expected_frames.collect::<Vec<_>>());
    assert_eq!(shared, expected);
}

#[test]
fn a_message_may_come_in_fragments_with_control_frames_between() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([
            Frame::text("frag").unfinished(),
            Frame::ping("between"),
            Frame::continuation("").unfinished(),
            Frame::pong("unasked"),
            Frame::continuation("ments"),
            Frame::binary("whole"),
        ]);
        assert_eq!(rig.settle(), ["fragments".into(), Message::from(b"whole")]);
        assert_eq!(rig.sent(), [Frame::pong("between")]);
    }
}

#[test]
fn a_message_may_come_byte_by_byte() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let payload: String = "zwölf Boxkämpfer ".repeat(20);
        let bytes = rig.encode([
            Frame::text(&payload),
            Frame::text([0xe2]).unfinished(),
            Frame::continuation([0x82]).unfinished(),
            Frame::continuation([0xac]),
        ]);
        rig.wire.give_in_pieces(&bytes, 1);
        assert_eq!(rig.settle(), [payload.into(), Message::from("€")]);
    }
}

#[test]
fn nothing_is_read_before_the_first_poll() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text("early")]);
        assert_eq!(rig.wire.reads(), 0);
        assert_eq!(rig.next(), Poll::Ready(Some("early".into())));
    }
}

#[test]
fn bytes_that_came_with_the_handshake_are_delivered_first() {
    for role in BOTH {
        let (script, wire) = Wire::new();
        let early = [Frame::text("first").to(role), Frame::text("second").to(role)].concat();
        let (leftover, later) = early.split_at(9);
        let mut conn = Connection::from_partially_read(
            script,
            Bytes::copy_from_slice(leftover),
            role,
            quiet(),
        );
        wire.give(later);
        let task = Task::new();
        assert_eq!(task.next(&mut conn), Poll::Ready(Some("first".into())));
        assert_eq!(task.next(&mut conn), Poll::Ready(Some("second".into())));
    }
}

#[test]
fn leftover_bytes_alone_are_enough_for_a_message() {
    let (script, wire) = Wire::new();
    let leftover = Frame::text("whole").to(Role::Server);
    let mut conn = Connection::from_partially_read(script, leftover, Role::Server, quiet());
    assert_eq!(Task::new().next(&mut conn), Poll::Ready(Some("whole".into())));
    assert_eq!(wire.bytes_read(), 0);
}

#[test]
fn sending_after_a_close_is_an_error_and_writes_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let _ = rig.close();
        rig.sent();
        let refused = rig.conn.start_send_unpin("late".into()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        assert!(matches!(rig.conn.send("late".into()).now_or_never(), Some(Err(_))));
        rig.settle();
        assert_eq!(rig.sent(), []);
    }
}

#[test]
fn sending_after_the_peers_close_is_an_error() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::close(1000, "")]);
        rig.settle();
        let refused = rig.conn.start_send_unpin("late".into()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
    }
}

#[test]
fn a_hook_may_send_after_a_close_and_is_not_heard() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let mut peer = rig.peer();
        assert!(peer.is_open());
        peer.send("before");
        peer.close_with(4000, "enough");
        assert!(!peer.is_open());
        peer.send("after");
        rig.settle();
        assert_eq!(rig.sent(), [Frame::text("before"), Frame::close(4000, "enough")]);
    }
}

#[test]
fn what_was_received_can_be_sent() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text("ä"), Frame::binary([1, 2]), Frame::text("")]);
        for message in rig.settle() {
            rig.feed(message);
        }
        rig.settle();
        assert_eq!(rig.sent(), [Frame::text("ä"), Frame::binary([1, 2]), Frame::text("")]);
    }
}

#[test]
fn one_connection_pipes_into_another() {
    let (mut source, inlet) = Connection::pair_with(quiet(), quiet());
    let (outlet, mut target) = Connection::pair_with(quiet(), quiet());
    let mut got = Vec::new();
    let mut pool = Pool::default();
    pool.spawn(async {
        for n in 0..100 {
            source.send(format!("{n}").into()).await.unwrap();
        }
        source.close().await.unwrap();
    });
    pool.spawn(async { inlet.map(Ok).forward(outlet).await.unwrap() });
    pool.spawn(async { got.extend((&mut target).collect::<Vec<_>>().await) });
    assert!(pool.run());
    drop(pool);
    assert_eq!(got, (0..100).map(|n| n.to_string().into()).collect::<Vec<Message>>());
    assert!(target.finish().unwrap().clean);
}

#[test]
fn the_stream_ends_once_and_stays_ended() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text("last"), Frame::close(1000, "")]);
        rig.wire.end();
        assert_eq!(rig.next(), Poll::Ready(Some("last".into())));
        assert!(!rig.conn.is_terminated());
        assert_eq!(rig.settle(), []);
        for _ in 0..3 {
            assert_eq!(rig.next(), Poll::Ready(None));
            assert!(rig.conn.is_terminated());
        }
    }
}

#[test]
fn a_pair_is_a_client_and_a_server() {
    let small = Config::default().max_message_size(4).no_timer();
    let (mut client, mut server) = Connection::pair_with(small, quiet());
    let mut pool = Pool::default();
    pool.spawn(async {
        client.send("to the server".into()).await.unwrap();
        assert_eq!(client.next().await, Some("4 ok".into()));
        assert_eq!(client.next().await, None);
    });
    pool.spawn(async {
        assert_eq!(server.next().await, Some("to the server".into()));
        server.send("4 ok".into()).await.unwrap();
        server.send("5 bytes".into()).await.unwrap();
        assert_eq!(server.next().await, None);
    });
    assert!(pool.run());
    drop(pool);
    assert_eq!(server.finish().unwrap().code, 1009);
}
