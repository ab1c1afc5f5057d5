//! [`OnNext`]: a hook on the next message, once.

use std::pin::Pin;

use pin_project_lite::pin_project;

use crate::{
    connection::Peer,
    ext::{Duplex, HookResult},
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

impl<C, F, R> OnNext<C, F>
where
    C: Duplex,
    F: FnOnce(&mut Peer<'_>, &Message) -> R,
    R: HookResult,
{
    #[inline]
    fn hook(self: Pin<&mut Self>, message: &Message) {
        let this = self.project();
        if let Some(hook) = this.hook.take() {
            this.inner.peer().run(|peer| hook(peer, message));
        }
    }
}

delegate_message_layer! {
    impl[C, F, R] OnNext<C, F>
    where
        F: FnOnce(&mut Peer<'_>, &Message) -> R,
        R: HookResult,
}
