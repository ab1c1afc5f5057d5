//! [`OnNextText`]: a hook on the next text message, once.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{
    ext::{Duplex, Event, HookResult},
    message::Message,
};

pin_project! {
    /// A connection with a hook on its next text message: see
    /// [`ConnectionExt::on_next_text`](crate::ConnectionExt::on_next_text).
    ///
    /// # Examples
    ///
    /// A named function makes a type that can be written down:
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, OnNextText, Pipe};
    ///
    /// type Logged = OnNextText<Connection<Pipe>, fn(&str)>;
    ///
    /// fn log(text: &str) {
    ///     println!("{text}");
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Logged = conn.on_next_text(log);
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct OnNextText<C, F> {
        #[pin]
        inner: C,
        // `None` once it has run.
        hook: Option<F>,
    }
}

impl<C, F> OnNextText<C, F> {
    pub(super) fn new(inner: C, hook: F) -> Self {
        Self { inner, hook: Some(hook) }
    }
}

delegate_layer! {
    impl[C, F, R] OnNextText<C, F>
    where
        F: FnOnce(&str) -> R,
        R: HookResult,
}

impl<C, F, R> Duplex for OnNextText<C, F>
where
    C: Duplex,
    F: FnOnce(&str) -> R,
    R: HookResult,
{
    delegate_duplex!(inner);
    delegate_peer!(inner);

    #[inline]
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut this = self.project();
        let event = this.inner.as_mut().poll_event(cx);
        if let Poll::Ready(Some(Event::Message(Message::Text(text)))) = &event {
            if let Some(hook) = this.hook.take() {
                this.inner.peer().run(|_| hook(text));
            }
        }
        event
    }
}
