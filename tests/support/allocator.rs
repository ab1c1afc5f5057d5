//! An allocator that counts, thread by thread, so that tests which run beside each other do not mix; and
//! all threads together, for a test that is the only one of its binary.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Counts what this thread holds, and what all do.
pub(crate) struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(NOTHING) };
    static PEAK: Cell<usize> = const { Cell::new(NOTHING) };
    static TOTAL: Cell<usize> = const { Cell::new(0) };
}

static ALL_HELD: AtomicUsize = AtomicUsize::new(0);
static ALL_PEAK: AtomicUsize = AtomicUsize::new(0);

/// The bytes that all threads hold.
pub(crate) fn held_by_all() -> usize {
    ALL_HELD.load(Ordering::Relaxed)
}

/// The most bytes that all threads held since this was last asked.
pub(crate) fn take_peak_of_all() -> usize {
    ALL_PEAK.swap(held_by_all(), Ordering::Relaxed)
}

/// The most bytes that this thread held while it ran `work`, above what it held before.
pub(crate) fn peak_of(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    work();
    PEAK.get() - before
}

/// The bytes that this thread holds since `work`, and did not before.
pub(crate) fn held_after(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    work();
    HELD.get().saturating_sub(before)
}

/// The bytes that this thread allocated while it ran `work`, freed or not: how much was moved about.
pub(crate) fn total_of(work: impl FnOnce()) -> usize {
    let before = TOTAL.get();
    work();
    TOTAL.get() - before
}

fn count(allocated: usize, freed: usize) {
    // What a realloc frees is more than it allocates at times: the sum wraps, and is right again.
    let change = allocated.wrapping_sub(freed);
    let held = ALL_HELD.fetch_add(change, Ordering::Relaxed).wrapping_add(change);
    if allocated > freed {
        ALL_PEAK.fetch_max(held, Ordering::Relaxed);
    }
    // A thread that ends has given up its counters and still frees.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + allocated - freed);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
    let _ = TOTAL.try_with(|total| total.set(total.get() + allocated));
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing, for the
// counters are initialised by constants and have no destructor.
#[allow(unsafe_code, reason = "there is no other way to see what is allocated")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    /// What grows in its place is not there twice.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// In the middle, for a thread may free what another one has allocated.
const NOTHING: usize = usize::MAX / 2;
