//! The frame header (RFC 6455, section 5.2): parsed byte by byte as it arrives, and written.

use std::ops::Deref;

use super::{Violation, mask::Key};
use crate::config::Role;

/// The most payload that a control frame can have (RFC 6455, section 5.5).
pub(crate) const MAX_CONTROL_PAYLOAD: usize = 125;

/// Room for the longest header, of two bytes, an eight-byte length and a masking key, in one word.
pub(super) const HEADER_ROOM: usize = size_of::<u128>();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum OpCode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xa,
}

impl OpCode {
    #[inline]
    fn parse(first_byte: u8) -> Result<Self, Violation> {
        Ok(match first_byte & OPCODE {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            reserved => {
                let rule = format!("opcode {reserved:#x} is reserved (RFC 6455, section 5.2)");
                return Err(Violation::protocol(rule));
            }
        })
    }

    #[inline]
    pub(super) fn is_control(self) -> bool {
        self as u8 & CONTROL != 0
    }
}

/// A frame's header, whole and within the rules.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) fin: bool,
    /// The payload is of a message that starts here and is compressed.
    pub(super) compressed: bool,
    pub(super) opcode: OpCode,
    pub(super) key: Option<Key>,
    /// The payload's length, which fits the limits and so a `usize`.
    pub(super) len: usize,
    /// The header's own length.
    pub(super) size: usize,
}

/// What a header has to comply with at this moment.
#[derive(Debug)]
pub(super) struct Rules {
    /// Our role: a server wants masked frames, a client unmasked ones.
    pub(super) role: Role,
    /// Whether messages may be compressed.
    pub(super) deflate: bool,
    /// A fragmented message is under way.
    pub(super) in_message: bool,
    /// It is compressed.
    pub(super) in_compressed: bool,
    pub(super) max_frame_size: usize,
    pub(super) max_message_size: usize,
    /// How much of the message has arrived.
    pub(super) message_len: usize,
}

impl Header {
    /// Whether the frame is all of a message, to be taken as it is.
    #[inline]
    pub(super) fn is_message(&self) -> bool {
        self.fin && !self.compressed && matches!(self.opcode, OpCode::Text | OpCode::Binary)
    }

    /// Parses the header at the start of `bytes`; `None` if it is not complete. Fails at the first
    /// byte that breaks a rule.
    #[inline]
    pub(super) fn parse(bytes: &[u8], rules: &Rules) -> Result<Option<Self>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (fin, opcode) = (first & FIN != 0, OpCode::parse(first)?);
        let compressed = first & RSV1 != 0;
        rules.check_first(first, fin, opcode)?;

        let Some(&second) = bytes.get(1) else { return Ok(None) };
        rules.check_second(second, opcode)?;
        let Some((len, key_at)) = parse_len(second & LENGTH, &bytes[2..])? else { return Ok(None) };
        let len = rules.check_len(len, opcode, compressed || rules.in_compressed)?;

        let (key, size) = match rules.role {
            Role::Server => match bytes[key_at..].first_chunk() {
                Some(&key) => (Some(Key::from(key)), key_at + key.len()),
                None => return Ok(None),
            },
            Role::Client => (None, key_at),
        };
        Ok(Some(Self { fin, compressed, opcode, key, len, size }))
    }
}

impl Rules {
    #[inline]
    fn check_first(&self, first: u8, fin: bool, opcode: OpCode) -> Result<(), Violation> {
        let rule = match opcode {
            _ if first & RESERVED != 0 && !(self.deflate && first & RESERVED == RSV1) => {
                "a reserved bit is set without an extension (RFC 6455, section 5.2)"
            }
            OpCode::Text | OpCode::Binary if !self.in_message => return Ok(()),
            OpCode::Text | OpCode::Binary => {
                "a message starts within a fragmented one (RFC 6455, section 5.4)"
            }
            _ if first & RSV1 != 0 => {
                "RSV1 is set on a frame that starts no message (RFC 7692, section 6.1)"
            }
            OpCode::Continuation if self.in_message => return Ok(()),
            OpCode::Continuation => {
                "a continuation frame continues no message (RFC 6455, section 5.4)"
            }
            _ if fin => return Ok(()),
            _ => "a control frame is fragmented (RFC 6455, section 5.5)",
        };
        Err(Violation::protocol(rule))
    }

    #[inline]
    fn check_second(&self, second: u8, opcode: OpCode) -> Result<(), Violation> {
        let rule = match (self.role, second & MASK != 0) {
            (Role::Server, false) => "a client's frame is not masked (RFC 6455, section 5.1)",
            (Role::Client, true) => "a server's frame is masked (RFC 6455, section 5.1)",
            _ if opcode.is_control() && usize::from(second & LENGTH) > MAX_CONTROL_PAYLOAD => {
                "a control frame is longer than 125 bytes (RFC 6455, section 5.5)"
            }
            _ => return Ok(()),
        };
        Err(Violation::protocol(rule))
    }

    /// What a compressed message comes to shows as it is inflated.
    #[inline]
    fn check_len(&self, len: u64, opcode: OpCode, compressed: bool) -> Result<usize, Violation> {
        if opcode.is_control() {
            // At most 125, as `check_second` has seen.
            return Ok(usize::try_from(len).unwrap_or(usize::MAX));
        }
        match usize::try_from(len) {
            Ok(len) if len <= self.max_frame_size && compressed => Ok(len),
            Ok(len) if len <= self.max_frame_size => match self.message_len.checked_add(len) {
                Some(message) if message <= self.max_message_size => Ok(len),
                _ => {
                    let total = (self.message_len as u64).saturating_add(len as u64);
                    Err(Violation::too_big("a message", total, self.max_message_size))
                }
            },
            _ => Err(Violation::too_big("a frame", len, self.max_frame_size)),
        }
    }
}

/// The payload's length, and where in the frame it ends; `rest` starts at the frame's third byte.
#[inline]
fn parse_len(len: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    const NOT_MINIMAL: &str = "a length is not in its shortest form (RFC 6455, section 5.2)";
    match len {
        LENGTH_16 => {
            let Some(&bytes) = rest.first_chunk() else { return Ok(None) };
            let len = u16::from_be_bytes(bytes);
            if len < u16::from(LENGTH_16) {
                return Err(Violation::protocol(NOT_MINIMAL));
            }
            Ok(Some((len.into(), 4)))
        }
        LENGTH_64 => {
            if rest.first().is_some_and(|byte| byte & 0x80 != 0) {
                let rule = "the top bit of a 64-bit length is set (RFC 6455, section 5.2)";
                return Err(Violation::protocol(rule));
            }
            let Some(&bytes) = rest.first_chunk() else { return Ok(None) };
            let len = u64::from_be_bytes(bytes);
            if len <= u16::MAX.into() {
                return Err(Violation::protocol(NOT_MINIMAL));
            }
            Ok(Some((len, 10)))
        }
        len => Ok(Some((len.into(), 2))),
    }
}

/// The header of a frame to send, encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderBytes {
    bytes: [u8; HEADER_ROOM],
    len: usize,
}

impl HeaderBytes {
    /// `bits` are [`FIN`] and [`RSV1`], where they are set.
    ///
    /// Put together in one word: bytes that are written one by one, and then read together, have the
    /// processor wait.
    #[inline]
    pub(super) fn new(bits: u8, opcode: OpCode, key: Option<Key>, len: usize) -> Self {
        let (length, rest, mut size): (u8, u64, usize) = match u16::try_from(len) {
            Ok(len @ 0..=125) => (len.to_be_bytes()[1], 0, 2),
            Ok(len) => (LENGTH_16, len.swap_bytes().into(), 4),
            Err(_) => (LENGTH_64, (len as u64).swap_bytes(), 10),
        };
        let mask = if key.is_some() { MASK } else { 0 };
        let start = u16::from_le_bytes([opcode as u8 | bits, mask | length]);
        let mut word = u128::from(start) | u128::from(rest) << 16;
        if let Some(key) = key {
            let key = key.to_bytes();
            word |= u128::from(u32::from_le_bytes(key)) << (8 * size);
            size += key.len();
        }
        Self { bytes: word.to_le_bytes(), len: size }
    }

    /// Appends all of the array, whose length is known here, and then cuts it: a copy of a length
    /// that is not known is a call.
    #[inline]
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.len;
        out.extend_from_slice(&self.bytes);
        out.truncate(end);
    }
}

impl Deref for HeaderBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

pub(super) const FIN: u8 = 0x80;
/// The message that starts with this frame is compressed (RFC 7692, section 6).
pub(super) const RSV1: u8 = 0x40;
/// RSV1, RSV2 and RSV3.
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const CONTROL: u8 = 0x08;
const MASK: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
