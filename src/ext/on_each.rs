//! [`OnEach`]: a hook on every message.

use std::pin::Pin;

use pin_project_lite::pin_project;

use crate::{
    connection::Peer,
    ext::{Duplex, HookResult},
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

impl<C, F, R> OnEach<C, F>
where
    C: Duplex,
    F: FnMut(&mut Peer<'_>, &Message) -> R,
    R: HookResult,
{
    #[inline]
    fn hook(self: Pin<&mut Self>, message: &Message) {
        let this = self.project();
        if let Some(hook) = this.hook {
            if !this.inner.peer().run(|peer| hook(peer, message)) {
                *this.hook = None;
            }
        }
    }
}

delegate_message_layer! {
    impl[C, F, R] OnEach<C, F>
    where
        F: FnMut(&mut Peer<'_>, &Message) -> R,
        R: HookResult,
}
