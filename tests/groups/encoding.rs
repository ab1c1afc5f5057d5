//! That a message is encoded once, whoever gets it.

use flate2::{Decompress, FlushDecompress};
use wsweave::{
    Bytes, Compression, Config, ConnectionExt, Group, LagPolicy, Membership, Message, Role,
};

use crate::support::{Frame, Rig};

fn compressing() -> Config {
    Config::default().compression(Compression::default().min_size(0))
}

fn join(group: &Group, mut rig: Rig) -> (Rig, Membership) {
    let membership = group.join_with("t", &rig.conn.handle(), LagPolicy::default()).unwrap();
    assert!(rig.next().is_pending());
    (rig, membership)
}

fn deflating(extension: &str) -> Rig {
    Rig::deflating(Role::Server, compressing(), extension)
}

fn inflated(frame: &Frame) -> Vec<u8> {
    assert_eq!(frame.rsv, 4, "compressed");
    let mut out = Vec::with_capacity(100_000);
    let payload = [&frame.payload[..], &[0, 0, 0xff, 0xff]].concat();
    Decompress::new(false).decompress_vec(&payload, &mut out, FlushDecompress::Sync).unwrap();
    out
}

#[test]
fn large_payloads_are_shared_and_not_copied() {
    let group = Group::new();
    let members: Vec<_> = (0..10).map(|_| join(&group, Rig::new(Role::Server))).collect();
    let payload = Bytes::from(vec![7; 100_000]);
    for (rig, _) in &members {
        rig.wire.block_writes();
    }
    group.publish("t", Message::from(payload.clone()));
    let mut members = members;
    let held = super::allocator::held_after(|| {
        for (rig, _) in &mut members {
            assert!(rig.next().is_pending());
        }
    });
    assert!(held < 20_000, "{held} bytes for 10 connections");
    for (rig, _) in &mut members {
        rig.wire.unblock_writes();
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent(), [Frame::binary(&payload)]);
    }
}

#[test]
fn members_of_every_kind_get_the_message() {
    let group = Group::new();
    let text = "la ".repeat(2_000);
    let fragmenting = Config::default().fragment_size(Some(4_000));
    let mut members = [
        Rig::new(Role::Server),
        Rig::new(Role::Client),
        Rig::with(Role::Server, fragmenting),
        deflating("permessage-deflate; server_no_context_takeover"),
        deflating("permessage-deflate; server_no_context_takeover; server_max_window_bits=9"),
        deflating("permessage-deflate"),
        Rig::deflating(Role::Client, compressing(), "permessage-deflate"),
    ]
    .map(|rig| join(&group, rig));
    for _ in 0..2 {
        assert_eq!(group.publish("t", text.as_str()), 7);
        let sent = members.each_mut().map(|(rig, _)| {
            assert!(rig.next().is_pending());
            rig.sent()
        });
        assert_eq!(sent[0], [Frame::text(&text)]);
        assert_eq!(sent[1], [Frame::text(&text)]);
        assert_eq!((sent[2].len(), sent[2][0].payload.len()), (2, 4_000));
        for alone in &sent[3..5] {
            assert_eq!(alone.len(), 1);
            assert_eq!(inflated(&alone[0]), text.as_bytes());
        }
        for other in &sent[5..] {
            assert_eq!((other.len(), other[0].rsv), (1, 4));
        }
    }
}

#[test]
fn members_that_compress_without_context_share_one_compressed_frame() {
    let group = Group::new();
    let filtered = "permessage-deflate; server_no_context_takeover";
    let mut members: Vec<_> = (0..20).map(|_| join(&group, deflating(filtered))).collect();
    let text = "la ".repeat(2_000);
    let instrumented = |members: &mut [(Rig, Membership)]| {
        super::allocator::total_of(|| {
            for (rig, _) in members {
                assert!(rig.next().is_pending());
            }
        })
    };
    group.publish("t", text.as_str());
    let first = instrumented(&mut members[..1]);
    let others = instrumented(&mut members[1..]);
    // A compressor takes 250 KB and more.
    assert!(first > 200_000, "{first}");
    assert!(others < 100_000, "{others}");
    let frames: Vec<_> = members.iter().map(|(rig, _)| rig.sent()).collect();
    assert!(frames.iter().all(|sent| *sent == frames[0]));
    assert_eq!(inflated(&frames[0][0]), text.as_bytes());
}

#[test]
fn what_a_configuration_keeps_plain_is_plain_for_that_member() {
    let group = Group::new();
    let extension = "permessage-deflate; server_no_context_takeover";
    let picky = Compression::default().min_size(0).only(Message::is_binary);
    let picky = Rig::deflating(Role::Server, Config::default().compression(picky), extension);
    let mut members = [picky, deflating(extension)].map(|rig| join(&group, rig));
    let text = "la ".repeat(2_000);
    group.publish("t", text.as_str());
    let sent = members.each_mut().map(|(rig, _)| {
        assert!(rig.next().is_pending());
        rig.sent()
    });
    assert_eq!(sent[0], [Frame::text(&text)]);
    assert_eq!(inflated(&sent[1][0]), text.as_bytes());
}

#[test]
fn what_compression_makes_larger_goes_plain() {
    let group = Group::new();
    let (mut rig, _member) =
        join(&group, deflating("permessage-deflate; server_no_context_takeover"));
    group.publish("t", "q7");
    assert!(rig.next().is_pending());
    assert_eq!(rig.sent(), [Frame::text("q7")]);
}

#[test]
fn a_published_message_counts_like_any_other() {
    let group = Group::new();
    let (mut rig, _member) = join(&group, Rig::new(Role::Server));
    group.publish("t", "12345");
    assert!(rig.next().is_pending());
    let sent = rig.conn.stats().sent;
    assert_eq!((sent.messages, sent.frames, sent.payload, sent.wire), (1, 1, 5, 7));
}
