//! What has come and gone.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Sub,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counts for a whole run.
#[derive(Default)]
pub(crate) struct Tally {
    visits: AtomicU64,
    faults: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    /// Those that a shutdown cut short.
    cut_short: AtomicU64,
    kinds: Mutex<BTreeMap<&'static str, u64>>,
}

/// The counts at a moment, or between two.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot {
    visits: u64,
    faults: u64,
    messages: u64,
    bytes: u64,
    cut_short: u64,
}

impl Tally {
    pub(crate) fn visit(&self, kind: &'static str, is_fault: bool) {
        self.visits.fetch_add(1, Ordering::Relaxed);
        self.faults.fetch_add(is_fault.into(), Ordering::Relaxed);
        *self.kinds.lock().unwrap().entry(kind).or_default() += 1;
    }

    /// A message of so many bytes was echoed, and every byte of it was right.
    pub(crate) fn echo(&self, len: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(len as u64, Ordering::Relaxed);
    }

    pub(crate) fn cut_short(&self) {
        self.cut_short.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let [visits, faults, messages, bytes, cut_short] =
            [&self.visits, &self.faults, &self.messages, &self.bytes, &self.cut_short]
                .map(|count| count.load(Ordering::Relaxed));
        Snapshot { visits, faults, messages, bytes, cut_short }
    }
}

impl fmt::Display for Tally {
    /// How many there were of each kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.kinds.lock().unwrap();
        kinds.iter().try_for_each(|(kind, count)| writeln!(f, "{count:>9} {kind}"))
    }
}

impl Sub for Snapshot {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            visits: self.visits - before.visits,
            faults: self.faults - before.faults,
            messages: self.messages - before.messages,
            bytes: self.bytes - before.bytes,
            cut_short: self.cut_short - before.cut_short,
        }
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { visits, faults, messages, bytes, cut_short } = self;
        write!(
            f,
            "{visits} connections, {faults} of them faults, {cut_short} cut short by a shutdown, \
             {messages} messages, {} KiB",
            bytes >> 10
        )
    }
}
