//! A task that is polled by hand.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures::{Sink, SinkExt, Stream, StreamExt};
use futures_test::task::{AwokenCount, new_count_waker};

/// A waker that counts, and the polls that hand it out.
#[derive(Debug)]
pub(crate) struct Task {
    waker: Waker,
    count: AwokenCount,
}

impl Task {
    pub(crate) fn new() -> Self {
        let (waker, count) = new_count_waker();
        Self { waker, count }
    }

    /// How often the task has been woken.
    pub(crate) fn wakes(&self) -> usize {
        self.count.get()
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(crate) fn cx(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    pub(crate) fn poll<F: Future + Unpin + ?Sized>(&self, future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut self.cx())
    }

    pub(crate) fn next<S: Stream + Unpin>(&self, stream: &mut S) -> Poll<Option<S::Item>> {
        stream.poll_next_unpin(&mut self.cx())
    }

    pub(crate) fn ready<T, S>(&self, sink: &mut S) -> Poll<Result<(), S::Error>>
    where
        S: Sink<T> + Unpin,
    {
        sink.poll_ready_unpin(&mut self.cx())
    }

    pub(crate) fn flush<T, S>(&self, sink: &mut S) -> Poll<Result<(), S::Error>>
    where
        S: Sink<T> + Unpin,
    {
        sink.poll_flush_unpin(&mut self.cx())
    }

    pub(crate) fn close<T, S>(&self, sink: &mut S) -> Poll<Result<(), S::Error>>
    where
        S: Sink<T> + Unpin,
    {
        sink.poll_close_unpin(&mut self.cx())
    }

    /// Polls as an executor does: again whenever the task was woken, until it waits for another.
    pub(crate) fn until_stalled<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        for _ in 0..MANY {
            let wakes = self.wakes();
            let polled = poll(&mut self.cx());
            if polled.is_ready() || self.wakes() == wakes {
                return polled;
            }
        }
        panic!("a busy loop: {MANY} polls without an end");
    }
}

const MANY: usize = 10_000;
