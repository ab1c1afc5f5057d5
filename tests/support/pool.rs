//! Several tasks in one thread, polled only when they are woken.

use std::{future::Future, pin::Pin, task::Poll};

use super::Task;

/// An executor that stops when everybody waits, and counts.
#[derive(Default)]
pub(crate) struct Pool<'a>(Vec<Entry<'a>>);

struct Entry<'a> {
    task: Task,
    future: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
    polls: usize,
    seen: Option<usize>,
}

impl<'a> Pool<'a> {
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'a) {
        let future = Some(Box::pin(future) as Pin<Box<dyn Future<Output = ()> + 'a>>);
        self.0.push(Entry { task: Task::new(), future, polls: 0, seen: None });
    }

    /// Polls whoever was woken until all are done (true) or wait for something else (false).
    pub(crate) fn run(&mut self) -> bool {
        while self.0.iter_mut().fold(false, |any, entry| entry.poll_if_woken() | any) {
            assert!(self.polls() < MANY, "a busy loop");
        }
        self.0.iter().all(|entry| entry.future.is_none())
    }

    /// How often anything was polled.
    pub(crate) fn polls(&self) -> usize {
        self.0.iter().map(|entry| entry.polls).sum()
    }
}

impl Entry<'_> {
    fn poll_if_woken(&mut self) -> bool {
        let wakes = Some(self.task.wakes());
        let Some(future) = self.future.as_mut().filter(|_| self.seen != wakes) else {
            return false;
        };
        self.seen = wakes;
        self.polls += 1;
        if let Poll::Ready(()) = self.task.poll(future) {
            self.future = None;
        }
        true
    }
}

const MANY: usize = 1_000_000;
