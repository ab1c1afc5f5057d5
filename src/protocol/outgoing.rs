//! [`Outgoing`]: messages and control frames in, bytes to write out.

use std::{cell::Cell, collections::VecDeque, io::IoSlice, mem};

use bytes::{Bytes, BytesMut};

use super::{
    Deflater,
    frame::{self, FIN, MAX_HEADER, OpCode, RSV1},
    mask,
};
use crate::{close::CloseFrame, config::Role, message::Message};

/// Frames that wait to be written, encoded.
///
/// Small payloads are copied behind one another, so that one write takes many; large ones are
/// written from where they are.
#[derive(Debug)]
pub(crate) struct Outgoing {
    role: Role,
    segments: VecDeque<Segment>,
    /// How much of the first segment has been written.
    start: usize,
    /// How many bytes wait, and have ever been written.
    len: usize,
    written: u64,
    /// How many of them are behind all that a flush waits for.
    trailing: usize,
    /// What they are, in order.
    runs: VecDeque<Run>,
    /// How many of them are replies.
    replies_len: usize,
    /// Where compression was agreed on.
    deflater: Option<Box<Deflater>>,
}

/// Bytes of one kind.
#[derive(Debug)]
struct Run {
    is_reply: bool,
    len: usize,
}

#[derive(Debug)]
enum Segment {
    /// Frames with their payloads.
    Inline(Vec<u8>),
    /// A large payload.
    Payload(Bytes),
}

/// Why something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The connection as a sink, which can wait for room.
    Sink,
    /// A handle, which can wait for room and has a flush of its own.
    Handle,
    /// A hook, in reply to what was read.
    Hook,
    /// The protocol itself, in reply to what was read.
    Protocol,
}

impl Origin {
    fn is_reply(self) -> bool {
        matches!(self, Self::Hook | Self::Protocol)
    }

    fn is_flushed(self) -> bool {
        matches!(self, Self::Sink | Self::Hook)
    }
}

impl Outgoing {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            segments: VecDeque::new(),
            start: 0,
            len: 0,
            written: 0,
            trailing: 0,
            runs: VecDeque::new(),
            replies_len: 0,
            deflater: None,
        }
    }

    /// Compresses messages.
    pub(crate) fn deflate_with(&mut self, deflater: Deflater) {
        self.deflater = Some(Box::new(deflater));
    }

    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The position behind all that has been written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The position behind all that waits.
    pub(crate) fn end(&self) -> u64 {
        self.written + self.len as u64
    }

    /// How many of the bytes that wait are what reading itself produced.
    pub(crate) fn replies_len(&self) -> usize {
        self.replies_len
    }

    /// Tells whether all that a flush waits for has been written: what the sink and hooks sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.len <= self.trailing
    }

    /// Queues a message, in frames of at most `fragment_size` bytes.
    pub(crate) fn message(
        &mut self,
        message: Message,
        fragment_size: Option<usize>,
        origin: Origin,
    ) {
        let mut opcode = if message.is_text() { OpCode::Text } else { OpCode::Binary };
        let compressed = self.deflater.as_mut().and_then(|deflater| deflater.compress(&message));
        let mut bits = if compressed.is_some() { RSV1 } else { 0 };
        let mut payload = compressed.unwrap_or_else(|| message.into_bytes());
        if let Some(size) = fragment_size.map(|size| size.max(1)) {
            while payload.len() > size {
                self.frame(bits, opcode, payload.split_to(size), origin);
                (bits, opcode) = (0, OpCode::Continuation);
            }
        }
        self.frame(FIN | bits, opcode, payload, origin);
    }

    /// Queues a ping, of at most [`MAX_CONTROL_PAYLOAD`](frame::MAX_CONTROL_PAYLOAD) bytes.
    pub(crate) fn ping(&mut self, payload: Bytes, origin: Origin) {
        self.frame(FIN, OpCode::Ping, payload, origin);
    }

    pub(crate) fn pong(&mut self, payload: Bytes) {
        self.frame(FIN, OpCode::Pong, payload, Origin::Protocol);
    }

    pub(crate) fn close(&mut self, close: &CloseFrame) {
        let mut payload = BytesMut::new();
        if close.code != CloseFrame::EMPTY.code {
            payload.extend_from_slice(&close.code.0.to_be_bytes());
            payload.extend_from_slice(close.reason.as_bytes());
        }
        self.frame(FIN, OpCode::Close, payload.freeze(), Origin::Protocol);
    }

    /// The bytes that wait, as many as fit `slices`; returns how many slices were filled.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut start = self.start;
        let mut filled = 0;
        for (slice, segment) in slices.iter_mut().zip(&self.segments) {
            *slice = IoSlice::new(&segment.as_ref()[mem::take(&mut start)..]);
            filled += 1;
        }
        filled
    }

    /// `len` bytes have been written.
    pub(crate) fn advance(&mut self, len: usize) {
        self.len -= len;
        self.written += len as u64;
        self.trailing = self.trailing.min(self.len);
        self.start += len;
        while let Some(first) = self.segments.front() {
            let first = first.as_ref().len();
            if self.start < first {
                break;
            }
            self.start -= first;
            if let Some(Segment::Inline(buffer)) = self.segments.pop_front() {
                recycle(buffer);
            }
        }
        self.advance_runs(len);
    }

    /// Forgets what waits: the transport is gone.
    pub(crate) fn discard(&mut self) {
        *self = Self::new(self.role);
    }

    fn frame(&mut self, bits: u8, opcode: OpCode, payload: Bytes, origin: Origin) {
        let key = match self.role {
            Role::Client => Some(mask::random_key()),
            Role::Server => None,
        };
        let len = payload.len();
        let inline = len <= MAX_INLINE;
        let buffer = self.inline_buffer(MAX_HEADER + if inline { len } else { 0 });
        let before = buffer.len();
        frame::write_header(buffer, bits, opcode, key, len);
        let header_len = buffer.len() - before;
        if inline {
            let start = buffer.len();
            buffer.extend_from_slice(&payload);
            if let Some(key) = key {
                mask::apply(&mut buffer[start..], key);
            }
        } else {
            let payload = match key {
                Some(key) => masked(payload, key),
                None => payload,
            };
            self.segments.push_back(Segment::Payload(payload));
        }
        self.record(header_len + len, origin);
    }

    /// A buffer at the end of the queue with room for `len` bytes more.
    fn inline_buffer(&mut self, len: usize) -> &mut Vec<u8> {
        // A full one is left alone: what is written can only be freed a segment at a time.
        let usable = matches!(self.segments.back(), Some(Segment::Inline(b)) if b.len() < FULL);
        if !usable {
            self.segments.push_back(Segment::Inline(spare()));
        }
        match self.segments.back_mut() {
            Some(Segment::Inline(buffer)) => {
                buffer.reserve(len);
                buffer
            }
            _ => unreachable!("pushed above"),
        }
    }

    fn record(&mut self, len: usize, origin: Origin) {
        self.len += len;
        self.trailing = if origin.is_flushed() { 0 } else { self.trailing + len };
        let is_reply = origin.is_reply();
        if is_reply {
            self.replies_len += len;
        }
        match self.runs.back_mut() {
            Some(run) if run.is_reply == is_reply => run.len += len,
            _ => self.runs.push_back(Run { is_reply, len }),
        }
    }

    fn advance_runs(&mut self, mut written: usize) {
        while let Some(run) = self.runs.front_mut() {
            let from_run = run.len.min(written);
            run.len -= from_run;
            written -= from_run;
            if run.is_reply {
                self.replies_len -= from_run;
            }
            if run.len > 0 {
                break;
            }
            self.runs.pop_front();
        }
    }
}

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Inline(buffer) => buffer,
            Self::Payload(payload) => payload,
        }
    }
}

/// Masks in place if nobody else holds the payload, else a copy.
fn masked(payload: Bytes, key: [u8; 4]) -> Bytes {
    let mut payload = payload.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
    mask::apply(&mut payload, key);
    payload.freeze()
}

thread_local! {
    /// A write buffer between two uses: connections that have nothing to write hold none.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn spare() -> Vec<u8> {
    // While the thread is ending there is none; a connection may still be dropped then.
    SPARE.try_with(Cell::take).unwrap_or_default()
}

fn recycle(mut buffer: Vec<u8>) {
    if buffer.capacity() <= MAX_SPARE {
        buffer.clear();
        let _ = SPARE.try_with(|spare| spare.set(buffer));
    }
}

/// Up to here copying a payload costs less than another slice to write from.
const MAX_INLINE: usize = 4 << 10;
const FULL: usize = 64 << 10;
const MAX_SPARE: usize = 128 << 10;
