//! Every rule of RFC 6455, section 5, that a peer can break, and the close code that answers it.

mod support;

use std::{collections::HashMap, task::Poll};

use wsweave::{CloseCode, ErrorKind, Finish, Initiator, Role};

use crate::support::{BOTH, Frame, Rig};

/// Delivers `bytes` behind a good message and returns how that ended.
fn end_of(role: Role, bytes: &[u8]) -> Finish {
    let mut rig = Rig::new(role);
    rig.receive([Frame::text("good")]);
    rig.wire.give(bytes);
    assert_eq!(rig.settle(), ["good".into()], "after {bytes:02x?}");
    let finish = rig.finish();
    assert_eq!(rig.sent_codes(), [Some(finish.code.0)], "after {bytes:02x?}");
    finish
}

fn assert_fails(role: Role, bytes: &[u8], code: u16, kind: ErrorKind) -> String {
    let finish = end_of(role, bytes);
    assert_eq!(finish.code, CloseCode(code), "after {bytes:02x?}: {finish}");
    assert_eq!(finish.initiator, Initiator::Us);
    assert!(!finish.clean && finish.received.is_none());
    let error = finish.error.expect("an error that says which rule");
    assert_eq!(error.kind(), kind);
    error.to_string()
}

fn assert_protocol_error(role: Role, bytes: &[u8]) -> String {
    assert_fails(role, bytes, 1002, ErrorKind::Protocol)
}

/// The mask bit as the peer of `role` sets it.
fn mask_bit(role: Role) -> u8 {
    if role == Role::Server { 0x80 } else { 0 }
}

#[test]
fn reserved_bits_fail_with_the_first_byte() {
    for role in BOTH {
        for first in [0xc1, 0xa1, 0x91, 0xf1, 0xc2, 0xc8, 0xa9, 0x9a, 0x41] {
            assert_protocol_error(role, &[first]);
        }
    }
}

#[test]
fn reserved_opcodes_fail_with_the_first_byte() {
    for role in BOTH {
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            assert_protocol_error(role, &[0x80 | opcode]);
            assert_protocol_error(role, &[opcode]);
        }
    }
}

#[test]
fn a_fragmented_control_frame_fails_with_the_first_byte() {
    for role in BOTH {
        for opcode in [8, 9, 10] {
            assert_protocol_error(role, &[opcode]);
        }
    }
}

#[test]
fn a_continuation_of_nothing_fails_with_the_first_byte() {
    for role in BOTH {
        assert_protocol_error(role, &[0x80]);
        assert_protocol_error(role, &[0x00]);
        let ended = [Frame::text("a").unfinished(), Frame::continuation("b")];
        let mut rig = Rig::new(role);
        rig.wire.give([rig.encode(ended), vec![0x80]].concat());
        assert_eq!(rig.settle(), ["ab".into()]);
        assert_eq!(rig.sent_codes(), [Some(1002)]);
    }
}

#[test]
fn a_new_message_between_fragments_fails_with_the_first_byte() {
    for role in BOTH {
        for opcode in [0x81, 0x82, 0x01, 0x02] {
            let bytes = [Frame::text("a").unfinished().to(role), vec![opcode]].concat();
            assert_protocol_error(role, &bytes);
        }
    }
}

#[test]
fn the_wrong_masking_fails_with_the_second_byte() {
    for role in BOTH {
        let wrong = mask_bit(role) ^ 0x80;
        for first in [0x81, 0x82, 0x88, 0x89, 0x8a] {
            assert_protocol_error(role, &[first, wrong]);
        }
    }
}

#[test]
fn a_control_frame_over_125_bytes_fails_with_the_second_byte() {
    for role in BOTH {
        for first in [0x88, 0x89, 0x8a] {
            assert_protocol_error(role, &[first, mask_bit(role) + 126]);
            assert_protocol_error(role, &[first, mask_bit(role) + 127]);
        }
    }
}

#[test]
fn a_length_not_in_its_shortest_form_fails() {
    for role in BOTH {
        let key = (role == Role::Server).then_some([1, 2, 3, 4]);
        let frame = Frame::binary("").keyed(key);
        for length in [0u16, 1, 125] {
            assert_protocol_error(role, &frame.header_with(126, &length.to_be_bytes()));
        }
        for length in [0u64, 125, 126, 0xffff] {
            assert_protocol_error(role, &frame.header_with(127, &length.to_be_bytes()));
        }
    }
}

#[test]
fn a_length_with_its_top_bit_set_fails() {
    for role in BOTH {
        let key = (role == Role::Server).then_some([1, 2, 3, 4]);
        for length in [1u64 << 63, (1 << 63) + 3, u64::MAX] {
            let header = Frame::binary("").keyed(key).header_with(127, &length.to_be_bytes());
            assert_protocol_error(role, &header);
        }
    }
}

#[test]
fn a_close_of_one_byte_fails() {
    for role in BOTH {
        assert_protocol_error(role, &Frame::new(8, [3]).to(role));
    }
}

#[test]
fn a_close_with_a_code_that_must_not_be_sent_fails() {
    for role in BOTH {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
            assert_protocol_error(role, &Frame::close(code, "").to(role));
            assert_protocol_error(role, &Frame::close(code, "why").to(role));
        }
    }
}

#[test]
fn a_close_whose_reason_is_not_utf8_fails_with_1007() {
    for role in BOTH {
        for reason in [&[0xff][..], &[0xe2, 0x82], &[b'a', 0xc0, 0x80]] {
            let close = Frame::new(8, [&1000u16.to_be_bytes(), reason].concat());
            assert_fails(role, &close.to(role), 1007, ErrorKind::InvalidUtf8);
        }
    }
}

#[test]
fn nothing_behind_the_violation_is_read_as_data() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let bad = Frame::text("bad").with_rsv(4);
        rig.receive([Frame::text("good"), bad, Frame::text("ghost"), Frame::ping("ghost")]);
        rig.receive([Frame::text("ghost"), Frame::close(1000, "")]);
        assert_eq!(rig.settle(), ["good".into()]);
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent(), [Frame::close(1002, &rig.finish().sent.unwrap().reason)]);
    }
}

#[test]
fn the_close_goes_out_behind_what_was_queued() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.feed("queued");
        rig.receive([Frame::ping("x"), Frame::text("").with_rsv(1)]);
        assert_eq!(rig.settle(), []);
        let sent = rig.sent();
        assert_eq!(sent[..2], [Frame::text("queued"), Frame::pong("x")]);
        assert_eq!(sent[2].close_code(), Some(1002));
    }
}

#[test]
fn the_stream_ends_as_soon_as_the_close_is_handed_over() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text("").with_rsv(1)]);
        assert_eq!(rig.next(), Poll::Ready(None), "no waiting for the peer");
        assert_eq!(rig.sent_codes(), [Some(1002)]);
    }
}

#[test]
fn a_violation_while_closing_ends_the_connection() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.close().is_pending());
        rig.receive([Frame::text("").with_rsv(1)]);
        assert!(matches!(rig.close(), Poll::Ready(Err(_))));
        assert_eq!(rig.sent(), [Frame::close(1000, "")], "one Close, whatever happens");
        assert!(!rig.finish().clean);
        assert_eq!(rig.finish().error.unwrap().kind(), ErrorKind::Protocol);
    }
}

#[test]
fn each_broken_rule_has_its_own_words() {
    for role in BOTH {
        let key = (role == Role::Server).then_some([1, 2, 3, 4]);
        let frame = Frame::binary("").keyed(key);
        let broken: [(&str, Vec<u8>); 11] = [
            ("reserved bit", vec![0xc1]),
            ("opcode", vec![0x83]),
            ("fragmented control frame", vec![0x09]),
            ("nothing to continue", vec![0x80]),
            ("message in message", [Frame::text("").unfinished().to(role), vec![0x81]].concat()),
            ("mask", vec![0x81, mask_bit(role) ^ 0x80]),
            ("large control frame", vec![0x89, mask_bit(role) + 126]),
            ("long-winded length", frame.header_with(126, &[0, 1])),
            ("top bit", frame.header_with(127, &[0x80, 0, 0, 0, 0, 1, 0, 0])),
            ("short close", Frame::new(8, [3]).to(role)),
            ("close code", Frame::close(1005, "").to(role)),
        ];
        let mut words = HashMap::new();
        for (rule, bytes) in broken {
            if let Some(other) = words.insert(assert_protocol_error(role, &bytes), rule) {
                panic!("{rule} reads like {other}");
            }
        }
    }
}
