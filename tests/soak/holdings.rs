//! What there is in this process, and how it comes to rest.

use std::{
    fmt, fs,
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use futures::future::RemoteHandle;

use crate::{allocator, support::rt};

/// What there is in this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Holdings {
    /// Bytes on the heap.
    pub(crate) memory: usize,
    descriptors: usize,
    threads: usize,
    /// Tasks of ours that have not ended.
    tasks: usize,
    /// Tasks of the runtime, where it tells.
    runtime_tasks: usize,
}

impl Holdings {
    fn count() -> Self {
        Self {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            threads: threads().len(),
            tasks: TASKS.load(Ordering::SeqCst),
            runtime_tasks: rt::count_tasks(),
            memory: allocator::held_by_all(),
        }
    }

    /// What there is when nothing has changed for a while: what goes in the background has gone.
    pub(crate) fn settled() -> Self {
        let started = Instant::now();
        let (mut last, mut since) = (Self::count(), started);
        while since.elapsed() < AT_REST && started.elapsed() < PATIENCE {
            thread::sleep(MOMENT);
            let now = Self::count();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        assert_eq!(last.tasks, 0, "{last}");
        last
    }

    /// The same, but for the memory, of which it is the more.
    pub(crate) fn or_its_memory(self, other: Self) -> Self {
        Self { memory: self.memory.max(other.memory), ..self }
    }

    /// Waits until there is no more than this: nothing tells when a runtime has let go of the last of it.
    pub(crate) fn assert_left(&self) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Self::count();
            if now.is_within(self) {
                return now;
            }
            let threads = threads();
            let late = Instant::now() > deadline;
            assert!(!late, "left behind: {now}, {threads:?}; to begin with: {self}");
            thread::sleep(MOMENT);
        }
    }

    fn is_within(&self, before: &Self) -> bool {
        self.memory <= before.memory + ALLOWANCE
            && self.descriptors <= before.descriptors
            && self.threads <= before.threads
            && self.tasks <= before.tasks
            && self.runtime_tasks <= before.runtime_tasks
    }
}

impl fmt::Display for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, descriptors, threads, tasks, runtime_tasks } = self;
        write!(
            f,
            "{memory} bytes, {descriptors} descriptors, {threads} threads, {} tasks",
            tasks + runtime_tasks
        )
    }
}

/// The names of the threads, but for those of the crate `blocking`: it keeps them, up to a limit, and
/// how many it has is up to how many look-ups there were at a time.
fn threads() -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(Result::unwrap);
    // It may be gone by now.
    let names = threads.filter_map(|it| fs::read_to_string(it.path().join("comm")).ok());
    names.filter(|name| !name.starts_with("blocking-")).collect()
}

/// Runs `task` beside the caller, and counts it as long as it is there.
pub(crate) fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> RemoteHandle<T> {
    rt::spawn(counted(task))
}

/// The same future, which is counted as long as it is there.
pub(crate) fn counted<T>(task: impl Future<Output = T>) -> impl Future<Output = T> {
    let present = Present::new();
    async move {
        let _present = present;
        task.await
    }
}

/// Something that is counted.
struct Present;

impl Present {
    fn new() -> Self {
        TASKS.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        TASKS.fetch_sub(1, Ordering::SeqCst);
    }
}

static TASKS: AtomicUsize = AtomicUsize::new(0);

/// How much more memory there may be: tables of the runtimes that have grown.
const ALLOWANCE: usize = 64 << 10;
const AT_REST: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(50);
