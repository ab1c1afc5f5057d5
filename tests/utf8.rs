//! Text is checked as it arrives and fails at the first bad byte (RFC 6455, section 8.1).

mod support;

use wsweave::{ErrorKind, Initiator, Role};

use crate::support::{BOTH, Frame, Rig};

/// Bad sequences, and which of their bytes is the first that no UTF-8 can have there.
const BAD: [(&[u8], usize); 18] = [
    (&[0x80], 0),
    (&[0xbf], 0),
    (&[0xc0, 0x80], 0),
    (&[0xc1, 0xbf], 0),
    (&[0xc3, b'a'], 1),
    (&[0xc3, 0xc3], 1),
    (&[0xe0, 0x9f, 0xbf], 1),
    (&[0xe2, 0x82, b'a'], 2),
    (&[0xe2, b'a'], 1),
    (&[0xed, 0xa0, 0x80], 1),
    (&[0xed, 0xbf, 0xbf], 1),
    (&[0xf0, 0x8f, 0xbf, 0xbf], 1),
    (&[0xf0, 0x9f, 0x98, b'a'], 3),
    (&[0xf4, 0x90, 0x80, 0x80], 1),
    (&[0xf5, 0x80, 0x80, 0x80], 0),
    (&[0xf8, 0x88, 0x80, 0x80, 0x80], 0),
    (&[0xfe], 0),
    (&[0xff], 0),
];

fn assert_invalid(rig: &Rig) {
    let finish = rig.finish();
    assert_eq!((finish.initiator, finish.code.0), (Initiator::Us, 1007), "{finish:?}");
    assert_eq!(finish.error.map(|error| error.kind()), Some(ErrorKind::InvalidUtf8));
    assert_eq!(rig.sent_codes(), [Some(1007)]);
}

/// Gives `bytes` one by one and asserts that the connection fails right at byte `bad`.
fn assert_fails_at(role: Role, bytes: &[u8], bad: usize) {
    let mut rig = Rig::new(role);
    for (at, byte) in bytes[..=bad].iter().enumerate() {
        assert!(!rig.has_ended(), "{bytes:02x?} failed before byte {at}");
        rig.wire.give([*byte]);
        assert_eq!(rig.settle(), []);
    }
    assert!(rig.has_ended(), "{bytes:02x?} was not failed at byte {bad}");
    assert_invalid(&rig);
}

#[test]
fn the_first_bad_byte_fails_the_connection_before_the_frame_is_whole() {
    for role in BOTH {
        for (sequence, bad) in BAD {
            let payload = [b"ok\xc3\xa4", sequence, b"never read"].concat();
            let bytes = Frame::text(&payload).to(role);
            let start = bytes.len() - payload.len();
            assert_fails_at(role, &bytes, start + 4 + bad);
        }
    }
}

#[test]
fn the_first_bad_byte_fails_the_connection_across_fragments() {
    for role in BOTH {
        for (sequence, bad) in BAD {
            let mut bytes = Frame::text("ok").unfinished().to(role);
            for byte in &sequence[..=bad] {
                bytes.extend(Frame::continuation([*byte]).unfinished().to(role));
            }
            let last = bytes.len() - 1;
            assert_fails_at(role, &bytes, last);
        }
    }
}

#[test]
fn the_first_bad_byte_fails_the_connection_in_one_read() {
    for role in BOTH {
        for (sequence, _) in BAD {
            for before in [0, 1, 15, 63, 64, 65, 5_000] {
                let mut rig = Rig::new(role);
                let payload = [&vec![b'a'; before], sequence, b"b"].concat();
                rig.receive([Frame::text("good"), Frame::text(payload), Frame::text("ghost")]);
                assert_eq!(rig.settle(), ["good".into()]);
                assert_invalid(&rig);
            }
        }
    }
}

#[test]
fn a_character_cut_off_by_the_end_of_the_message_fails() {
    for role in BOTH {
        for cut in [&"ä".as_bytes()[..1], &"€".as_bytes()[..2], &"😀".as_bytes()[..3]] {
            let mut rig = Rig::new(role);
            rig.receive([Frame::text(cut)]);
            assert_eq!(rig.settle(), []);
            assert_invalid(&rig);

            let mut rig = Rig::new(role);
            rig.receive([Frame::text(cut).unfinished()]);
            assert_eq!(rig.settle(), []);
            assert!(!rig.has_ended(), "the next fragment may complete it");
            rig.receive([Frame::continuation("")]);
            assert_eq!(rig.settle(), []);
            assert_invalid(&rig);
        }
    }
}

#[test]
fn the_edges_of_utf8_pass_however_they_are_cut() {
    let edges = "\0\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}";
    for role in BOTH {
        for size in 1..=edges.len() {
            let mut rig = Rig::new(role);
            let mut chunks = edges.as_bytes().chunks(size);
            rig.receive(chunks.next().map(|chunk| Frame::text(chunk).unfinished()));
            for chunk in chunks {
                rig.receive([Frame::continuation(chunk).unfinished()]);
            }
            rig.receive([Frame::continuation("")]);
            rig.wire.give_in_pieces(&rig.encode([Frame::text(edges)]), size);
            assert_eq!(rig.settle(), [edges.into(), wsweave::Message::from(edges)]);
        }
    }
}

#[test]
fn binary_messages_and_pings_carry_any_bytes() {
    for role in BOTH {
        for (sequence, _) in BAD {
            let mut rig = Rig::new(role);
            rig.receive([Frame::ping(sequence), Frame::binary(sequence)]);
            assert_eq!(rig.settle(), [sequence.to_vec().into()]);
            assert_eq!(rig.sent(), [Frame::pong(sequence)]);
        }
    }
}
