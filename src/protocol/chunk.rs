//! [`Chunk`]: what has arrived and is not decoded.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use super::{frame::Header, mask};

/// What one read gave, as far as it is not decoded. An empty one holds no memory.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: BytesMut,
    /// How much of it is decoded.
    at: usize,
}

impl Chunk {
    /// A chunk of `start`, which was left over, and `data`. It is a new one: to grow the old one would
    /// keep it, and all messages split off it, alive.
    pub(super) fn new(start: &[u8], data: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(start.len() + data.len());
        bytes.extend_from_slice(start);
        bytes.extend_from_slice(data);
        Self { bytes, at: 0 }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    #[inline]
    pub(super) fn rest_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.at..]
    }

    /// `len` bytes are decoded.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) {
        self.at += len;
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Takes a frame, which is there in whole; returns its payload, unmasked.
    #[inline]
    pub(super) fn take(&mut self, header: &Header) -> Bytes {
        let len = header.size + header.len;
        let alone = self.at == 0 && len == self.bytes.len();
        let payload = &mut self.rest_mut()[header.size..len];
        if let Some(key) = header.key {
            mask::apply(payload, key);
        }
        if header.len <= SMALL && !alone {
            let payload = Bytes::copy_from_slice(payload);
            self.advance(len);
            return payload;
        }
        let mut frame = self.split_to(len).freeze();
        frame.advance(header.size);
        frame
    }

    fn split_to(&mut self, len: usize) -> BytesMut {
        self.bytes.advance(mem::take(&mut self.at));
        if len == self.bytes.len() {
            // The last one takes what is left as it is, which saves making it shared.
            mem::take(&mut self.bytes)
        } else {
            self.bytes.split_to(len)
        }
    }
}

/// Up to here a payload is copied: that costs no more than to share the chunk, which a small message that
/// is kept would keep alive.
const SMALL: usize = 512;
