//! [`Turn`]: how much a task may do before others get theirs.

use std::task::Context;

/// What has been done since the task last waited.
#[derive(Debug, Default)]
pub(super) struct Turn {
    reads: u32,
    writes: u32,
    bytes: usize,
    /// Frames that gave no message.
    frames: u32,
    /// Reads since something was queued.
    reads_since_write: u32,
    /// How much has to be queued for a write to be tried again after one that would block.
    retry_at: usize,
    delivered: bool,
}

impl Turn {
    pub(super) fn frame(&mut self) {
        self.frames += 1;
    }

    /// A message was delivered.
    pub(super) fn delivered(&mut self) {
        self.delivered = true;
    }

    pub(super) fn has_delivered(&self) -> bool {
        self.delivered
    }

    pub(super) fn read(&mut self, len: usize) {
        self.reads += 1;
        self.bytes += len;
        self.reads_since_write += 1;
    }

    /// What a peer has made of few bytes is work, too.
    pub(super) fn inflated(&mut self, len: usize) {
        self.bytes += len;
    }

    pub(super) fn wrote(&mut self, len: usize) {
        self.writes += 1;
        // The kernel copies them. What is read is copied, unmasked, checked and handled, too.
        self.bytes += len / 4;
        self.reads_since_write = 0;
        self.retry_at = 0;
    }

    /// A write would block, with `queued` bytes left. To try again for each message would cost a
    /// system call each.
    pub(super) fn write_blocked(&mut self, queued: usize) {
        self.reads_since_write = 0;
        self.retry_at = queued + WRITE_MARK;
    }

    /// Tells whether so much is queued that it is written without waiting for reading to block.
    #[inline]
    pub(super) fn is_full(&self, queued: usize) -> bool {
        queued >= WRITE_MARK.max(self.retry_at)
    }

    /// Tells whether what is queued has waited long enough for reading to block.
    #[inline]
    pub(super) fn write_is_due(&mut self, queued: usize) -> bool {
        if queued == 0 {
            self.reads_since_write = 0;
        }
        self.reads_since_write >= MAX_READS_BEFORE_WRITE || self.is_full(queued)
    }

    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.reads >= MAX_READS
            || self.writes >= MAX_WRITES
            || self.bytes >= MAX_BYTES
            || self.frames >= MAX_FRAMES
    }

    /// The task is about to wait. It is woken at once if its turn was over: a flood starves nobody.
    #[inline]
    pub(super) fn end(&mut self, cx: &mut Context<'_>) {
        if self.is_over() {
            cx.waker().wake_by_ref();
        }
        *self = Self::default();
    }
}

/// From here on what is queued is written without waiting for reading to block.
pub(super) const WRITE_MARK: usize = 64 << 10;

const MAX_READS: u32 = 128;
const MAX_WRITES: u32 = 128;
const MAX_BYTES: usize = 1 << 20;
const MAX_FRAMES: u32 = 1_000;
/// What is queued goes out before the 16th read after.
const MAX_READS_BEFORE_WRITE: u32 = 15;
