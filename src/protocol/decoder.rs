//! [`Decoder`]: bytes in, messages and control frames out.

use bytes::{Buf, Bytes, BytesMut};

use super::{
    Violation,
    assembler::Assembler,
    frame::{self, Header, OpCode, Rules},
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
}

#[derive(Debug)]
struct Arriving {
    fin: bool,
    key: Option<[u8; 4]>,
    left: usize,
}

impl Decoder {
    pub(crate) fn new(role: Role) -> Self {
        Self { role, chunk: BytesMut::new(), frame: None, message: Assembler::new() }
    }

    /// Takes in what has arrived.
    pub(crate) fn feed(&mut self, mut data: &[u8]) {
        if self.chunk.is_empty() {
            if let Some(frame) = &mut self.frame {
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
            self.message.begin_frame(header.opcode, config.max_fragments)?;
            self.chunk.advance(header.size);
            let whole_message = header.fin && header.opcode != OpCode::Continuation;
            if whole_message && header.len <= self.chunk.len() {
                let payload = self.split_payload(&header);
                return self.message.take_whole(payload).map(|m| Some(Decoded::Message(m)));
            }
            self.frame = Some(Arriving { fin: header.fin, key: header.key, left: header.len });
        }
        self.decode_arriving()
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
            reserved: frame::RESERVED,
            in_message: self.message.in_message(),
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

    fn decode_arriving(&mut self) -> Result<Option<Decoded>, Violation> {
        let Some(frame) = &mut self.frame else { return Ok(None) };
        let taken = frame.take_in(&self.chunk, &mut self.message);
        self.chunk.advance(taken);
        if self.chunk.is_empty() {
            // An idle connection holds no read buffer.
            self.chunk = BytesMut::new();
        }
        self.message.check()?;
        let Arriving { fin, left: 0, .. } = *frame else { return Ok(None) };
        self.frame = None;
        if fin {
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
        self.key = self.key.map(|key| mask::rotate(key, taken));
        self.left -= taken;
        taken
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
