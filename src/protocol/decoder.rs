//! [`Decoder`]: bytes in, messages and control frames out.

use bytes::{Buf, Bytes};

use super::{
    Inflater, Violation,
    assembler::{self, Assembler},
    buffer::Buffer,
    chunk::Chunk,
    frame::{Header, OpCode, Rules},
    mask::{self, Key},
};
use crate::{
    close::{CloseCode, CloseFrame},
    config::{Config, Role},
    message::{Message, Text},
};

/// What one frame amounts to.
#[derive(Debug)]
pub(crate) enum Decoded {
    Message(Message),
    Ping(Bytes),
    Pong(Bytes),
    Close(CloseFrame),
    /// A fragment that does not complete its message.
    Fragment,
}

/// Decodes what the peer sends.
#[derive(Debug)]
pub(crate) struct Decoder {
    role: Role,
    chunk: Chunk,
    /// The data frame whose payload is arriving.
    frame: Option<Arriving>,
    message: Assembler,
    /// Where compression was agreed on.
    inflater: Option<Box<Inflater>>,
}

#[derive(Debug)]
struct Arriving {
    fin: bool,
    key: Option<Key>,
    left: usize,
}

impl Decoder {
    /// One that has already been sent `read`.
    pub(crate) fn new(role: Role, read: &[u8]) -> Self {
        Self {
            role,
            chunk: Chunk::holding(read),
            frame: None,
            message: Assembler::new(),
            inflater: None,
        }
    }

    /// Takes compressed messages, too.
    pub(crate) fn inflate_with(&mut self, inflater: Inflater) {
        self.inflater = Some(Box::new(inflater));
    }

    /// Takes in `len` bytes that were read into `buffer`, when all before them is decoded.
    pub(crate) fn feed(&mut self, buffer: Buffer, len: usize) {
        self.chunk.feed(buffer, len);
    }

    /// Nothing is decoded for a moment: what is left, if it is little, is kept in as little memory.
    #[inline]
    pub(crate) fn settle(&mut self) {
        self.chunk.settle(LITTLE);
    }

    /// Nothing is decoded for perhaps a long time: what is left is kept in as much memory as it takes.
    pub(crate) fn rest(&mut self) {
        self.chunk.settle(usize::MAX);
    }

    /// The next message, if all of it is there, in one frame: nothing has to be kept for later. What is
    /// anything else, or breaks a rule, is left to [`decode`](Self::decode).
    #[inline]
    pub(crate) fn next_message(&mut self, config: &Config) -> Option<Message> {
        if self.frame.is_some() {
            return None;
        }
        let arrived = self.chunk.rest();
        let header = Header::parse(arrived, &self.rules(config)).ok()??;
        if header.len > arrived.len() - header.size || !header.is_message() {
            return None;
        }
        let payload = self.chunk.copy(&header);
        let message = assembler::whole(header.opcode, payload)?;
        self.chunk.advance(header.size + header.len);
        Some(message)
    }

    /// Decodes the next frame; `None` if more has to arrive first.
    pub(crate) fn decode(&mut self, config: &Config) -> Result<Option<Decoded>, Violation> {
        if let Some(message) = self.next_message(config) {
            return Ok(Some(Decoded::Message(message)));
        }
        if self.frame.is_some() {
            return self.decode_arriving(config.max_message_size);
        }
        let arrived = self.chunk.rest();
        let Some(header) = Header::parse(arrived, &self.rules(config))? else {
            return Ok(None);
        };
        if header.opcode.is_control() {
            if header.len > arrived.len() - header.size {
                return Ok(None);
            }
            let payload = self.chunk.copy(&header);
            self.chunk.advance(header.size + header.len);
            return decode_control(header.opcode, payload).map(Some);
        }
        self.message.begin_frame(&header, config.max_fragments)?;
        self.frame = Some(Arriving { fin: header.fin, key: header.key, left: header.len });
        self.chunk.advance(header.size);
        self.decode_arriving(config.max_message_size)
    }

    /// How many bytes have been inflated since the last call.
    pub(crate) fn take_inflated(&mut self) -> usize {
        self.inflater.as_mut().map_or(0, |inflater| inflater.take_made())
    }

    /// Tells whether all that has arrived is decoded.
    #[inline]
    pub(crate) fn is_starved(&self) -> bool {
        self.chunk.is_empty() && self.frame.is_none()
    }

    /// Tells whether what arrives next continues a data frame.
    pub(crate) fn in_frame(&self) -> bool {
        self.frame.is_some()
    }

    /// What the end of the transport, if it comes now, cuts off.
    pub(crate) fn interrupted(&self) -> Option<&'static str> {
        if self.frame.is_some() || !self.chunk.is_empty() {
            Some("in the middle of a frame")
        } else if self.message.in_message() {
            Some("in the middle of a message")
        } else {
            None
        }
    }

    /// Frees what arrived and will not be decoded any more.
    pub(crate) fn discard(&mut self) {
        *self = Self::new(self.role, &[]);
    }

    #[inline]
    fn rules(&self, config: &Config) -> Rules {
        Rules {
            role: self.role,
            deflate: self.inflater.is_some(),
            in_message: self.message.in_message(),
            in_compressed: self.message.is_compressed(),
            max_frame_size: config.max_frame_size,
            max_message_size: config.max_message_size,
            message_len: self.message.len(),
        }
    }

    fn decode_arriving(&mut self, limit: usize) -> Result<Option<Decoded>, Violation> {
        let Some(frame) = &mut self.frame else { return Ok(None) };
        let mut inflater = self.inflater.as_deref_mut().filter(|_| self.message.is_compressed());
        let taken = match &mut inflater {
            Some(inflater) => {
                let piece = frame.unmask(self.chunk.rest_mut());
                self.message.inflate(piece, inflater, limit)?;
                piece.len()
            }
            None => frame.take_in(self.chunk.rest(), &mut self.message),
        };
        self.chunk.advance(taken);
        self.message.check()?;
        let Arriving { fin, left: 0, .. } = *frame else { return Ok(None) };
        self.frame = None;
        if fin {
            if let Some(inflater) = inflater {
                self.message.finish_inflating(inflater)?;
            }
            self.message.finish().map(|message| Some(Decoded::Message(message)))
        } else {
            Ok(Some(Decoded::Fragment))
        }
    }
}

impl Arriving {
    /// Takes in what belongs to the frame from the start of `data`; returns how much that was.
    fn take_in(&mut self, data: &[u8], message: &mut Assembler) -> usize {
        let taken = self.left.min(data.len());
        // Of a message whose last frame this is not, more is to come than is known.
        message.push(&data[..taken], self.key, self.fin.then_some(self.left));
        self.pass(taken);
        taken
    }

    /// Unmasks what belongs to the frame at the start of `data`.
    fn unmask<'a>(&mut self, data: &'a mut [u8]) -> &'a [u8] {
        let len = self.left.min(data.len());
        let piece = &mut data[..len];
        if let Some(key) = self.key {
            mask::apply(piece, key);
        }
        self.pass(len);
        piece
    }

    fn pass(&mut self, len: usize) {
        self.key = self.key.map(|key| key.after(len));
        self.left -= len;
    }
}

fn decode_control(opcode: OpCode, payload: Bytes) -> Result<Decoded, Violation> {
    match opcode {
        OpCode::Ping => Ok(Decoded::Ping(payload)),
        OpCode::Pong => Ok(Decoded::Pong(payload)),
        _ => decode_close(payload).map(Decoded::Close),
    }
}

/// RFC 6455, sections 5.5.1 and 7.4.
fn decode_close(mut payload: Bytes) -> Result<CloseFrame, Violation> {
    match payload.len() {
        0 => return Ok(CloseFrame::EMPTY),
        1 => {
            let rule = "a Close has a body of one byte (RFC 6455, section 5.5.1)";
            return Err(Violation::protocol(rule));
        }
        _ => {}
    }
    let code = CloseCode(payload.get_u16());
    if !code.is_sendable() {
        let rule = format!("a Close carries the code {code} (RFC 6455, section 7.4)");
        return Err(Violation::protocol(rule));
    }
    let reason = Text::try_from(payload).map_err(|_| {
        Violation::utf8("the reason of a Close is not UTF-8 (RFC 6455, section 5.5.1)")
    })?;
    Ok(CloseFrame { code, reason })
}

/// To move so much, an eighth of what a read brings, costs little.
const LITTLE: usize = 8 << 10;
