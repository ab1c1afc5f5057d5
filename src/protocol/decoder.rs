//! [`Decoder`]: bytes in, messages and control frames out.

use bytes::{Buf, Bytes, BytesMut};

use super::{
    Inflater, Violation,
    assembler::Assembler,
    frame::{Header, OpCode, Rules},
    mask,
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
    /// What has arrived and is not decoded. Messages are split off it without copying.
    chunk: BytesMut,
    /// The data frame whose payload is arriving.
    frame: Option<Arriving>,
    message: Assembler,
    /// Where compression was agreed on.
    inflater: Option<Box<Inflater>>,
}

#[derive(Debug)]
struct Arriving {
    fin: bool,
    key: Option<[u8; 4]>,
    left: usize,
}

impl Decoder {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            chunk: BytesMut::new(),
            frame: None,
            message: Assembler::new(),
            inflater: None,
        }
    }

    /// Takes compressed messages, too.
    pub(crate) fn inflate_with(&mut self, inflater: Inflater) {
        self.inflater = Some(Box::new(inflater));
    }

    /// Takes in what has arrived.
    pub(crate) fn feed(&mut self, mut data: &[u8]) {
        if self.chunk.is_empty() {
            // What is compressed may be invalid, which only `decode` can tell.
            if let Some(frame) = self.frame.as_mut().filter(|_| !self.message.is_compressed()) {
                data = &data[frame.take_in(data, &mut self.message)..];
            }
            self.chunk = BytesMut::from(data);
        } else {
            // The start of a frame is left over: a new chunk, since growing the old one would keep
            // it, and all messages split off it, alive.
            let mut chunk = BytesMut::with_capacity(self.chunk.len() + data.len());
            chunk.extend_from_slice(&self.chunk);
            chunk.extend_from_slice(data);
            self.chunk = chunk;
        }
    }

    /// Decodes the next frame; `None` if more has to arrive first.
    pub(crate) fn decode(&mut self, config: &Config) -> Result<Option<Decoded>, Violation> {
        if self.frame.is_none() {
            let Some(header) = Header::parse(&self.chunk, &self.rules(config))? else {
                return Ok(None);
            };
            if header.opcode.is_control() {
                if self.chunk.len() < header.size + header.len {
                    return Ok(None);
                }
                self.chunk.advance(header.size);
                let payload = self.split_payload(&header);
                return decode_control(header.opcode, payload).map(Some);
            }
            self.message.begin_frame(&header, config.max_fragments)?;
            self.chunk.advance(header.size);
            let whole_message =
                header.fin && header.opcode != OpCode::Continuation && !header.compressed;
            if whole_message && header.len <= self.chunk.len() {
                let payload = self.split_payload(&header);
                return self.message.take_whole(payload).map(|m| Some(Decoded::Message(m)));
            }
            self.frame = Some(Arriving { fin: header.fin, key: header.key, left: header.len });
        }
        self.decode_arriving(config.max_message_size)
    }

    /// How many bytes have been inflated since the last call.
    pub(crate) fn take_inflated(&mut self) -> usize {
        self.inflater.as_mut().map_or(0, |inflater| inflater.take_made())
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
        *self = Self::new(self.role);
    }

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

    /// Splits the payload, which has arrived in whole, off the chunk, and unmasks it.
    fn split_payload(&mut self, header: &Header) -> Bytes {
        let mut payload = if header.len == self.chunk.len() {
            // The last one takes the chunk itself, which saves making it shared.
            std::mem::take(&mut self.chunk)
        } else {
            self.chunk.split_to(header.len)
        };
        if let Some(key) = header.key {
            mask::apply(&mut payload, key);
        }
        payload.freeze()
    }

    fn decode_arriving(&mut self, limit: usize) -> Result<Option<Decoded>, Violation> {
        let Some(frame) = &mut self.frame else { return Ok(None) };
        let mut inflater = self.inflater.as_deref_mut().filter(|_| self.message.is_compressed());
        let taken = match &mut inflater {
            Some(inflater) => {
                let piece = frame.unmask(&mut self.chunk);
                self.message.inflate(piece, inflater, limit)?;
                piece.len()
            }
            None => frame.take_in(&self.chunk, &mut self.message),
        };
        self.chunk.advance(taken);
        if self.chunk.is_empty() {
            // An idle connection holds no read buffer.
            self.chunk = BytesMut::new();
        }
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
        self.key = self.key.map(|key| mask::rotate(key, len));
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
