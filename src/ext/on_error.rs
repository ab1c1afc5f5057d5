//! [`OnError`]: a hook on what goes wrong, once.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{
    error::Error,
    ext::{Duplex, Event},
};

pin_project! {
    /// A connection with a hook on what goes wrong: see
    /// [`ConnectionExt::on_error`](crate::ConnectionExt::on_error).
    ///
    /// # Examples
    ///
    /// A named function makes a type that can be written down:
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, Error, OnError, Pipe};
    ///
    /// type Logged = OnError<Connection<Pipe>, fn(&Error)>;
    ///
    /// fn log(error: &Error) {
    ///     eprintln!("{error}");
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Logged = conn.on_error(log);
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct OnError<C, F> {
        #[pin]
        inner: C,
        // `None` once it has run.
        hook: Option<F>,
    }
}

impl<C, F> OnError<C, F> {
    pub(super) fn new(inner: C, hook: F) -> Self {
        Self { inner, hook: Some(hook) }
    }
}

delegate_layer! {
    impl[C, F] OnError<C, F>
    where
        F: FnOnce(&Error),
}

impl<C, F> Duplex for OnError<C, F>
where
    C: Duplex,
    F: FnOnce(&Error),
{
    delegate_duplex!(inner);
    delegate_peer!(inner);

    #[inline]
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut this = self.project();
        let event = this.inner.as_mut().poll_event(cx);
        if let Poll::Ready(Some(Event::Error(error))) = &event {
            if let Some(hook) = this.hook.take() {
                this.inner.peer().run(|_| hook(error));
            }
        }
        event
    }
}
