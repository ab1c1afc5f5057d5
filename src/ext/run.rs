//! [`Run`]: drives a connection to its end.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use crate::{close::Finish, ext::Duplex};

pin_project! {
    /// The future of [`ConnectionExt::run`](crate::ConnectionExt::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, Pipe, Run};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _run: Run<Connection<Pipe>> = conn.run();
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<C> {
        #[pin]
        inner: C,
    }
}

impl<C> Run<C> {
    pub(super) fn new(inner: C) -> Self {
        Self { inner }
    }
}

impl<C: Duplex> Future for Run<C> {
    type Output = Finish;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finish> {
        let mut inner = self.project().inner;
        while ready!(inner.as_mut().poll_event(cx)).is_some() {}
        // Now that it has ended, this is its own end.
        Poll::Ready(inner.give_up())
    }
}
