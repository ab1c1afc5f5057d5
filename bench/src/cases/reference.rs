//! What the machine itself can do with the same bytes: the limit.

use std::hint::black_box;

use crate::{
    report::{Column, Kind, Row, Table, nanoseconds_each},
    transport::{Load, masked_frame},
};

pub(crate) const ABOUT: &str = "What the machine itself can do with the same bytes: the limit";

pub(crate) fn tables() -> Vec<Table> {
    let columns = Load::ALL.map(|load| Column::new(load.name(), rows(load)));
    vec![Table::new("The limit", "ns a message", columns)]
}

/// Also rows of the case "read".
pub(super) fn rows(load: Load) -> Vec<Row> {
    vec![
        Row::new("memcpy", Kind::Limit, move || {
            let (source, mut target) = (load.payload().bytes, load.payload().bytes.to_vec());
            move |messages| {
                nanoseconds_each(messages, || {
                    for _ in 0..messages {
                        black_box(&mut target[..]).copy_from_slice(black_box(&source));
                    }
                })
            }
        }),
        Row::new("bare loop", Kind::Limit, move || {
            let payload = load.payload();
            let frame = masked_frame(payload.text, false, &payload.bytes);
            let times = (1 << 18) / frame.len() + 1;
            let frames = frame.repeat(times);
            let mut buffer = frames.clone();
            assert!(scan(&frames, &mut buffer, times) == times * payload.bytes.len());
            assert!(buffer.ends_with(&payload.bytes), "what the loop unmasked");
            move |messages| {
                nanoseconds_each(messages, || {
                    let mut left = messages;
                    while left > 0 {
                        let now = left.min(times);
                        let len = scan(black_box(&frames), black_box(&mut buffer), now);
                        assert_eq!(len, now * payload.bytes.len());
                        left -= now;
                    }
                })
            }
        }),
    ]
}

/// Copies that many frames as a read would, finds each, takes off its mask and checks its text; gives
/// the bytes of payload.
fn scan(frames: &[u8], buffer: &mut [u8], count: usize) -> usize {
    let (mut at, mut copied, mut total) = (0, 0, 0);
    for _ in 0..count {
        if copied < at + 14 {
            let more = (copied + READ).min(frames.len());
            buffer[copied..more].copy_from_slice(&frames[copied..more]);
            copied = more;
        }
        let (len, header) = match buffer[at + 1] & 0x7f {
            126 => (usize::from(buffer[at + 2]) << 8 | usize::from(buffer[at + 3]), 4),
            127 => (
                buffer[at + 2..at + 10].iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
                10,
            ),
            len => (usize::from(len), 2),
        };
        let mask = [0, 1, 2, 3].map(|byte| buffer[at + header + byte]);
        let text = buffer[at] & 0xf == 1;
        let payload = at + header + 4..at + header + 4 + len;
        if copied < payload.end {
            let more = (payload.end + READ).min(frames.len());
            buffer[copied..more].copy_from_slice(&frames[copied..more]);
            copied = more;
        }
        at = payload.end;
        unmask(&mut buffer[payload.clone()], mask);
        if text {
            assert!(simdutf8::basic::from_utf8(&buffer[payload]).is_ok());
        }
        total += len;
    }
    total
}

/// Eight bytes at once, from which the compiler makes more.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// What one read gives.
const READ: usize = 64 << 10;
