//! [`within`]: a limit in time.

use std::{
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

use crate::config::Clock;

/// Runs `work` for at most `limit`: `None` if that was not enough. Without a clock there is no limit.
///
/// The work is boxed: a handshake's future is large, and would be as often over in the callers' own
/// futures as there are layers around it.
pub(crate) fn within<T>(
    clock: &Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    let mut work = Box::pin(work);
    let mut sleep = clock.timer().map(|timer| timer.sleep(limit));
    poll_fn(move |cx| match (work.as_mut().poll(cx), &mut sleep) {
        (Poll::Ready(output), _) => Poll::Ready(Some(output)),
        (Poll::Pending, Some(sleep)) => sleep.as_mut().poll(cx).map(|()| None),
        (Poll::Pending, None) => Poll::Pending,
    })
}
