//! Limits in time: [`within`] and [`briefly`].

use std::{
    future::{Future, poll_fn, ready},
    task::Poll,
    time::Duration,
};

use crate::{
    config::{Clock, Sleep},
    rt,
};

/// Runs `work` for at most `limit`: `None` if that was not enough. Without a clock there is no limit.
pub(crate) fn within<T>(
    clock: &Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    race(work, rt::timer(clock).map(|timer| timer.sleep(limit)))
}

/// Like [`within`], for work that may stay undone: without a clock it gets one attempt, and must not
/// wait.
pub(crate) fn briefly<T>(
    clock: &Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    let sleep = rt::timer(clock).map_or_else(|| Box::pin(ready(())) as Sleep, |t| t.sleep(limit));
    race(work, Some(sleep))
}

/// The work is boxed: a handshake's future is large, and would be as often over in the callers' own
/// futures as there are layers around it.
fn race<T>(
    work: impl Future<Output = T>,
    mut sleep: Option<Sleep>,
) -> impl Future<Output = Option<T>> {
    let mut work = Box::pin(work);
    poll_fn(move |cx| match (work.as_mut().poll(cx), &mut sleep) {
        (Poll::Ready(output), _) => Poll::Ready(Some(output)),
        (Poll::Pending, Some(sleep)) => sleep.as_mut().poll(cx).map(|()| None),
        (Poll::Pending, None) => Poll::Pending,
    })
}
