//! [`Stats`]: what was counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What a node has counted since it attached: see [`Backplane::stats`](crate::Backplane::stats).
///
/// # Examples
///
/// ```no_run
/// # fn example(backplane: &wsweave_backplane::Backplane) {
/// let stats = backplane.stats();
/// println!("{} of {} are lost", stats.missed, stats.received + stats.missed);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages of this node that the broker has taken.
    pub sent: u64,
    /// Messages of this node that went to no other one.
    pub unsent: u64,
    /// Messages that wait for the broker.
    pub queued: usize,
    /// What they count against [`Broker::max_queue`](crate::Broker::max_queue).
    pub queued_bytes: usize,
    /// Messages of other nodes that were given to the local members.
    pub received: u64,
    /// Messages of other nodes that came again, and were dropped.
    pub duplicates: u64,
    /// How often messages of other nodes were found missing.
    pub gaps: u64,
    /// How many messages that were.
    pub missed: u64,
    /// What came faster than it could be given to the members, and was dropped: see
    /// [`Broker::max_inbox`](crate::Broker::max_inbox). What of that was a message is counted as missed, too,
    /// unless the broker has kept it.
    pub overrun: u64,
    /// What came and was no envelope.
    pub invalid: u64,
    /// What other nodes said about themselves, and was more than there is room for.
    pub ignored: u64,
    /// How often the connection to the broker was made again.
    pub reconnects: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: Counter,
    pub(crate) unsent: Counter,
    pub(crate) received: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) gaps: Counter,
    pub(crate) missed: Counter,
    pub(crate) overrun: Arc<Counter>,
    pub(crate) invalid: Counter,
    pub(crate) ignored: Counter,
    pub(crate) reconnects: Counter,
}

impl Counters {
    pub(crate) fn stats(&self, (queued, queued_bytes): (usize, usize)) -> Stats {
        Stats {
            sent: self.sent.get(),
            unsent: self.unsent.get(),
            queued,
            queued_bytes,
            received: self.received.get(),
            duplicates: self.duplicates.get(),
            gaps: self.gaps.get(),
            missed: self.missed.get(),
            overrun: self.overrun.get(),
            invalid: self.invalid.get(),
            ignored: self.ignored.get(),
            reconnects: self.reconnects.get(),
        }
    }
}
