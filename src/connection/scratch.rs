//! The buffer to read into: one a thread, so that an idle connection holds none.

use std::cell::Cell;

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the thread's buffer, initialised, with anything in it. It is taken out meanwhile: a poll
/// within this one gets its own.
pub(super) fn with<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    // While the thread is ending there is none; a connection may still be dropped then.
    let taken = SCRATCH.try_with(Cell::take).ok().flatten();
    let mut buffer = taken.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
    let result = read(&mut buffer);
    let _ = SCRATCH.try_with(|scratch| scratch.set(Some(buffer)));
    result
}

const SIZE: usize = 64 << 10;
