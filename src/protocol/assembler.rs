//! [`Assembler`]: a message whose payload arrives in pieces: over several reads, or in fragments
//! (RFC 6455, section 5.4).

use std::mem;

use bytes::Bytes;

use super::{
    Inflater, Violation,
    frame::{Header, OpCode},
    mask::{self, Key},
    utf8,
};
use crate::message::{Message, Text};

/// The message that is arriving.
#[derive(Debug)]
pub(super) struct Assembler {
    kind: Kind,
    /// It is inflated as it arrives.
    compressed: bool,
    payload: Vec<u8>,
    /// How much of the payload is known to be good text.
    checked: usize,
    text: utf8::Validator,
    fragments: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Text,
    Binary,
}

impl Assembler {
    pub(super) fn new() -> Self {
        let text = utf8::Validator::default();
        Self {
            kind: Kind::Nothing,
            compressed: false,
            payload: Vec::new(),
            checked: 0,
            text,
            fragments: 0,
        }
    }

    /// Tells whether a message is under way.
    pub(super) fn in_message(&self) -> bool {
        self.kind != Kind::Nothing
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// How many bytes of the message have arrived.
    pub(super) fn len(&self) -> usize {
        self.payload.len()
    }

    /// A data frame begins.
    pub(super) fn begin_frame(&mut self, header: &Header, limit: usize) -> Result<(), Violation> {
        if self.fragments >= limit.max(1) {
            return Err(Violation::too_many_fragments(limit));
        }
        match header.opcode {
            OpCode::Text => self.kind = Kind::Text,
            OpCode::Binary => self.kind = Kind::Binary,
            _ => {}
        }
        self.compressed |= header.compressed;
        self.fragments += 1;
        Ok(())
    }

    /// Takes in, and unmasks, a piece of a frame; `left` bytes of the message were still to come, if
    /// that is known.
    pub(super) fn push(&mut self, piece: &[u8], key: Option<Key>, left: Option<usize>) {
        self.make_room(piece.len(), left);
        match key {
            Some(key) => mask::extend(&mut self.payload, piece, key),
            None => self.payload.extend_from_slice(piece),
        }
    }

    /// Takes in a piece of a compressed message, unmasked; `limit` is that of the message.
    pub(super) fn inflate(
        &mut self,
        piece: &[u8],
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<(), Violation> {
        inflater.inflate(piece, &mut self.payload, limit)
    }

    /// A compressed message is complete.
    pub(super) fn finish_inflating(&mut self, inflater: &mut Inflater) -> Result<(), Violation> {
        self.compressed = false;
        inflater.finish()
    }

    /// Checks what has arrived as far as it can be.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
        if self.kind == Kind::Text {
            self.text.push(&self.payload[self.checked..]).map_err(|_| not_utf8())?;
            self.checked = self.payload.len();
        }
        Ok(())
    }

    /// The message is complete.
    pub(super) fn finish(&mut self) -> Result<Message, Violation> {
        let payload = Bytes::from(mem::take(&mut self.payload));
        (self.checked, self.fragments) = (0, 0);
        match mem::replace(&mut self.kind, Kind::Nothing) {
            Kind::Text => {
                self.text.finish().map_err(|_| not_utf8())?;
                Ok(Message::Text(Text::from_checked(payload)))
            }
            Kind::Binary | Kind::Nothing => Ok(Message::Binary(payload)),
        }
    }

    /// Grows with what has arrived, so that a peer pays for memory by sending, and many small fragments
    /// are not moved at each. What is known to be still to come is made room for up to four times that,
    /// since to move what is large takes time.
    fn make_room(&mut self, piece: usize, left: Option<usize>) {
        let (len, capacity) = (self.payload.len(), self.payload.capacity());
        if capacity - len < piece {
            let wanted = match left {
                Some(left) => len.saturating_add(left).min((len + piece).saturating_mul(4)),
                None => (2 * capacity).max(2 * piece),
            };
            self.payload.reserve_exact(wanted - len);
        }
    }
}

/// A message that came in one frame and one read: `payload` is all of it. `None` if it is not UTF-8.
#[inline]
pub(super) fn whole(opcode: OpCode, payload: Bytes) -> Option<Message> {
    if opcode != OpCode::Text {
        return Some(Message::Binary(payload));
    }
    utf8::is_valid(&payload).then(|| Message::Text(Text::from_checked(payload)))
}

#[cold]
fn not_utf8() -> Violation {
    Violation::utf8("a text message is not UTF-8 (RFC 6455, section 8.1)")
}
