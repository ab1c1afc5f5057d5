//! [`OnNext`]: a hook on the next message, once.

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
    /// A connection with a hook on its next message: see
    /// [`ConnectionExt::on_next`](crate::ConnectionExt::on_next).
    ///
    /// # Examples
    ///
    /// A named function makes a type that can be written down:
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, Message, OnNext, Peer, Pipe};
    ///
    /// type Greeted = OnNext<Connection<Pipe>, fn(&mut Peer<'_>, &Message)>;
    ///
    /// fn greet(peer: &mut Peer<'_>, message: &Message) {
    ///     peer.send(format!("got {message:?}"));
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Greeted = conn.on_next(greet);
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct OnNext<C, F> {
        #[pin]
        inner: C,
        // `None` once it has run.
        hook: Option<F>,
    }
}

impl<C, F> OnNext<C, F> {
    pub(super) fn new(inner: C, hook: F) -> Self {
        Self { inner, hook: Some(hook) }
    }
}

delegate_layer! {
    impl[C, F, R] OnNext<C, F>
    where
        F: FnOnce(&mut Peer<'_>, &Message) -> R,
        R: HookResult,
}

impl<C, F, R> Duplex for OnNext<C, F>
where
    C: Duplex,
    F: FnOnce(&mut Peer<'_>, &Message) -> R,
    R: HookResult,
{
    delegate_duplex!(inner);
    delegate_peer!(inner);

    #[inline]
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut this = self.project();
        let event = this.inner.as_mut().poll_event(cx);
        if let Poll::Ready(Some(Event::Message(message))) = &event {
            if let Some(hook) = this.hook.take() {
                this.inner.peer().run(|peer| hook(peer, message));
            }
        }
        event
    }
}
