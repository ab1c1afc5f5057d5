//! The same bytes through this protocol and through tungstenite's: the same messages, and the same
//! streams refused, but for the exceptions that are named in `compare`.

mod compare;
#[path = "../support/mod.rs"]
mod support;

use proptest::{collection::vec, prelude::*, sample::Index};
use wsweave::Role;

use crate::{
    compare::{MAX_FRAME, MAX_MESSAGE, Manner, assert_same, cut, write},
    support::Frame,
};

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "\\PC{0,30}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..150),
        1 => vec(prop_oneof![Just(0xe2), Just(0xf0), Just(0xed), Just(0xa0), Just(0x82)], 0..4),
        1 => sizes_near_limits().prop_map(|size| vec![b'x'; size]),
    ]
}

fn sizes_near_limits() -> impl Strategy<Value = usize> {
    prop_oneof![0..2_000usize, MAX_FRAME - 1..MAX_FRAME + 2, MAX_MESSAGE - 1..MAX_MESSAGE + 2]
}

/// One message whose payload is cut anywhere, with control frames between its fragments.
fn messages() -> impl Strategy<Value = Vec<Frame>> {
    let between = prop_oneof![3 => Just(None), 1 => controls().prop_map(Some)];
    (any::<bool>(), payloads(), vec((any::<Index>(), between), 0..4)).prop_map(
        |(text, payload, mut cuts)| {
            cuts.sort_by_key(|(at, _)| at.index(payload.len() + 1));
            let mut opcode = if text { 1 } else { 2 };
            let mut start = 0;
            let mut frames = Vec::new();
            for (at, control) in cuts {
                let end = at.index(payload.len() + 1);
                frames.push(Frame::new(opcode, &payload[start..end]).unfinished());
                frames.extend(control);
                (start, opcode) = (end, 0);
            }
            frames.push(Frame::new(opcode, &payload[start..]));
            frames
        },
    )
}

fn controls() -> impl Strategy<Value = Frame> {
    (9..=10u8, vec(any::<u8>(), 0..=125)).prop_map(|(opcode, payload)| Frame::new(opcode, payload))
}

fn closes() -> impl Strategy<Value = Frame> {
    let codes = prop_oneof![995..1020u16, 2_990..3_010u16, 4_990..5_010u16, any::<u16>()];
    prop_oneof![
        4 => (codes, "\\PC{0,20}").prop_map(|(code, reason)| Frame::close(code, &reason)),
        1 => vec(any::<u8>(), 0..130).prop_map(|body| Frame::new(8, body)),
    ]
}

/// A frame with anything in its header.
fn odd_frames() -> impl Strategy<Value = Frame> {
    let reserved = prop_oneof![Just(0), 0..8u8];
    (any::<bool>(), reserved, 0..16u8, payloads()).prop_map(|(fin, rsv, opcode, payload)| {
        let frame = Frame::new(opcode, payload).with_rsv(rsv);
        if fin { frame } else { frame.unfinished() }
    })
}

fn manners() -> impl Strategy<Value = Manner> {
    prop_oneof![
        40 => Just(Manner::Proper),
        1 => Just(Manner::WronglyMasked),
        1 => Just(Manner::Length16),
        1 => Just(Manner::Length64),
        1 => prop_oneof![
            Just(1_200), Just(0xffff), Just(1 << 31), Just((1 << 32) - 1), Just(1 << 62),
            Just((1 << 63) - 1), Just((1 << 63) + 3), any::<u64>(),
        ].prop_map(Manner::Announcing),
    ]
}

/// Frames, most of which a peer might well send, as bytes; perhaps with a bit of damage, perhaps cut
/// off.
fn streams() -> impl Strategy<Value = (Role, Vec<u8>)> {
    let frames = prop_oneof![
        12 => messages(),
        1 => messages().prop_map(|mut frames| frames.drain(1..).collect()),
        1 => messages().prop_map(|frames| frames[..frames.len() - 1].to_vec()),
        4 => controls().prop_map(|frame| vec![frame]),
        2 => closes().prop_map(|frame| vec![frame]),
        1 => odd_frames().prop_map(|frame| vec![frame]),
    ];
    let frames = vec((frames, manners()), 0..8);
    let damage = prop_oneof![3 => Just(None), 1 => any::<(Index, u8)>().prop_map(Some)];
    let end = prop_oneof![3 => Just(None), 1 => any::<Index>().prop_map(Some)];
    (any::<bool>(), frames, damage, end).prop_map(|(server, groups, damage, end)| {
        let role = if server { Role::Server } else { Role::Client };
        let mut bytes: Vec<u8> = groups
            .into_iter()
            .flat_map(|(frames, manner)| frames.into_iter().map(move |frame| (frame, manner)))
            .flat_map(|(frame, manner)| write(role, frame, manner))
            .collect();
        if let (Some((at, bits)), false) = (damage, bytes.is_empty()) {
            *at.get_mut(&mut bytes) ^= bits;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len() + 1));
        }
        (role, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn both_see_the_same_messages_and_refuse_the_same_streams(
        (role, bytes) in streams(),
        sizes in vec(prop_oneof![1..4usize, 1..40usize, 1..2_000usize], 1..8),
    ) {
        assert_same(role, &bytes, &cut(&bytes, &sizes));
    }
}
