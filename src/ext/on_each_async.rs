//! [`OnEachAsync`]: an asynchronous hook on every message, one at a time.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::{
    connection::Handle,
    ext::{Duplex, Event, HookResult, delegate::poll_message, sealed::Sealed},
    message::Message,
};

pin_project! {
    /// A connection with an asynchronous hook on every message: see
    /// [`ConnectionExt::on_each_async`](crate::ConnectionExt::on_each_async).
    ///
    /// # Examples
    ///
    /// It is `Unpin`, whatever the hook's future is:
    ///
    /// ```
    /// use futures::StreamExt;
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, peer) = Connection::pair();
    /// let mut conn = conn.on_each_async(|_handle, _message| async {});
    /// drop(peer);
    /// assert_eq!(conn.next().await, None);
    /// # });
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct OnEachAsync<C, F, Fut> {
        #[pin]
        inner: C,
        hook: F,
        // One box for all futures to come; `Some` while one runs.
        future: Pin<Box<Option<Fut>>>,
        // What the running future was made for; delivered when it has completed.
        message: Option<Message>,
    }
}

impl<C, F, Fut> OnEachAsync<C, F, Fut> {
    pub(super) fn new(inner: C, hook: F) -> Self {
        Self { inner, hook, future: Box::pin(None), message: None }
    }
}

impl<C, F, Fut> Stream for OnEachAsync<C, F, Fut>
where
    C: Duplex,
    F: FnMut(Handle, Message) -> Fut,
    Fut: Future<Output: HookResult>,
{
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        poll_message(self, cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::from(self.message.is_some());
        let (lower, upper) = self.inner.size_hint();
        (lower.saturating_add(held), upper.and_then(|upper| upper.checked_add(held)))
    }
}

impl<C, F, Fut> FusedStream for OnEachAsync<C, F, Fut>
where
    C: Duplex,
    F: FnMut(Handle, Message) -> Fut,
    Fut: Future<Output: HookResult>,
{
    delegate_fused_stream!(inner);
}

impl<C: Sink<Message>, F, Fut> Sink<Message> for OnEachAsync<C, F, Fut> {
    delegate_sink!(inner);
}

impl<C, F, Fut> Sealed for OnEachAsync<C, F, Fut> {}

impl<C, F, Fut> Duplex for OnEachAsync<C, F, Fut>
where
    C: Duplex,
    F: FnMut(Handle, Message) -> Fut,
    Fut: Future<Output: HookResult>,
{
    delegate_duplex!(inner);
    delegate_peer!(inner);

    #[inline]
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut this = self.project();
        if this.message.is_none() {
            let event = ready!(this.inner.as_mut().poll_event(cx));
            let Some(Event::Message(message)) = event else { return Poll::Ready(event) };
            let mut peer = this.inner.as_mut().peer();
            let handle = peer.handle();
            peer.run(|_| this.future.set(Some((this.hook)(handle, message.clone()))));
            *this.message = Some(message);
        }
        if let Some(future) = this.future.as_mut().as_pin_mut() {
            let mut peer = this.inner.as_mut().peer();
            let mut output = Poll::Pending;
            peer.run(|_| output = future.poll(cx));
            let Poll::Ready(result) = output else {
                // Even at the end of the connection the future is what completes this.
                let _: Poll<()> = this.inner.poll_drive(cx);
                return Poll::Pending;
            };
            // What it sent is queued before what those send who get the message next.
            peer.queue_from_handles();
            peer.run(|_| result);
            this.future.set(None);
        }
        Poll::Ready(this.message.take().map(Event::Message))
    }
}

impl<C: fmt::Debug, F, Fut> fmt::Debug for OnEachAsync<C, F, Fut> {
    delegate_debug!(OnEachAsync, inner);
}
