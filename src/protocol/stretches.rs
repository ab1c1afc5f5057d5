//! [`Stretches`]: some of the bytes that wait to be written.

use std::{collections::VecDeque, ops::Range};

/// Where in what waits to be written the bytes of one kind are, in order, and how many.
#[derive(Debug, Default)]
pub(super) struct Stretches {
    ranges: VecDeque<Range<u64>>,
    len: usize,
}

impl Stretches {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds `len` bytes at `start`, which is not before what was added.
    pub(super) fn push(&mut self, start: u64, len: usize) {
        self.len += len;
        let end = start + len as u64;
        match self.ranges.back_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => self.ranges.push_back(start..end),
        }
    }

    /// Everything before a position has been written.
    #[inline]
    pub(super) fn advance(&mut self, position: u64) {
        if self.len > 0 {
            self.take_off(position);
        }
    }

    fn take_off(&mut self, position: u64) {
        while let Some(first) = self.ranges.front_mut() {
            let written = position.clamp(first.start, first.end) - first.start;
            first.start += written;
            self.len -= usize::try_from(written).expect("no more than waits");
            if !first.is_empty() {
                break;
            }
            self.ranges.pop_front();
        }
    }
}
