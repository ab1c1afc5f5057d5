//! Limits on what a peer may send; all are inclusive.

#[path = "support/allocator.rs"]
mod allocator;
mod support;

use wsweave::{CloseCode, Config, ErrorKind, Initiator, Message, Role};

use crate::support::{BOTH, Frame, Rig};

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

fn assert_limit(rig: &Rig, code: u16) {
    let finish = rig.finish();
    assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode(code)), "{finish:?}");
    assert!(!finish.clean);
    assert_eq!(finish.error.map(|error| error.kind()), Some(ErrorKind::LimitExceeded));
    assert_eq!(rig.sent_codes(), [Some(code)]);
}

/// A binary frame's header as the peer of `role` sends it.
fn header(role: Role, length: u64) -> Vec<u8> {
    Frame::binary("").keyed((role == Role::Server).then_some([1, 2, 3, 4])).header(length)
}

#[test]
fn a_message_of_exactly_the_limit_passes_and_one_byte_more_fails() {
    for role in BOTH {
        for limit in [1, 125, 126, 1_000, 70_000] {
            let mut rig = Rig::with(role, Config::default().max_message_size(limit));
            rig.receive([Frame::binary(vec![7; limit]), Frame::binary(vec![7; limit + 1])]);
            assert_eq!(rig.settle(), [vec![7; limit].into()]);
            assert_limit(&rig, 1009);
        }
    }
}

#[test]
fn a_frame_of_exactly_the_limit_passes_and_one_byte_more_fails() {
    for role in BOTH {
        for limit in [1, 125, 126, 1_000, 70_000] {
            let mut rig = Rig::with(role, Config::default().max_frame_size(limit));
            let halves =
                [Frame::binary(vec![7; limit]).unfinished(), Frame::continuation(vec![7; limit])];
            rig.receive(halves);
            assert_eq!(rig.settle(), [vec![7; 2 * limit].into()]);
            rig.receive([Frame::binary(vec![7; limit + 1])]);
            assert_eq!(rig.settle(), []);
            assert_limit(&rig, 1009);
        }
    }
}

#[test]
fn the_limit_of_a_message_counts_all_its_fragments() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().max_message_size(10));
        let fragments = |last: &str| {
            [Frame::text("1234").unfinished(), Frame::ping("x"), Frame::continuation(last)]
        };
        rig.receive(fragments("567890"));
        assert_eq!(rig.settle(), ["1234567890".into()]);
        rig.receive(fragments("5678901"));
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.finish().code, 1009);
    }
}

#[test]
fn the_header_alone_exceeds_a_limit() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().max_message_size(10));
        rig.receive([Frame::text("123456").unfinished()]);
        let continuation = Frame::continuation("").keyed((role == Role::Server).then_some([0; 4]));
        rig.wire.give(continuation.header(5));
        assert_eq!(rig.settle(), []);
        assert_limit(&rig, 1009);
    }
}

#[test]
fn control_frames_do_not_count() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().max_message_size(0).max_frame_size(0));
        rig.receive([Frame::ping([7; 125]), Frame::text("")]);
        assert_eq!(rig.settle(), ["".into()]);
        assert_eq!(rig.sent(), [Frame::pong([7; 125])]);
        rig.receive([Frame::text("x")]);
        assert_eq!(rig.settle(), []);
        assert_limit(&rig, 1009);
    }
}

#[test]
fn as_many_fragments_as_the_limit_pass_and_one_more_fails_with_1008() {
    for role in BOTH {
        let config = Config::default().max_fragments(3);
        let mut rig = Rig::with(role, config.clone());
        let [first, middle] = [Frame::text("a"), Frame::continuation("b")].map(Frame::unfinished);
        for _ in 0..2 {
            rig.receive([first.clone(), middle.clone(), Frame::continuation("c")]);
            assert_eq!(rig.settle(), ["abc".into()], "the count starts anew with each message");
        }
        rig.receive([first, middle.clone(), middle.clone()]);
        assert_eq!(rig.settle(), []);
        assert!(!rig.has_ended());
        rig.receive([Frame::continuation("d")]);
        assert_eq!(rig.settle(), []);
        assert_limit(&rig, 1008);
    }
}

#[test]
fn one_fragment_is_a_whole_message_however_it_is_cut() {
    for role in BOTH {
        for limit in [0, 1] {
            let mut rig = Rig::with(role, Config::default().max_fragments(limit));
            rig.receive([Frame::text("whole"), Frame::text("")]);
            assert_eq!(rig.settle(), ["whole".into(), "".into()]);
            let mut cut = Rig::with(role, Config::default().max_fragments(limit));
            cut.wire.give_in_pieces(&cut.encode([Frame::text("whole"), Frame::text("")]), 8);
            assert_eq!(cut.settle(), ["whole".into(), "".into()]);
        }
    }
}

#[test]
fn lengths_beyond_any_limit_fail_with_the_header() {
    for role in BOTH {
        for length in [(16 << 20) + 1, 1 << 31, (1 << 32) + 5, 1 << 62, (1 << 63) - 1] {
            let mut rig = Rig::new(role);
            rig.receive([Frame::text("good")]);
            rig.wire.give(header(role, length));
            assert_eq!(rig.settle(), ["good".into()], "announcing {length}");
            assert_limit(&rig, 1009);
        }
    }
}

#[test]
fn a_length_of_2_to_the_63rd_breaks_the_protocol() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().max_frame_size(usize::MAX));
        rig.wire.give(header(role, (1 << 63) + 3));
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.finish().code, 1002);
        assert_eq!(rig.finish().error.unwrap().kind(), ErrorKind::Protocol);
    }
}

#[test]
fn sums_of_lengths_do_not_overflow() {
    for role in BOTH {
        let config = Config::default().max_message_size(usize::MAX - 1).max_frame_size(usize::MAX);
        let mut rig = Rig::with(role, config);
        rig.receive([Frame::binary("x").unfinished()]);
        let continuation = Frame::continuation("").keyed((role == Role::Server).then_some([0; 4]));
        rig.wire.give(continuation.header((1 << 63) - 1));
        rig.wire.give([1; 1_000]);
        assert_eq!(rig.settle(), []);
        rig.wire.end();
        assert_eq!(rig.settle(), []);
        assert!(rig.has_ended());
    }
}

#[test]
fn nothing_is_allocated_that_was_only_announced() {
    for role in BOTH {
        for length in [16 << 20, 1 << 30, 1 << 40] {
            let config = Config::default().max_message_size(1 << 50).max_frame_size(1 << 50);
            let peak = allocator::peak_of(|| {
                let mut rig = Rig::with(role, config);
                rig.wire.give(header(role, length));
                rig.wire.give([1; 100]);
                assert_eq!(rig.settle(), []);
                assert!(!rig.has_ended());
            });
            assert!(peak < 300_000, "{length} bytes announced, {peak} allocated");
        }
    }
}

#[test]
fn what_is_allocated_follows_what_has_arrived() {
    for role in BOTH {
        let piece = vec![1; 32 << 10];
        let mut rig = Rig::new(role);
        rig.wire.give(header(role, 16 << 20));
        for _ in 0..8 {
            rig.wire.give(&piece);
        }
        let peak = allocator::peak_of(|| assert_eq!(rig.settle(), []));
        assert!(peak < 5 * 8 * piece.len(), "256 KiB arrived, {peak} allocated");
    }
}

#[test]
fn what_is_allocated_follows_what_has_arrived_from_little_to_much() {
    for role in BOTH {
        for arrived in [1_000, 20_000, 60_000, 66_000, 300_000, 1_100_000] {
            let mut rig = Rig::new(role);
            rig.wire.give([header(role, 16 << 20), vec![1; arrived]].concat());
            let peak = allocator::peak_of(|| assert_eq!(rig.settle(), []));
            // The buffer to read into, as well.
            assert!(peak < 5 * arrived + 80_000, "{arrived} arrived, {peak} allocated");
        }
    }
}

#[test]
fn empty_fragments_hold_no_memory() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::binary("").unfinished()]);
        let empty = rig.encode([Frame::continuation("").unfinished()]).repeat(1_000);
        for _ in 0..50 {
            rig.wire.give(&empty);
        }
        let peak = allocator::peak_of(|| assert_eq!(rig.settle(), []));
        assert!(!rig.has_ended());
        assert!(peak < 300_000, "50,000 empty fragments took {peak} bytes");
    }
}

#[test]
fn a_kept_small_message_pins_little_memory() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let mut kept: Vec<Message> = Vec::new();
        let peak = allocator::peak_of(|| {
            for _ in 0..1_000 {
                rig.receive([Frame::binary([1; 128])]);
                kept.extend(rig.settle());
            }
        });
        assert_eq!(kept.len(), 1_000);
        assert!(peak < 1_000 * 4_096 + 300_000, "1,000 small messages pin {peak} bytes");
    }
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    for role in BOTH {
        let mut rigs: Vec<_> = (0..100).map(|_| Rig::new(role)).collect();
        let fragmented =
            [Frame::binary([7; 10_000]).unfinished(), Frame::continuation([7; 10_000])];
        let cut = Frame::binary([7; 10_000]).to(role);
        let held = allocator::held_after(|| {
            for rig in &mut rigs {
                rig.wire.give_in_pieces(&cut, 6_000);
                rig.receive(fragmented.clone());
                rig.feed([7; 10_000].to_vec());
                assert_eq!(rig.settle().len(), 2);
                assert_eq!(rig.sent().len(), 1);
            }
        });
        assert!(held < 100 * 4_096 + 512 * 1_024, "100 idle connections hold {held} bytes");
    }
}
