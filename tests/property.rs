//! Properties: how bytes are cut into reads changes nothing, and what one side writes the other
//! reads back.

mod support;

use std::{pin::Pin, task::Poll};

use proptest::{collection::vec, prelude::*, sample::Index};
use wsweave::{Config, Duplex, Event, Message, Role};

use crate::support::{Frame, Rig};

/// What a connection shows of what it received.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Message(Message),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Error(String),
}

/// Gives `bytes` in pieces of `sizes` (again and again), then the end of TCP; returns all that was
/// seen and how it ended.
fn observe(role: Role, bytes: &[u8], sizes: &[usize]) -> (Vec<Seen>, String) {
    let mut rig = Rig::with(role, Config::default().max_message_size(5_000).max_fragments(10));
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(rest.len().min(*size));
        rig.wire.give(piece);
        rest = after;
    }
    rig.wire.end();
    let mut seen = Vec::new();
    loop {
        let Rig { conn, task, .. } = &mut rig;
        match task.until_stalled(|cx| Pin::new(&mut *conn).poll_event(cx)) {
            Poll::Ready(Some(event)) => seen.push(match event {
                Event::Message(message) => Seen::Message(message),
                Event::Ping(payload) => Seen::Ping(payload.to_vec()),
                Event::Pong(payload) => Seen::Pong(payload.to_vec()),
                Event::Error(error) => Seen::Error(error.to_string()),
                other => panic!("{other:?}"),
            }),
            Poll::Ready(None) => return (seen, rig.finish().to_string()),
            Poll::Pending => panic!("the end of TCP is the end"),
        }
    }
}

fn roles() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..4usize, 1..40usize, 1..2_000usize], 1..8)
}

fn messages() -> impl Strategy<Value = Message> {
    prop_oneof![
        "\\PC{0,40}".prop_map(Message::from),
        vec(any::<u8>(), 0..300).prop_map(Message::from),
        (0..5_000usize).prop_map(|size| Message::from(vec![0xa5; size])),
    ]
}

fn controls() -> impl Strategy<Value = Frame> {
    (any::<bool>(), vec(any::<u8>(), 0..=125))
        .prop_map(|(ping, payload)| if ping { Frame::ping(payload) } else { Frame::pong(payload) })
}

/// A message, where it is cut into fragments, and the control frames before each of them.
fn traffic() -> impl Strategy<Value = (Vec<Frame>, Vec<Seen>)> {
    let fragments = vec((any::<Index>(), vec(controls(), 0..2)), 1..6);
    (messages(), fragments).prop_map(|(message, fragments)| {
        let payload = message.as_bytes();
        let mut cuts: Vec<_> =
            fragments[1..].iter().map(|(cut, _)| cut.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(payload.len());
        let (mut frames, mut seen, mut start) = (Vec::new(), Vec::new(), 0);
        for (number, (end, (_, controls))) in cuts.iter().zip(fragments).enumerate() {
            for control in controls {
                let payload = control.payload.clone();
                seen.push(if control.opcode == 9 {
                    Seen::Ping(payload)
                } else {
                    Seen::Pong(payload)
                });
                frames.push(control);
            }
            let opcode = match number {
                0 => {
                    if message.is_text() {
                        1
                    } else {
                        2
                    }
                }
                _ => 0,
            };
            let frame = Frame::new(opcode, &payload[start..*end]);
            start = *end;
            frames.push(if number + 1 < cuts.len() { frame.unfinished() } else { frame });
        }
        seen.push(Seen::Message(message));
        (frames, seen)
    })
}

/// Frames with any header bits, valid or not.
fn any_frames() -> impl Strategy<Value = Vec<Frame>> {
    let frame = (any::<bool>(), 0..=2u8, 0..=10u8, any::<bool>(), vec(any::<u8>(), 0..140));
    vec(
        frame.prop_map(|(fin, rsv, opcode, text, payload)| {
            let payload = if text { payload.escape_ascii().to_string().into() } else { payload };
            let frame = Frame::new(opcode, payload).with_rsv(rsv / 2);
            if fin || opcode >= 8 { frame } else { frame.unfinished() }
        }),
        1..12,
    )
}

fn encode(role: Role, frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
    frames.into_iter().flat_map(|frame| frame.to(role)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn valid_traffic_is_seen_whole_and_in_order(
        role in roles(),
        traffic in vec(traffic(), 0..6),
        code in prop_oneof![Just(1000u16), Just(1001), 3000..5000u16],
        sizes in sizes(),
    ) {
        let (frames, expected): (Vec<_>, Vec<_>) = traffic.into_iter().unzip();
        let mut bytes = encode(role, frames.concat());
        bytes.extend(Frame::close(code, "").to(role));
        let (seen, end) = observe(role, &bytes, &sizes);
        prop_assert_eq!(seen, expected.concat());
        prop_assert_eq!(end, format!("closed by the peer with code {code}"));
    }

    #[test]
    fn damaged_traffic_is_seen_alike_however_it_is_cut(
        role in roles(),
        traffic in vec(traffic(), 1..4),
        damage in vec((any::<Index>(), 1..=255u8), 1..4),
        sizes in sizes(),
    ) {
        let frames = traffic.into_iter().flat_map(|(frames, _)| frames);
        let mut bytes = encode(role, frames);
        for (at, bits) in damage {
            *at.get_mut(&mut bytes) ^= bits;
        }
        let whole = observe(role, &bytes, &[usize::MAX]);
        prop_assert_eq!(observe(role, &bytes, &sizes), whole);
    }

    #[test]
    fn any_frames_are_seen_alike_however_they_are_cut(
        role in roles(),
        frames in any_frames(),
        sizes in sizes(),
    ) {
        let bytes = encode(role, frames);
        let whole = observe(role, &bytes, &[usize::MAX]);
        prop_assert_eq!(observe(role, &bytes, &sizes), whole);
    }

    #[test]
    fn any_bytes_are_seen_alike_however_they_are_cut(
        role in roles(),
        bytes in vec(any::<u8>(), 0..200),
        sizes in sizes(),
    ) {
        let whole = observe(role, &bytes, &[usize::MAX]);
        prop_assert_eq!(observe(role, &bytes, &sizes), whole);
    }

    #[test]
    fn what_one_side_writes_the_other_reads(
        role in roles(),
        sent in vec(prop_oneof![
            messages(),
            (0..200_000usize).prop_map(|size| Message::from(vec![0x5a; size])),
        ], 0..8),
        fragment_size in prop_oneof![Just(None), (1..5_000usize).prop_map(Some)],
        write_limit in prop_oneof![50..300usize, 1_000..100_000usize, Just(usize::MAX)],
        read_size in prop_oneof![50..300usize, 1_000..100_000usize],
        vectored in any::<bool>(),
    ) {
        let config = Config::default().fragment_size(fragment_size).outbox_size(8 << 20);
        let mut writer = Rig::with(role, config);
        writer.wire.limit_writes(write_limit);
        if !vectored {
            writer.wire.without_vectored();
        }
        for message in &sent {
            writer.feed(message.clone());
        }
        let _ = writer.close();

        let other = if role == Role::Client { Role::Server } else { Role::Client };
        let limits = Config::default().max_fragments(usize::MAX);
        let mut reader = Rig::with(other, limits);
        reader.wire.give_in_pieces(&writer.wire.take_written(), read_size);
        reader.wire.end();
        prop_assert_eq!(reader.settle(), sent);
        prop_assert!(reader.finish().clean);
    }
}
