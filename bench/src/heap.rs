//! How many bytes of heap the server's thread holds: the allocator of this program counts them.

#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

/// The system's allocator, which counts for the thread that [`count_this_thread`] was called in.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// Counts from now on, from zero, what this thread allocates and frees. One thread at a time.
pub(crate) fn count_this_thread() {
    HELD.store(0, Ordering::Relaxed);
    COUNTED.set(true);
}

/// What the counted thread holds, in bytes as asked for. What it frees of others' is taken off.
pub(crate) fn held() -> isize {
    HELD.load(Ordering::Relaxed).cast_signed()
}

fn add(bytes: usize) {
    // A thread that is ending may have no such variable any more, and nothing to count.
    if COUNTED.try_with(Cell::get).unwrap_or(false) {
        HELD.store(HELD.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Relaxed);
    }
}

// SAFETY: all calls go on to the system's allocator as they came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        add(layout.size().wrapping_neg());
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size.wrapping_sub(layout.size()));
        unsafe { System.realloc(block, layout, size) }
    }
}
