//! What happens when a connection is dropped.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures_io::{AsyncRead, AsyncWrite};

use super::driver::Driver;
use crate::{close::CloseFrame, rt::Runtime};

/// What to do with a driver whose connection is dropped: chosen when the connection is made, where the
/// bounds on the transport are known.
pub(super) enum Parting<S> {
    Attempt(fn(Box<Driver<S>>)),
    Linger(fn(Box<Driver<S>>, &dyn Runtime), Arc<dyn Runtime>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Parting<S> {
    /// One attempt is all.
    pub(super) fn attempt() -> Self {
        Self::Attempt(|driver| drop(attempt(driver)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Parting<S> {
    /// The runtime finishes what one attempt leaves.
    pub(super) fn linger(runtime: Arc<dyn Runtime>) -> Self {
        let linger = |driver, runtime: &dyn Runtime| {
            if let Some(mut driver) = attempt(driver) {
                driver.timers.insist(|| runtime.timer());
                runtime.spawn(Box::pin(Linger(driver)));
            }
        };
        Self::Linger(linger, runtime)
    }
}

impl<S> Parting<S> {
    pub(super) fn part(self, driver: Box<Driver<S>>) {
        match self {
            Self::Attempt(attempt) => attempt(driver),
            Self::Linger(linger, runtime) => linger(driver, &*runtime),
        }
    }
}

/// Tries, without blocking, to write what was accepted for sending and a Close; gives the driver back
/// if something is left to do.
fn attempt<S: AsyncRead + AsyncWrite + Unpin>(
    mut driver: Box<Driver<S>>,
) -> Option<Box<Driver<S>>> {
    let finish = driver.core.give_up();
    if driver.core.closing().is_open() {
        driver.core.begin_close(CloseFrame { code: finish.code, reason: finish.reason });
    }
    let mut cx = Context::from_waker(Waker::noop());
    driver.poll_linger(&mut cx).is_pending().then_some(driver)
}

/// Finishes the closing handshake of a connection that nobody has any more.
struct Linger<S>(Box<Driver<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Linger<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().0.poll_linger(cx)
    }
}
