//! [`Buffer`]: memory to read into; one a thread, so that an idle connection holds none.

use std::{cell::Cell, mem};

use super::frame::{HEADER_ROOM, MAX_CONTROL_PAYLOAD};

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Initialised memory with anything in it. When it is dropped the thread keeps it for the next read.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Box<[u8]>);

impl Buffer {
    /// The thread's, or a new one while that is in use.
    pub(crate) fn lend() -> Self {
        // While the thread is ending there is none; a connection may still be dropped then.
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        Self(spare.unwrap_or_else(|| vec![0; SIZE].into()))
    }

    /// Where to read to.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.0[AHEAD..]
    }

    /// Memory of its own for `data`.
    pub(super) fn holding(data: &[u8]) -> Self {
        Self(data.into())
    }

    /// Puts `data` ahead of what is read; returns where it starts.
    pub(super) fn put_ahead(&mut self, data: &[u8]) -> usize {
        let start = AHEAD - data.len();
        self.0[start..AHEAD].copy_from_slice(data);
        start
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Whether it is one to read into, which is large.
    #[inline]
    pub(super) fn is_lent(&self) -> bool {
        self.0.len() == SIZE
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        if self.is_lent() {
            let _ = SPARE.try_with(|spare| spare.set(Some(mem::take(&mut self.0))));
        }
    }
}

/// What is left of the last read when the next one comes fits here: less than one header, or than one
/// control frame.
pub(super) const AHEAD: usize = 256;
const _: () = assert!(AHEAD >= HEADER_ROOM + MAX_CONTROL_PAYLOAD);

const SIZE: usize = AHEAD + (64 << 10);
