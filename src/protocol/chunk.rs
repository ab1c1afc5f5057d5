//! [`Chunk`]: what has arrived and is not decoded.

use bytes::Bytes;

use super::{
    buffer::{AHEAD, Buffer},
    frame::Header,
    mask,
};

/// What one read gave, as far as it is not decoded. An empty one holds no memory.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    buffer: Buffer,
    start: usize,
    end: usize,
}

impl Chunk {
    /// A copy of `data`.
    pub(super) fn holding(data: &[u8]) -> Self {
        Self { buffer: Buffer::holding(data), start: 0, end: data.len() }
    }

    /// Goes on with `len` bytes that were read into `buffer`.
    pub(super) fn feed(&mut self, mut buffer: Buffer, len: usize) {
        debug_assert!(
            self.rest().len() <= AHEAD,
            "only what is less than a frame is left undecoded"
        );
        let start = buffer.put_ahead(self.rest());
        *self = Self { buffer, start, end: AHEAD + len };
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer.bytes()[self.start..self.end]
    }

    #[inline]
    pub(super) fn rest_mut(&mut self) -> &mut [u8] {
        &mut self.buffer.bytes_mut()[self.start..self.end]
    }

    /// `len` bytes are decoded.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) {
        self.start += len;
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// The payload, unmasked, of a frame that is there in whole.
    #[inline]
    pub(super) fn copy(&self, header: &Header) -> Bytes {
        mask::copy(&self.rest()[header.size..][..header.len], header.key).into()
    }

    /// Moves out of the buffer for reading if `most` bytes, or less, are left: they may stay for long.
    #[inline]
    pub(super) fn settle(&mut self, most: usize) {
        if self.end - self.start <= most && self.buffer.is_lent() {
            *self = Self::holding(self.rest());
        }
    }
}
