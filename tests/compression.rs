//! Compressed messages (RFC 7692, sections 6 and 7.2), made and read by the tests with zlib directly.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use futures::{FutureExt, SinkExt, StreamExt};
use wsweave::{
    CloseCode, Compression, Config, Connection, ConnectionExt, ErrorKind, Initiator, Message, Role,
};

use crate::support::{BOTH, Frame, Rig, quiet};

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
const RSV1: u8 = 4;

/// "Hello" as RFC 7692, section 7.2.3.1, gives it.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn on() -> Config {
    Config::default().compression(Compression::default().min_size(0))
}

fn rig(role: Role) -> Rig {
    Rig::deflating(role, on(), "permessage-deflate")
}

fn compressed(frame: Frame) -> Frame {
    frame.with_rsv(RSV1)
}

/// What a peer makes of messages, one after another.
fn deflate(stream: &mut Compress, message: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.as_ref().len() + 1_000);
    stream.compress_vec(message.as_ref(), &mut out, FlushCompress::Sync).unwrap();
    assert!(out.ends_with(&TAIL) && out.len() < out.capacity());
    out.truncate(out.len() - TAIL.len());
    out
}

fn compressor() -> Compress {
    Compress::new(flate2::Compression::default(), false)
}

fn inflate(stream: &mut Decompress, payload: &[u8], len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 100);
    let payload = [payload, &TAIL].concat();
    stream.decompress_vec(&payload, &mut out, FlushDecompress::Sync).unwrap();
    out
}

fn assert_failed(rig: &Rig, code: u16, kind: ErrorKind) {
    let finish = rig.finish();
    assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode(code)), "{finish:?}");
    assert_eq!(finish.error.map(|error| error.kind()), Some(kind));
    assert_eq!(rig.sent_codes(), [Some(code)]);
}

/// Bytes that no compressor makes smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// Text that compresses, and refers far back.
fn prose(len: usize) -> String {
    let mut words = noise(2_000).into_iter().map(|byte| format!("{byte:o} ")).cycle();
    let mut text = String::new();
    while text.len() < len {
        text += &words.next().unwrap();
    }
    text
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    for role in BOTH {
        let mut rig = rig(role);
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let two_blocks =
            [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
        let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
        let payloads: [&[u8]; 6] = [&HELLO, &again, &stored, &two_blocks, &last, &HELLO];
        rig.receive(payloads.map(|payload| compressed(Frame::text(payload))));
        assert_eq!(rig.settle(), vec![Message::from("Hello"); 6]);
        rig.receive([compressed(Frame::text([0x00])), compressed(Frame::binary([]))]);
        assert_eq!(rig.settle(), ["".into(), Message::from(Vec::new())]);
    }
}

#[test]
fn compressed_and_plain_messages_and_control_frames_mix() {
    for role in BOTH {
        let mut rig = rig(role);
        let mut peer = compressor();
        let [first, second] = ["one one one", "two one one"].map(|text| deflate(&mut peer, text));
        let (start, end) = second.split_at(3);
        rig.receive([
            Frame::text("plain"),
            compressed(Frame::text(first)),
            Frame::binary("plain").unfinished(),
            Frame::continuation(" and whole"),
            compressed(Frame::text(start).unfinished()),
            Frame::ping("?"),
            Frame::continuation("").unfinished(),
            Frame::continuation(end),
        ]);
        let binary = Message::from(b"plain and whole".to_vec());
        assert_eq!(
            rig.settle(),
            ["plain".into(), "one one one".into(), binary, "two one one".into()]
        );
        assert_eq!(rig.sent(), [Frame::pong("?")]);
    }
}

#[test]
fn a_message_may_arrive_in_any_pieces() {
    let text = prose(3_000);
    for role in BOTH {
        for size in [1, 2, 7, 100, 1_000] {
            let mut rig = rig(role);
            let payload = deflate(&mut compressor(), &text);
            let half = payload.len() / 2;
            let frames = rig.encode([
                compressed(Frame::text(&payload[..half]).unfinished()),
                Frame::continuation(&payload[half..]),
            ]);
            rig.wire.give_in_pieces(&frames, size);
            assert_eq!(rig.settle(), [text.as_str().into()], "pieces of {size}");
        }
    }
}

#[test]
fn what_is_sent_is_compressed_with_what_went_before() {
    let text = prose(2_000);
    for role in BOTH {
        let mut rig = rig(role);
        let mut peer = Decompress::new(false);
        let mut sizes = Vec::new();
        for _ in 0..2 {
            rig.feed(text.as_str());
            assert_eq!(rig.settle(), []);
            let [frame] = rig.sent().try_into().unwrap();
            assert_eq!((frame.fin, frame.rsv, frame.opcode), (true, RSV1, 1));
            assert_eq!(inflate(&mut peer, &frame.payload, text.len()), text.as_bytes());
            sizes.push(frame.payload.len());
        }
        assert!(sizes[0] < text.len() * 3 / 4 && sizes[1] < 100, "{sizes:?}");
    }
}

#[test]
fn without_context_takeover_each_message_stands_alone() {
    let text = prose(2_000);
    for (role, parameter) in
        [(Role::Server, "server_no_context_takeover"), (Role::Client, "client_no_context_takeover")]
    {
        let mut rig = Rig::deflating(role, on(), &format!("permessage-deflate; {parameter}"));
        for _ in 0..2 {
            rig.feed(text.as_str());
            assert_eq!(rig.settle(), []);
            let [frame] = rig.sent().try_into().unwrap();
            let payload = inflate(&mut Decompress::new(false), &frame.payload, text.len());
            assert_eq!(payload, text.as_bytes());
        }
    }
}

#[test]
fn what_would_grow_goes_plain_if_nothing_later_counts_on_it() {
    let noise = noise(1_000);
    for (extension, rsv) in [
        ("permessage-deflate", RSV1),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", 0),
    ] {
        for role in BOTH {
            let mut rig = Rig::deflating(role, on(), extension);
            let mut peer = Decompress::new(false);
            for _ in 0..2 {
                rig.feed(noise.clone());
                assert_eq!(rig.settle(), []);
                let [frame] = rig.sent().try_into().unwrap();
                assert_eq!(frame.rsv, rsv);
                match rsv {
                    0 => assert!(frame.payload == noise),
                    _ => assert!(inflate(&mut peer, &frame.payload, noise.len()) == noise),
                }
            }
        }
    }
}

#[test]
fn a_peer_without_context_takeover_is_not_let_refer_to_earlier_messages() {
    for (role, parameter) in
        [(Role::Client, "server_no_context_takeover"), (Role::Server, "client_no_context_takeover")]
    {
        let mut rig = Rig::deflating(role, on(), &format!("permessage-deflate; {parameter}"));
        let mut peer = compressor();
        let payloads = [0; 2].map(|_| deflate(&mut peer, prose(1_000)));
        rig.receive(payloads.map(|payload| compressed(Frame::text(payload))));
        assert_eq!(rig.settle(), [prose(1_000).into()]);
        assert_failed(&rig, 1007, ErrorKind::InvalidDeflate);
    }
}

#[test]
fn what_is_sent_refers_no_further_back_than_the_window() {
    for bits in 9..15 {
        // What would make it smaller is just out of reach.
        let message = noise((1 << bits) + 1).repeat(3);
        for level in [1, 2, 6, 9] {
            for (role, parameter) in
                [(Role::Server, "server_max_window_bits"), (Role::Client, "client_max_window_bits")]
            {
                let config = Config::default().compression(Compression::default().level(level));
                let extension = format!("permessage-deflate; {parameter}={bits}");
                let mut rig = Rig::deflating(role, config, &extension);
                rig.feed(message.clone());
                assert_eq!(rig.settle(), []);
                let payload = rig.sent().remove(0).payload;
                assert!(payload.len() > message.len(), "{bits} bits at level {level}");
                let inflated = inflate(&mut Decompress::new(false), &payload, message.len());
                assert!(inflated == message);
            }
        }
    }
}

#[test]
fn a_client_with_a_window_of_8_bits_sends_plain() {
    let mut rig = Rig::deflating(
        Role::Client,
        on(),
        "permessage-deflate; client_max_window_bits=8; server_max_window_bits=8",
    );
    rig.feed("Hello");
    rig.receive([compressed(Frame::text(HELLO))]);
    assert_eq!(rig.settle(), ["Hello".into()]);
    assert_eq!(rig.sent(), [Frame::text("Hello")]);
}

#[test]
fn small_and_unwanted_messages_go_plain() {
    let compression = Compression::default().min_size(10).only(Message::is_text);
    let config = Config::default().compression(compression);
    for role in BOTH {
        let mut rig = Rig::deflating(role, config.clone(), "permessage-deflate");
        let messages: [Message; 4] =
            ["nine char".into(), "ten chars!".into(), vec![7; 100].into(), "".into()];
        for message in messages {
            rig.feed(message);
        }
        assert_eq!(rig.settle(), []);
        let sent: Vec<_> = rig.sent().into_iter().map(|frame| frame.rsv).collect();
        assert_eq!(sent, [0, RSV1, 0, 0]);
    }
}

#[test]
fn an_empty_message_goes_plain_whatever_the_least_size() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.feed("");
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent(), [Frame::text("")]);
    }
}

#[test]
fn only_the_first_fragment_is_marked() {
    for role in BOTH {
        let mut rig = Rig::deflating(role, on().fragment_size(Some(100)), "permessage-deflate");
        let noise = noise(1_000);
        rig.feed(noise.clone());
        assert_eq!(rig.settle(), []);
        let frames = rig.sent();
        assert_eq!((frames[0].rsv, frames[0].opcode, frames[0].fin), (RSV1, 2, false));
        assert!(frames[1..].iter().all(|frame| (frame.rsv, frame.opcode) == (0, 0)));
        assert!(frames.iter().all(|frame| frame.payload.len() <= 100));
        let payload = frames.iter().flat_map(|frame| frame.payload.clone()).collect::<Vec<_>>();
        assert_eq!(inflate(&mut Decompress::new(false), &payload, 1_000), noise);
    }
}

#[test]
fn rsv1_where_no_message_starts_breaks_the_protocol() {
    let cases: [&[Frame]; 5] = [
        &[Frame::ping("")],
        &[Frame::pong("")],
        &[Frame::close(1000, "")],
        &[Frame::text("a").unfinished(), Frame::continuation("b")],
        &[Frame::continuation(HELLO)],
    ];
    for role in BOTH {
        for frames in cases {
            let (last, before) = frames.split_last().unwrap();
            let mut rig = rig(role);
            rig.receive(before.iter().cloned().chain([compressed(last.clone())]));
            assert_eq!(rig.settle(), []);
            assert_failed(&rig, 1002, ErrorKind::Protocol);
        }
        let mut rig = rig(role);
        let (start, end) = HELLO.split_at(3);
        rig.receive([
            compressed(Frame::text(start).unfinished()),
            compressed(Frame::continuation(end)),
        ]);
        assert_eq!(rig.settle(), []);
        assert_failed(&rig, 1002, ErrorKind::Protocol);
    }
}

#[test]
fn control_frames_go_plain() {
    let repetitive = "a".repeat(120);
    for role in BOTH {
        let mut rig = rig(role);
        rig.receive([Frame::ping(&repetitive)]);
        assert_eq!(rig.settle(), []);
        rig.peer().ping(repetitive.clone());
        rig.peer().close_with(4000, &repetitive);
        assert_eq!(rig.settle(), []);
        let plain =
            [Frame::pong(&repetitive), Frame::ping(&repetitive), Frame::close(4000, &repetitive)];
        assert_eq!(rig.sent(), plain);
    }
}

#[test]
fn reserved_bits_that_were_not_agreed_on_break_the_protocol() {
    for role in BOTH {
        for bits in [1, 2, 3, 5, 6, 7] {
            let mut rig = rig(role);
            rig.receive([Frame::text(HELLO).with_rsv(bits)]);
            assert_eq!(rig.settle(), []);
            assert_failed(&rig, 1002, ErrorKind::Protocol);
        }
        let mut rig = Rig::with(role, on());
        rig.receive([compressed(Frame::text(HELLO))]);
        assert_eq!(rig.settle(), []);
        assert_failed(&rig, 1002, ErrorKind::Protocol);
    }
}

#[test]
fn what_is_not_deflate_is_invalid_data() {
    let block_of_no_type = vec![0x07];
    let length_without_complement = vec![0x00, 0x05, 0x00, 0x05, 0x00, 0x48];
    let too_far_back = vec![0x02, 0x13, 0x00, 0x00];
    for role in BOTH {
        for payload in [&block_of_no_type, &length_without_complement, &too_far_back] {
            let mut rig = rig(role);
            rig.receive([Frame::text("fine"), compressed(Frame::text(payload))]);
            assert_eq!(rig.settle(), ["fine".into()]);
            assert_failed(&rig, 1007, ErrorKind::InvalidDeflate);
        }
    }
}

/// What ways there are to compress a message: blocks that are stored, of fixed codes, and of others.
fn payloads() -> Vec<(&'static str, Vec<u8>)> {
    let stored = deflate(&mut Compress::new(flate2::Compression::none(), false), noise(300));
    let fixed = deflate(&mut compressor(), "Hello, hello, hello");
    // The last block has codes of its own, behind others.
    let mut stream = compressor();
    let dynamic = [prose(500).into_bytes(), noise(200), prose(700).into_bytes()];
    let dynamic = dynamic.map(|part| [deflate(&mut stream, part), TAIL.to_vec()].concat()).concat();
    let dynamic = dynamic[..dynamic.len() - TAIL.len()].to_vec();
    let mut last = Vec::with_capacity(1_000);
    compressor().compress_vec(prose(400).as_bytes(), &mut last, FlushCompress::Finish).unwrap();
    last.push(0);
    vec![("stored", stored), ("fixed", fixed), ("dynamic", dynamic), ("final", last)]
}

/// What zlib makes of all of `payload` and `end`, if a final block ends there.
fn read(payload: &[u8], end: &[u8]) -> Option<Vec<u8>> {
    let payload = [payload, end].concat();
    let mut out = vec![0; 10_000];
    let mut stream = Decompress::new(false);
    let status = stream.decompress(&payload, &mut out, FlushDecompress::Finish).ok()?;
    out.truncate(usize::try_from(stream.total_out()).unwrap());
    (status == Status::StreamEnd && stream.total_in() == payload.len() as u64).then_some(out)
}

/// What is in a payload that is whole though it was cut: it ends with a final block, or in a stored one,
/// where its length would follow: of nothing, or of one byte.
fn whole(payload: &[u8]) -> Option<Vec<u8>> {
    read(payload, &[]).or_else(|| {
        let message = read(payload, &[0, 0, 0xff, 0xff, 3, 0])?;
        let longer = read(payload, &[1, 0, 0xfe, 0xff, b'x', 3, 0])?;
        (longer == [&message[..], b"x"].concat()).then_some(message)
    })
}

#[test]
fn a_cut_message_is_invalid_wherever_it_is_cut() {
    for (name, payload) in payloads() {
        let mut wholes = 0;
        for end in 1..payload.len() {
            let cut = &payload[..end];
            let mut rig = rig(BOTH[end % 2]);
            rig.receive([compressed(Frame::binary(cut)), compressed(Frame::text(HELLO))]);
            let messages = rig.settle();
            if let Some(message) = whole(cut) {
                wholes += 1;
                assert_eq!(messages, [message.into(), "Hello".into()], "{name} {end}");
            } else {
                assert_eq!(messages, [], "{name}, cut at {end}");
                assert_failed(&rig, 1007, ErrorKind::InvalidDeflate);
            }
        }
        assert!(wholes < 4, "{name}: {wholes}");
    }
}

#[test]
fn what_is_cut_in_a_header_that_takes_the_tail_for_its_own_is_invalid() {
    // A block of 286 and 30 codes, whose lengths follow: each bit of 0 is 7, and each of 1 is 8.
    let codes = [0xec, 0x5d, 0x00, 0x20, 0x01];
    for role in BOTH {
        for len in 1..=codes.len() {
            let mut rig = rig(role);
            rig.receive([compressed(Frame::binary(&codes[..len]))]);
            assert_eq!(rig.settle(), [], "{len}");
            assert_failed(&rig, 1007, ErrorKind::InvalidDeflate);
        }
    }
}

#[test]
fn a_message_of_no_bytes_or_whose_final_block_ends_it_is_whole() {
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let empty_and_last = [0x01];
    for role in BOTH {
        for (payload, message) in [(&[][..], ""), (&last, "Hello"), (&empty_and_last, "")] {
            let mut rig = rig(role);
            rig.receive([
                compressed(Frame::text(payload)),
                compressed(Frame::text(payload).unfinished()),
                Frame::continuation(""),
                compressed(Frame::text(HELLO)),
                compressed(Frame::text(payload)),
            ]);
            let message = || Message::from(message);
            assert_eq!(rig.settle(), [message(), message(), "Hello".into(), message()]);
        }
    }
}

#[test]
fn text_is_checked_as_it_is_inflated() {
    for role in BOTH {
        let mut fragmented = rig(role);
        let bad = deflate(&mut compressor(), b"good \xc0\xaf");
        fragmented.receive([compressed(Frame::text(&bad).unfinished())]);
        assert_eq!(fragmented.settle(), []);
        assert_failed(&fragmented, 1007, ErrorKind::InvalidUtf8);

        let mut cut = rig(role);
        let half_a_character = deflate(&mut compressor(), b"gr\xc3");
        cut.receive([compressed(Frame::binary(&half_a_character))]);
        assert_eq!(cut.settle(), [b"gr\xc3".to_vec().into()]);
        let mut cut = rig(role);
        cut.receive([compressed(Frame::text(&half_a_character))]);
        assert_eq!(cut.settle(), []);
        assert_failed(&cut, 1007, ErrorKind::InvalidUtf8);
    }
}

#[test]
fn final_blocks_do_not_end_a_message() {
    for role in BOTH {
        let mut rig = rig(role);
        let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let payload = [&hello[..], &hello, &[0x03, 0x00], &HELLO].concat();
        rig.receive([compressed(Frame::text(&payload)), compressed(Frame::text(HELLO))]);
        assert_eq!(rig.settle(), ["HelloHelloHello".into(), "Hello".into()]);
    }
}

#[test]
fn large_messages_survive_the_way_there_and_back() {
    let large = prose(3 << 20);
    let (mut client, mut server) = Connection::pair_with(quiet_on(), quiet_on());
    let messages: [Message; 3] = [large.as_str().into(), noise(1 << 20).into(), large.into()];
    futures::executor::block_on(async {
        for message in messages {
            let echo = async {
                let message = server.next().await.unwrap();
                server.send(message).await.unwrap();
            };
            let ask = async {
                client.send(message.clone()).await.unwrap();
                client.next().await.unwrap()
            };
            assert!(futures::join!(ask, echo).0 == message);
        }
    });
}

fn quiet_on() -> Config {
    quiet().compression(Compression::default())
}

#[test]
fn hooks_and_handles_send_compressed_too() {
    let mut rig = rig(Role::Server).weave(|conn| conn.on_each(|peer, _| peer.send("from a hook")));
    let handle = rig.conn.handle();
    handle.send("from a handle").now_or_never().unwrap().unwrap();
    rig.receive([Frame::text("?")]);
    assert_eq!(rig.settle(), ["?".into()]);
    let frames = rig.sent();
    assert_eq!(frames.len(), 2);
    assert!(frames.iter().all(|frame| frame.rsv == RSV1));
}
