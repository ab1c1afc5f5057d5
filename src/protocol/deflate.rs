//! permessage-deflate (RFC 7692, section 7): [`Deflater`] and [`Inflater`], one of each a connection.

use std::mem;

use bytes::Bytes;
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::{
    Violation,
    published::{Frame, Published, Setting},
};
use crate::{
    compression::{Compression, MIN_BITS},
    message::Message,
};

/// What the opening handshake agreed on for what one side sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// How far back it may refer, as a power of 2; 8 to 15.
    pub(crate) bits: u8,
    /// Whether it may refer to earlier messages.
    pub(crate) takeover: bool,
}

/// Compresses what we send. Its memory is taken when there is something to compress, and without
/// context takeover given back behind each message.
#[derive(Debug)]
pub(crate) struct Deflater {
    settings: Compression,
    window: Window,
    /// With context takeover, and from the first message on.
    stream: Option<Compress>,
}

impl Deflater {
    pub(crate) fn new(settings: Compression, window: Window) -> Self {
        Self { settings, window, stream: None }
    }

    /// The compressed payload of a message, unless that is to go plain: always allowed, and the way to
    /// keep to a window that zlib cannot make.
    pub(super) fn compress(&mut self, message: &Message) -> Option<Bytes> {
        if !self.wants(message) {
            return None;
        }
        if !self.window.takeover {
            return alone(self.setting(), message);
        }
        let mut stream = self.stream.take().unwrap_or_else(|| self.setting().stream());
        // It counts on the peer's having inflated this, be it that it grew.
        let payload = deflate(&mut stream, message.as_bytes())?;
        self.stream = Some(stream);
        Some(payload)
    }

    /// Whether each message is compressed by itself, and so as for any other connection.
    pub(super) fn shares(&self) -> bool {
        !self.window.takeover
    }

    /// What it sends of a message that others send, too.
    pub(super) fn shared(&self, published: &Published) -> Option<Frame> {
        if self.wants(published.message()) { published.deflated(self.setting()) } else { None }
    }

    fn wants(&self, message: &Message) -> bool {
        let wanted = !message.is_empty() && self.settings.applies_to(message);
        wanted && self.window.bits >= MIN_BITS
    }

    fn setting(&self) -> Setting {
        Setting { level: self.settings.level.min(9), bits: self.window.bits }
    }
}

impl Setting {
    fn stream(self) -> Compress {
        Compress::new_with_window_bits(flate2::Compression::new(self.level), false, self.bits)
    }
}

/// The payload of a message that is compressed by itself; `None` if it does not get smaller.
pub(super) fn alone(setting: Setting, message: &Message) -> Option<Bytes> {
    let payload = deflate(&mut setting.stream(), message.as_bytes())?;
    Some(payload).filter(|payload| payload.len() < message.len())
}

/// RFC 7692, section 7.2.1.
fn deflate(stream: &mut Compress, mut input: &[u8]) -> Option<Bytes> {
    let mut out = Vec::with_capacity(input.len() / 4 + ROOM);
    // zlib is done when it leaves room.
    while !input.is_empty() || out.len() == out.capacity() {
        if out.len() == out.capacity() {
            out.reserve(out.capacity());
        }
        let before = stream.total_in();
        stream.compress_vec(input, &mut out, FlushCompress::Sync).ok()?;
        input = &input[count(before, stream.total_in())..];
    }
    let len = out.strip_suffix(&TAIL)?.len();
    out.truncate(len);
    Some(out.into())
}

/// Decompresses what the peer sends. Its memory is taken when something compressed arrives, and
/// without context takeover given back behind each message.
#[derive(Debug)]
pub(crate) struct Inflater {
    /// Whether a message may refer to earlier ones.
    takeover: bool,
    stream: Option<Decompress>,
    /// Whether nothing has come of the message, or behind a final block of it.
    at_rest: bool,
    /// How much it has done since that was last asked, in bytes made.
    made: usize,
}

impl Inflater {
    pub(crate) fn new(window: Window) -> Self {
        Self { takeover: window.takeover, stream: None, at_rest: true, made: 0 }
    }

    /// How much it has done since the last call, in bytes made.
    pub(super) fn take_made(&mut self) -> usize {
        mem::take(&mut self.made)
    }

    /// Inflates a piece of a message behind `out`, which is no longer than `limit` bytes.
    pub(super) fn inflate(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Violation> {
        if input.is_empty() {
            return Ok(());
        }
        // A smaller window would take as much memory, and a new one at each reset, of which a peer can
        // ask for one every two bytes.
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        // zlib is done when it leaves room.
        while !input.is_empty() || out.len() == out.capacity() {
            make_room(out, input.len(), limit);
            let (before, len) = (stream.total_in(), out.len());
            let status = stream.decompress_vec(input, out, FlushDecompress::Sync);
            self.made += out.len() - len;
            let status = status.map_err(|_| Violation::deflate(INVALID))?;
            if out.len() > limit {
                return Err(Violation::inflates_too_big(limit));
            }
            let taken = count(before, stream.total_in());
            input = &input[taken..];
            self.at_rest &= taken == 0;
            match status {
                // A final block is not the end of a message (RFC 7692, section 7.2.3.4). Its window ends
                // with it, as for everybody who has this from zlib.
                Status::StreamEnd => {
                    stream.reset(false);
                    self.at_rest = true;
                }
                _ if taken == 0 && out.len() == len && !input.is_empty() => {
                    return Err(Violation::deflate(INVALID));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The message is complete (RFC 7692, section 7.2.2). One of no bytes at all, or that ends with a
    /// final block, lacks what the tail is to complete; peers send both, and neither leaves a doubt.
    pub(super) fn finish(&mut self) -> Result<(), Violation> {
        if let Some(stream) = self.stream.as_mut().filter(|_| !self.at_rest) {
            seal(stream)?;
        }
        self.at_rest = true;
        self.made += OVERHEAD;
        if !self.takeover {
            self.stream = None;
        }
        Ok(())
    }
}

/// Puts the tail back, and makes sure that it was cut off here. It gives no output then, nor do the
/// empty blocks behind it, which leave everything as it was. In another place what was to come next takes
/// them for its own: the bytes of a stored block, the codes of another, or their lengths.
fn seal(stream: &mut Decompress) -> Result<(), Violation> {
    let mut input = &SEAL[..];
    while !input.is_empty() {
        let (before, out) = (stream.total_in(), stream.total_out());
        let status = stream.decompress(input, &mut [0], FlushDecompress::Sync);
        let status = status.map_err(|_| Violation::deflate(INVALID))?;
        let taken = count(before, stream.total_in());
        if taken == 0 || stream.total_out() > out {
            return Err(Violation::deflate(INVALID));
        }
        input = &input[taken..];
        if status == Status::StreamEnd {
            stream.reset(false);
        }
    }
    Ok(())
}

/// Grows by doubling, so that a peer pays for memory by sending, but not beyond the one byte that
/// tells that a message is over the limit.
fn make_room(out: &mut Vec<u8>, piece: usize, limit: usize) {
    let (len, capacity) = (out.len(), out.capacity());
    if len == capacity {
        let wanted = (2 * capacity).max(2 * piece).max(ROOM);
        let wanted = wanted.min(limit.saturating_add(1));
        out.reserve_exact(wanted - len);
    }
}

fn count(before: u64, after: u64) -> usize {
    usize::try_from(after - before).expect("no more than a slice's length")
}

const INVALID: &str = "a compressed message is not valid deflate (RFC 7692, section 7.2.2)";

/// What the sender takes off the end of each message, and the receiver puts back.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The tail, and behind it 64 empty blocks: the header of a block with codes of its own has up to 289
/// bytes (RFC 1951, section 3.2.7), and must not have room for all of this.
const SEAL: [u8; 324] = {
    let mut seal = [0; 324];
    let mut end = TAIL.len();
    while end <= seal.len() {
        (seal[end - 2], seal[end - 1]) = (0xff, 0xff);
        end += 1 + TAIL.len();
    }
    seal
};

/// What a message costs whatever is in it, as that of so many bytes.
const OVERHEAD: usize = 1 << 10;

/// The least room for output: zlib wants more than the tail's, lest it write that twice.
const ROOM: usize = 64;
