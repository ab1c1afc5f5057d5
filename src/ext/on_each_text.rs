//! [`OnEachText`]: a hook on every text message.

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
    /// A connection with a hook on every text message: see
    /// [`ConnectionExt::on_each_text`](crate::ConnectionExt::on_each_text).
    ///
    /// # Examples
    ///
    /// A named function makes a type that can be written down:
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, OnEachText, Pipe};
    ///
    /// type Logged = OnEachText<Connection<Pipe>, fn(&str)>;
    ///
    /// fn log(text: &str) {
    ///     println!("{text}");
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Logged = conn.on_each_text(log);
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct OnEachText<C, F> {
        #[pin]
        inner: C,
        hook: F,
    }
}

impl<C, F> OnEachText<C, F> {
    pub(super) fn new(inner: C, hook: F) -> Self {
        Self { inner, hook }
    }
}

delegate_layer! {
    impl[C, F, R] OnEachText<C, F>
    where
        F: FnMut(&str) -> R,
        R: HookResult,
}

impl<C, F, R> Duplex for OnEachText<C, F>
where
    C: Duplex,
    F: FnMut(&str) -> R,
    R: HookResult,
{
    delegate_duplex!(inner);
    delegate_peer!(inner);

    #[inline]
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut this = self.project();
        let event = this.inner.as_mut().poll_event(cx);
        if let Poll::Ready(Some(Event::Message(Message::Text(text)))) = &event {
            this.inner.peer().run(|_| (this.hook)(text));
        }
        event
    }
}
