//! Frames that lie, break rules or come in crumbs.

use wsweave::{Config, Role};

use crate::{
    LITTLE, cost,
    support::{BOTH, Frame, Rig},
};

fn key(role: Role) -> Option<[u8; 4]> {
    (role == Role::Server).then_some([1, 2, 3, 4])
}

/// A message in `count` fragments of `payload`.
fn crumbs(rig: &Rig, first: Frame, payload: &[u8], count: usize) -> Vec<u8> {
    let first = rig.encode([first.unfinished()]);
    let middle = rig.encode([Frame::continuation(payload).unfinished()]);
    let last = rig.encode([Frame::continuation(payload)]);
    [first, middle.repeat(count - 2), last].concat()
}

#[test]
fn lengths_that_lie_cost_one_turn_and_no_memory() {
    let lengths =
        [1 << 31, (1 << 32) - 1, 1 << 32, 1 << 62, (1 << 63) - 1, (1 << 63) + 3, u64::MAX];
    for role in BOTH {
        for length in lengths {
            for frame in [Frame::text(""), Frame::binary("").unfinished(), Frame::continuation("")]
            {
                let mut rig = Rig::new(role);
                if frame.opcode == 0 {
                    rig.receive([Frame::binary("a part").unfinished()]);
                    assert_eq!(rig.settle(), []);
                }
                rig.wire.give(frame.keyed(key(role)).header_with(127, &length.to_be_bytes()));
                rig.wire.flood([7], 64 << 10);
                let cost = cost(&mut rig, |rig| assert!(rig.next().is_ready()));
                assert!(rig.has_ended() && cost.held < LITTLE, "{length}: {cost:?}");
                assert!(cost.reads <= A_TURN && cost.writes == 1, "{length}: {cost:?}");
            }
        }
    }
}

#[test]
fn what_breaks_a_rule_costs_one_turn_and_one_close() {
    let text = |bytes: &[u8]| Frame::text(bytes);
    let close = |bytes: &[u8]| Frame::new(8, bytes);
    for role in BOTH {
        let plain = Frame::binary("").keyed(key(role));
        let broken = [
            (1002, plain.header_with(126, &[0, 125])),
            (1002, plain.header_with(127, &0xffff_u64.to_be_bytes())),
            (1002, Frame::ping("").unfinished().to(role)),
            (1002, Frame::ping([7; 126]).to(role)),
            (1002, Frame::text("").with_rsv(4).to(role)),
            (1002, Frame::new(3, "").to(role)),
            (1002, Frame::new(15, "").to(role)),
            (1002, Frame::continuation("orphan").to(role)),
            (1002, [text(b"a").unfinished().to(role), text(b"b").to(role)].concat()),
            (1007, text(b"\xff").to(role)),
            (1007, text(b"surrogate \xed\xa0\x80").to(role)),
            (1007, text(b"overlong \xc0\xaf").to(role)),
            (
                1007,
                [text(b"\xe2\x82").unfinished().to(role), Frame::continuation(b"\x28").to(role)]
                    .concat(),
            ),
            (1002, close(&[3]).to(role)),
            (1002, Frame::close(1005, "").to(role)),
            (1007, close(b"\x03\xe8\xff").to(role)),
        ];
        for (code, bytes) in broken {
            let mut rig = Rig::new(role);
            rig.wire.give(&bytes);
            rig.wire.flood(Frame::text("more").to(role), 64 << 10);
            let cost = cost(&mut rig, |rig| assert!(rig.next().is_ready()));
            assert_eq!(rig.finish().code, code, "{bytes:02x?}");
            assert!(cost.held < LITTLE, "{bytes:02x?}: {cost:?}");
            assert!(cost.reads <= A_TURN && cost.writes == 1, "{bytes:02x?}: {cost:?}");
            assert_eq!(rig.sent_codes(), [Some(code)]);
        }
    }
}

#[test]
fn a_message_in_crumbs_costs_as_much_as_it_weighs() {
    for role in BOTH {
        for (kind, crumb) in [
            (Frame::binary(""), &b"\xff"[..]),
            (Frame::text(""), b"x"),
            (Frame::text(""), &[b'x'; 99]),
        ] {
            let [few, many] = [20_000, 80_000].map(|count| {
                let mut rig = Rig::new(role);
                rig.wire.give_in_pieces(&crumbs(&rig, kind.clone(), crumb, count), 64 << 10);
                let mut length = 0;
                let cost = cost(&mut rig, |rig| {
                    length = rig.settle().iter().map(wsweave::Message::len).sum();
                });
                assert_eq!(length, crumb.len() * (count - 1));
                assert!(cost.held < LITTLE + 5 * length, "{length} bytes: {cost:?}");
                cost.allocated
            });
            assert!(many < 6 * few, "{few} bytes moved for a part, {many} for four times as much");
        }
    }
}

#[test]
fn fragments_without_end_come_to_one() {
    for role in BOTH {
        for payload in ["", "x"] {
            let mut rig = Rig::new(role);
            let bytes = crumbs(&rig, Frame::text(""), payload.as_bytes(), 131_000);
            rig.wire.give_in_pieces(&bytes, 4_000);
            let cost = cost(&mut rig, |rig| assert_eq!(rig.settle(), []));
            assert_eq!(rig.sent_codes(), [Some(1008)], "after 100,000 fragments");
            assert!(cost.held < 2 * LITTLE, "{cost:?}");
        }
    }
}

#[test]
fn many_fragments_of_a_large_message_stop_at_its_limit() {
    for role in BOTH {
        let limit = 4 << 20;
        let mut rig = Rig::with(role, Config::default().max_message_size(limit));
        let bytes = crumbs(&rig, Frame::binary(""), &[7; 1_000], 10_000);
        rig.wire.give_in_pieces(&bytes, 64 << 10);
        let cost = cost(&mut rig, |rig| assert_eq!(rig.settle(), []));
        assert_eq!(rig.sent_codes(), [Some(1009)]);
        assert!(cost.held < LITTLE + 3 * limit, "{cost:?}");
        assert!(cost.allocated < 2 * LITTLE + 6 * limit, "{cost:?}");
    }
}

/// In 64 KiB each, a mebibyte: the turn in which the rule was broken, and no other.
const A_TURN: usize = 17;
