//! What compressed messages may cost.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

#[path = "support/allocator.rs"]
mod allocator;
mod support;

use flate2::{Compress, FlushCompress};
use wsweave::{CloseCode, Compression, Config, ConnectionExt, ErrorKind, Message, Role};

use crate::support::{BOTH, Frame, Rig};

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

const RSV1: u8 = 4;
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

fn rig(role: Role, config: Config) -> Rig {
    let extension = match role {
        Role::Client => "permessage-deflate",
        Role::Server => "permessage-deflate; client_max_window_bits",
    };
    Rig::deflating(role, config, extension)
}

/// `len` zeros, compressed.
fn zeros(len: usize) -> Vec<u8> {
    let mut stream = Compress::new(flate2::Compression::best(), false);
    let mut out = Vec::with_capacity(len / 1_000 + 1_000);
    stream.compress_vec(&vec![0; len], &mut out, FlushCompress::Sync).unwrap();
    out.truncate(out.len() - 4);
    out
}

fn bomb(payload: Vec<u8>) -> Frame {
    Frame::binary(payload).with_rsv(RSV1)
}

#[test]
fn a_bomb_stops_at_the_limit_having_allocated_no_more() {
    let mebibyte = [zeros(1 << 20), TAIL.to_vec()].concat();
    let payload = mebibyte.repeat(1 << 10);
    assert!(payload.len() < 2 << 20, "it would be 1 GiB");
    for role in BOTH {
        for limit in [1_000, 1 << 20, 16 << 20] {
            let mut rig = rig(role, Config::default().max_message_size(limit));
            rig.receive([bomb(payload.clone())]);
            let peak = allocator::peak_of(|| assert_eq!(rig.settle(), []));
            let finish = rig.finish();
            assert_eq!(finish.code, CloseCode::MESSAGE_TOO_BIG);
            assert_eq!(finish.error.unwrap().kind(), ErrorKind::LimitExceeded);
            assert_eq!(rig.sent_codes(), [Some(1009)]);
            let allowed = limit + 300_000;
            assert!(peak < allowed, "{peak} bytes allocated with a limit of {limit}");
        }
    }
}

#[test]
fn a_message_of_exactly_the_limit_passes_and_one_byte_more_fails() {
    for role in BOTH {
        for limit in [0, 1, 63, 64, 65, 1_000, 70_000] {
            let mut rig = rig(role, Config::default().max_message_size(limit));
            rig.receive([bomb(zeros(limit)), bomb(zeros(limit + 1))]);
            assert_eq!(rig.settle(), [Message::from(vec![0; limit])], "{limit}");
            assert_eq!(rig.finish().code, CloseCode::MESSAGE_TOO_BIG);
        }
    }
}

#[test]
fn the_limit_counts_all_fragments() {
    for role in BOTH {
        let mut rig = rig(role, Config::default().max_message_size(100));
        let mut start = zeros(101);
        let end = start.split_off(3);
        rig.receive([bomb(start).unfinished(), Frame::continuation(end)]);
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.finish().code, CloseCode::MESSAGE_TOO_BIG);
    }
}

#[test]
fn a_compressed_frame_may_be_larger_than_what_is_in_it_but_not_than_a_frame() {
    for role in BOTH {
        let stored = [0x00, 0x03, 0x00, 0xfc, 0xff, 1, 2, 3, 0x00];
        let mut rig = rig(role, Config::default().max_message_size(3).max_frame_size(9));
        rig.receive([bomb(stored.to_vec()), bomb([&[0x02, 0x00][..], &stored].concat())]);
        assert_eq!(rig.settle(), [vec![1, 2, 3].into()]);
        assert_eq!(rig.finish().code, CloseCode::MESSAGE_TOO_BIG);
    }
}

/// The buffers of the thread are not the connection's.
fn warm_up() {
    let mut rig = Rig::new(Role::Server);
    rig.receive([Frame::text("plain")]);
    rig.feed("plain");
    assert_eq!(rig.settle().len(), 1);
}

/// What a connection holds after 10 KB have come, and what it holds more after 10 KB have gone,
/// compressed.
fn held(role: Role, compression: Compression) -> [usize; 2] {
    let config = Config::default().compression(compression);
    let extension = match role {
        Role::Server => "permessage-deflate; client_max_window_bits",
        Role::Client => {
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9; \
             server_no_context_takeover; client_no_context_takeover"
        }
    };
    warm_up();
    let mut rig = Rig::deflating(role, config, extension);
    let inflater = allocator::held_after(|| {
        rig.receive([bomb(zeros(10_000))]);
        assert_eq!(rig.settle().len(), 1);
    });
    let deflater = allocator::held_after(|| {
        rig.feed(vec![7; 10_000]);
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent().len(), 1);
    });
    [inflater, deflater]
}

#[test]
fn a_connection_holds_as_much_as_is_documented() {
    let most = Compression::default();
    let bits = |bits| most.clone().server_max_window_bits(bits).client_max_window_bits(bits);
    for (compression, documented) in [
        (most.clone(), [48_000, 380_000]),
        (bits(12), [48_000, 266_000]),
        (bits(9), [48_000, 252_000]),
    ] {
        let held = held(Role::Server, compression);
        for (held, documented) in held.into_iter().zip(documented) {
            assert!(held.abs_diff(documented) < 2_000, "{held} of {documented}");
        }
    }
    let none = most.server_no_context_takeover(true).client_no_context_takeover(true);
    for held in [held(Role::Server, none), held(Role::Client, Compression::default())] {
        assert!(held.iter().all(|&held| held < 1_000), "{held:?}");
    }
}

#[test]
fn a_connection_that_compresses_nothing_holds_nothing() {
    warm_up();
    for role in BOTH {
        let mut rig = rig(role, Config::default());
        let held = allocator::held_after(|| {
            rig.receive([Frame::text("plain")]);
            rig.feed("small");
            assert_eq!(rig.settle().len(), 1);
            assert_eq!(rig.sent().len(), 1);
        });
        assert!(held < 1_000, "{held}");
    }
}

/// Agrees with the peer on a window of so many bits for what it sends.
fn rig_with_window(role: Role, bits: u8) -> Rig {
    let side = if role == Role::Server { "client" } else { "server" };
    let extension = format!("permessage-deflate; {side}_max_window_bits={bits}");
    Rig::deflating(role, Config::default(), &extension)
}

#[test]
fn final_blocks_without_end_cost_as_much_as_they_weigh() {
    for role in BOTH {
        for bits in [8, 9, 15] {
            let mut rig = rig_with_window(role, bits);
            let payload = [0x03, 0x00].repeat(50_000);
            rig.receive([bomb([&payload[..], &[0x00]].concat())]);
            let total = allocator::total_of(|| assert_eq!(rig.settle(), [Message::from(vec![])]));
            assert!(total < 300_000 + 5 * payload.len(), "{bits} bits: {total} bytes allocated");
        }
    }
}

#[test]
fn what_is_inflated_counts_as_work_so_that_others_have_their_turn() {
    let large = zeros(2 << 20);
    let (start, end) = large.split_at(3);
    let floods = [
        vec![bomb(large.clone())],
        vec![bomb(start.to_vec()).unfinished(), Frame::continuation(end)],
    ];
    for role in BOTH {
        for flood in &floods {
            let rig = rig(role, Config::default());
            rig.wire.flood(rig.encode(flood.clone()), 8_192);
            let mut rig = rig.weave(ConnectionExt::run);
            for _ in 0..3 {
                let wakes = rig.task.wakes();
                let total =
                    allocator::total_of(|| assert!(rig.task.poll(&mut rig.conn).is_pending()));
                assert!(total < 10 << 20, "{total} bytes allocated in one poll");
                assert!(rig.task.wakes() > wakes);
            }
        }
    }
}

#[test]
fn a_flood_of_tiny_compressed_messages_leaves_others_their_turn() {
    for role in BOTH {
        let rig = rig(role, Config::default());
        rig.wire.flood(rig.encode([bomb(vec![0x02, 0x00])]), 8_192);
        let mut messages = 0;
        let mut rig = rig.weave(|conn| conn.on_each(|_, _| messages += 1).run());
        for _ in 0..3 {
            assert!(rig.task.poll(&mut rig.conn).is_pending());
        }
        drop(rig);
        assert!((100..10_000).contains(&messages), "{messages} in three polls");
    }
}

#[test]
fn a_compressed_message_in_crumbs_costs_as_much_as_it_weighs() {
    for role in BOTH {
        let [few, many] = [10_000, 40_000].map(|count| {
            let mut rig = rig(role, Config::default());
            // Each is a block of one byte, stored.
            let byte = [0x00, 0x01, 0x00, 0xfe, 0xff, 7];
            let crumb = Frame::continuation(byte).unfinished();
            rig.receive([bomb([zeros(1 << 20), TAIL.to_vec()].concat()).unfinished()]);
            rig.wire.give_in_pieces(&rig.encode([crumb]).repeat(count), 64 << 10);
            rig.receive([Frame::continuation([0x00])]);
            allocator::total_of(|| {
                let messages = rig.settle();
                assert_eq!(messages[0].len(), (1 << 20) + count);
            })
        });
        assert!(many < few + (4 << 20), "{few} bytes for a part, {many} for four times as much");
    }
}
