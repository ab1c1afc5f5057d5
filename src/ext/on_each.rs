//! [`OnEach`]: a hook on every message.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{
    connection::Peer,
    ext::{Duplex, Event, HookResult},
    message::Message,
};

pin_project! {
    /// A connection with a hook on every message: see
    /// [`ConnectionExt::on_each`](crate::ConnectionExt::on_each).
    ///
    /// # Examples
    ///
    /// A named function makes a type that can be written down:
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, Message, OnEach, Peer, Pipe};
    ///
    /// type Echo = OnEach<Connection<Pipe>, fn(&mut Peer<'_>, &Message)>;
    ///
    /// fn echo(peer: &mut Peer<'_>, message: &Message) {
    ///     peer.send(message.clone());
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Echo = conn.on_each(echo);
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct OnEach<C, F> {
        #[pin]
        inner: C,
        // `None` once it has taken itself off.
        hook: Option<F>,
    }
}

impl<C, F> OnEach<C, F> {
    pub(super) fn new(inner: C, hook: F) -> Self {
        Self { inner, hook: Some(hook) }
    }
}

delegate_layer! {
    impl[C, F, R] OnEach<C, F>
    where
        F: FnMut(&mut Peer<'_>, &Message) -> R,
        R: HookResult,
}

impl<C, F, R> Duplex for OnEach<C, F>
where
    C: Duplex,
    F: FnMut(&mut Peer<'_>, &Message) -> R,
    R: HookResult,
{
    delegate_duplex!(inner);
    delegate_peer!(inner);

    #[inline]
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut this = self.project();
        let event = this.inner.as_mut().poll_event(cx);
        if let Poll::Ready(Some(Event::Message(message))) = &event {
            if let Some(hook) = this.hook {
                if !this.inner.peer().run(|peer| hook(peer, message)) {
                    *this.hook = None;
                }
            }
        }
        event
    }
}
