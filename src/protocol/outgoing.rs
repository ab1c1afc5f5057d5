//! [`Outgoing`]: messages and control frames in, bytes to write out.

use std::{cell::Cell, collections::VecDeque, io::IoSlice, mem};

use bytes::{Bytes, BytesMut};

use super::{
    Deflater,
    frame::{FIN, HEADER_ROOM, HeaderBytes, OpCode, RSV1},
    mask::{self, Key},
    published::{Frame, Published},
    stretches::Stretches,
};
use crate::{close::CloseFrame, config::Role, message::Message, stats::Traffic};

/// Frames that wait to be written, encoded.
///
/// Small payloads are copied behind one another, so that one write takes many; large ones are
/// written from where they are.
#[derive(Debug)]
pub(crate) struct Outgoing {
    role: Role,
    /// What is before the tail.
    segments: VecDeque<Segment>,
    /// Frames with their payloads, to which more are appended.
    tail: Vec<u8>,
    /// How much of the first segment, or else of the tail, has been written.
    start: usize,
    /// How many bytes wait, and have ever been written.
    len: usize,
    written: u64,
    /// The position up to which a flush waits.
    flush_end: u64,
    replies: Stretches,
    /// What groups have published, and hooks' messages go behind.
    backlog: Stretches,
    /// Where compression was agreed on.
    deflater: Option<Box<Deflater>>,
    /// But for the bytes on the wire, which `written` has.
    sent: Traffic,
}

#[derive(Debug)]
enum Segment {
    /// A tail that was full, or had a large payload put behind it.
    Inline(Vec<u8>),
    /// A frame with a large payload.
    Large(HeaderBytes, Bytes),
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
    /// A group, before what a hook sends.
    Group,
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
            tail: Vec::new(),
            start: 0,
            len: 0,
            written: 0,
            flush_end: 0,
            replies: Stretches::default(),
            backlog: Stretches::default(),
            deflater: None,
            sent: Traffic::default(),
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

    /// What has been queued, and how much of it written.
    pub(crate) fn sent(&self) -> Traffic {
        Traffic { wire: self.written, ..self.sent }
    }

    /// How many of the bytes that wait are what reading itself produced.
    pub(crate) fn replies_len(&self) -> usize {
        self.replies.len()
    }

    /// How many of them are what groups have published, and hooks' messages go behind.
    pub(crate) fn backlog_len(&self) -> usize {
        self.backlog.len()
    }

    /// Tells whether all that a flush waits for has been written: what the sink and hooks sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.written >= self.flush_end
    }

    /// A flush waits for all that is queued now, whatever it is.
    pub(crate) fn flush_all(&mut self) {
        self.flush_end = self.end();
    }

    /// Queues a message, in frames of at most `fragment_size` bytes.
    #[inline]
    pub(crate) fn message(
        &mut self,
        message: Message,
        fragment_size: Option<usize>,
        origin: Origin,
    ) {
        if self.deflater.is_some() || fragment_size.is_some_and(|size| size < message.len()) {
            return self.compressed_or_cut(message, fragment_size, origin);
        }
        let opcode = if message.is_text() { OpCode::Text } else { OpCode::Binary };
        self.sent.message(message.len());
        self.frame(FIN, opcode, message.into_bytes(), origin);
    }

    /// Queues a message that others get as well: it is encoded already, unless this connection has to do that
    /// in its own way. A large payload is shared with them; a small one is copied behind what else is written.
    pub(crate) fn published(
        &mut self,
        published: &Published,
        fragment_size: Option<usize>,
        origin: Origin,
    ) {
        let message = published.message();
        let is_cut = fragment_size.is_some_and(|size| size < message.len());
        let has_context = self.deflater.as_ref().is_some_and(|deflater| !deflater.shares());
        if self.role == Role::Client || is_cut || has_context {
            return self.message(message.clone(), fragment_size, origin);
        }
        self.sent.message(message.len());
        let deflated = self.deflater.as_ref().and_then(|deflater| deflater.shared(published));
        let Frame { header, payload } = deflated.as_ref().unwrap_or(published.plain());
        if payload.len() <= MAX_INLINE {
            self.small_frame(header, payload, None, origin);
        } else {
            self.large_frame(*header, payload.clone(), None, origin);
        }
    }

    /// Queues a message that may have to be changed on the way.
    fn compressed_or_cut(
        &mut self,
        message: Message,
        fragment_size: Option<usize>,
        origin: Origin,
    ) {
        self.sent.message(message.len());
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

    /// The bytes that wait, if they are in one piece.
    #[inline]
    pub(crate) fn slice(&self) -> Option<&[u8]> {
        self.segments.is_empty().then(|| &self.tail[self.start..])
    }

    /// The bytes that wait, as many as fit `slices`; returns how many slices were filled.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let most = slices.len();
        let (mut start, mut filled) = (self.start, 0);
        let mut add = |piece: &'a [u8]| {
            if start >= piece.len() {
                start -= piece.len();
            } else if let Some(slice) = slices.get_mut(filled) {
                *slice = IoSlice::new(&piece[start..]);
                (start, filled) = (0, filled + 1);
            }
        };
        // Each gives one slice or two.
        for segment in self.segments.iter().take(most) {
            segment.pieces().into_iter().for_each(&mut add);
        }
        add(&self.tail);
        filled
    }

    /// `len` bytes have been written.
    pub(crate) fn advance(&mut self, len: usize) {
        self.len -= len;
        self.written += len as u64;
        self.start += len;
        while let Some(first) = self.segments.front() {
            let first = first.len();
            if self.start < first {
                break;
            }
            self.start -= first;
            if let Some(Segment::Inline(buffer)) = self.segments.pop_front() {
                recycle(buffer);
            }
        }
        if self.len == 0 {
            self.start = 0;
            recycle(mem::take(&mut self.tail));
        }
        self.replies.advance(self.written);
        self.backlog.advance(self.written);
    }

    /// Forgets what waits: the transport is gone.
    pub(crate) fn discard(&mut self) {
        let (written, sent) = (self.written, self.sent);
        *self = Self { written, sent, ..Self::new(self.role) };
    }

    fn frame(&mut self, bits: u8, opcode: OpCode, payload: Bytes, origin: Origin) {
        let key = match self.role {
            Role::Client => Some(Key::random()),
            Role::Server => None,
        };
        let header = HeaderBytes::new(bits, opcode, key, payload.len());
        if payload.len() <= MAX_INLINE {
            self.small_frame(&header, &payload, key, origin);
        } else {
            self.large_frame(header, payload, key, origin);
        }
    }

    fn small_frame(
        &mut self,
        header: &HeaderBytes,
        payload: &[u8],
        key: Option<Key>,
        origin: Origin,
    ) {
        self.make_room(HEADER_ROOM + payload.len());
        let before = self.tail.len();
        header.append_to(&mut self.tail);
        match key {
            Some(key) => mask::extend(&mut self.tail, payload, key),
            None => self.tail.extend_from_slice(payload),
        }
        self.record(self.tail.len() - before, origin);
    }

    fn large_frame(
        &mut self,
        header: HeaderBytes,
        payload: Bytes,
        key: Option<Key>,
        origin: Origin,
    ) {
        self.record(header.len() + payload.len(), origin);
        let payload = match key {
            None => payload,
            Some(key) => match payload.try_into_mut() {
                // Nobody else holds it.
                Ok(mut payload) => {
                    mask::apply(&mut payload, key);
                    payload.freeze()
                }
                Err(shared) if shared.len() <= MAX_COPIED => {
                    self.make_room(HEADER_ROOM + shared.len());
                    header.append_to(&mut self.tail);
                    return mask::extend(&mut self.tail, &shared, key);
                }
                Err(shared) => mask::copy(&shared, Some(key)).into(),
            },
        };
        self.end_tail();
        self.segments.push_back(Segment::Large(header, payload));
    }

    #[inline]
    fn make_room(&mut self, len: usize) {
        // A full one is left alone: what is written can only be freed a segment at a time.
        if self.tail.len() >= FULL || self.tail.capacity() - self.tail.len() < len {
            self.change_tail(len);
        }
    }

    #[cold]
    fn change_tail(&mut self, len: usize) {
        if self.tail.len() >= FULL {
            self.end_tail();
        }
        if self.tail.capacity() == 0 {
            self.tail = spare();
        }
        self.tail.reserve(len);
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            self.segments.push_back(Segment::Inline(mem::take(&mut self.tail)));
        }
    }

    #[inline]
    fn record(&mut self, len: usize, origin: Origin) {
        let start = self.end();
        self.len += len;
        self.sent.frames += 1;
        if origin.is_flushed() {
            self.flush_end = self.end();
        }
        if origin.is_reply() {
            self.replies.push(start, len);
        }
        if origin == Origin::Group {
            self.backlog.push(start, len);
        }
    }
}

impl Segment {
    fn pieces(&self) -> [&[u8]; 2] {
        match self {
            Self::Inline(buffer) => [buffer, &[]],
            Self::Large(header, payload) => [header, payload],
        }
    }

    fn len(&self) -> usize {
        self.pieces().iter().map(|piece| piece.len()).sum()
    }
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
    if (1..=MAX_SPARE).contains(&buffer.capacity()) {
        buffer.clear();
        let _ = SPARE.try_with(|spare| spare.set(buffer));
    }
}

/// Up to here copying a payload costs less than another slice to write from.
const MAX_INLINE: usize = 4 << 10;
/// Up to here a payload that has to be copied is copied behind the others.
const MAX_COPIED: usize = 32 << 10;
const FULL: usize = 64 << 10;
/// What is not full has doubled at most once when it becomes so.
const MAX_SPARE: usize = 2 * (FULL + HEADER_ROOM + MAX_COPIED);
