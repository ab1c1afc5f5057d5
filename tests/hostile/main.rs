//! Peers that mean harm: what they do costs this side little memory and little work, in both roles.
//!
//! Which rule each breaks, and how it is answered, is tested by the rule; here it is the cost.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

#[path = "../support/allocator.rs"]
mod allocator;
mod floods;
mod frames;
mod handshakes;
mod hooks;
mod silence;
#[path = "../support/mod.rs"]
mod support;

use wsweave::Duplex;

use crate::support::Rig;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// What a peer costs.
#[derive(Debug)]
struct Cost {
    /// The most bytes of memory held at once.
    held: usize,
    /// The bytes of memory allocated, again and again perhaps.
    allocated: usize,
    reads: usize,
    writes: usize,
}

/// What `work` costs this side.
fn cost<C: Duplex + Unpin>(rig: &mut Rig<C>, work: impl FnOnce(&mut Rig<C>)) -> Cost {
    let (reads, writes) = (rig.wire.reads(), rig.wire.writes());
    let mut held = 0;
    let allocated = allocator::total_of(|| held = allocator::peak_of(|| work(rig)));
    Cost { held, allocated, reads: rig.wire.reads() - reads, writes: rig.wire.writes() - writes }
}

/// The buffer to read into, and what the test itself notes.
const LITTLE: usize = 300_000;
