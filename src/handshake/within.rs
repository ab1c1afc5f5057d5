//! [`within`]: a limit in time.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use crate::config::Clock;

/// Runs `work` for at most `limit`: `None` if that was not enough. Without a clock there is no limit.
pub(crate) async fn within<T>(
    clock: &Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    let mut sleep = clock.timer().map(|timer| timer.sleep(limit));
    poll_fn(|cx| match (work.as_mut().poll(cx), &mut sleep) {
        (Poll::Ready(output), _) => Poll::Ready(Some(output)),
        (Poll::Pending, Some(sleep)) => sleep.as_mut().poll(cx).map(|()| None),
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}
