//! [`Decoder`]: bytes in, messages and control frames out.

use bytes::{Buf, Bytes};

use super::{
    Inflater, Violation,
    assembler::{self, Assembler},
    chunk::Chunk,
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
    key: Option<[u8; 4]>,
    left: usize,
}

impl Decoder {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            chunk: Chunk::default(),
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
    pub(crate) fn feed(&mut self, mut data: &[u8], config: &Config) {
        if !self.chunk.is_empty() {
            self.chunk = Chunk::new(self.chunk.rest(), data);
            return;
        }
        data = &data[self.take_in(data)..];
        if let Some(size) = self.begin_large(data, config) {
            data = &data[size..];
            data = &data[self.take_in(data)..];
        }
        if !data.is_empty() {
            self.chunk = Chunk::new(&[], data);
        }
    }

    /// Takes in what belongs to the frame that is arriving; returns how much that was. What is
    /// compressed is left: it may be invalid, which only `decode` can tell.
    fn take_in(&mut self, data: &[u8]) -> usize {
        match &mut self.frame {
            Some(frame) if !self.message.is_compressed() => frame.take_in(data, &mut self.message),
            _ => 0,
        }
    }

    /// Begins a frame that is larger than what has arrived, so that its payload need not go by way of a
    /// chunk; returns its header's size. What breaks a rule is left: only `decode` can tell.
    fn begin_large(&mut self, data: &[u8], config: &Config) -> Option<usize> {
        if self.frame.is_some() {
            return None;
        }
        let header = Header::parse(data, &self.rules(config)).ok().flatten()?;
        let large = header.len > data.len() - header.size && !header.opcode.is_control();
        if !large || self.begin(&header, config).is_err() {
            return None;
        }
        Some(header.size)
    }

    /// A data frame begins.
    fn begin(&mut self, header: &Header, config: &Config) -> Result<(), Violation> {
        self.message.begin_frame(header, config.max_fragments)?;
        self.frame = Some(Arriving { fin: header.fin, key: header.key, left: header.len });
        Ok(())
    }

    /// Decodes the next frame; `None` if more has to arrive first.
    #[inline]
    pub(crate) fn decode(&mut self, config: &Config) -> Result<Option<Decoded>, Violation> {
        if self.frame.is_some() {
            return self.decode_arriving(config.max_message_size);
        }
        let arrived = self.chunk.rest();
        let Some(header) = Header::parse(arrived, &self.rules(config))? else {
            return Ok(None);
        };
        let whole = header.len <= arrived.len() - header.size;
        if whole && header.is_message() {
            let payload = self.chunk.take(&header);
            return assembler::whole(header.opcode, payload).map(|m| Some(Decoded::Message(m)));
        }
        self.decode_other(&header, whole, config)
    }

    /// Decodes a control frame, a fragment, or what is compressed or has not arrived in whole.
    fn decode_other(
        &mut self,
        header: &Header,
        whole: bool,
        config: &Config,
    ) -> Result<Option<Decoded>, Violation> {
        if header.opcode.is_control() {
            if !whole {
                return Ok(None);
            }
            return decode_control(header.opcode, self.chunk.take(header)).map(Some);
        }
        self.begin(header, config)?;
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
        *self = Self::new(self.role);
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
