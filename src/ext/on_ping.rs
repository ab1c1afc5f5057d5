//! [`OnPing`]: a hook on every ping.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use pin_project_lite::pin_project;

use crate::{
    connection::Peer,
    ext::{Duplex, Event, HookResult},
};

pin_project! {
    /// A connection with a hook on every ping: see
    /// [`ConnectionExt::on_ping`](crate::ConnectionExt::on_ping).
    ///
    /// # Examples
    ///
    /// A named function makes a type that can be written down:
    ///
    /// ```
    /// use wsweave::{Bytes, Connection, ConnectionExt, OnPing, Peer, Pipe};
    ///
    /// type Logged = OnPing<Connection<Pipe>, fn(&mut Peer<'_>, &Bytes)>;
    ///
    /// fn log(_peer: &mut Peer<'_>, payload: &Bytes) {
    ///     println!("ping {payload:?}");
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Logged = conn.on_ping(log);
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct OnPing<C, F> {
        #[pin]
        inner: C,
        // `None` once it has taken itself off.
        hook: Option<F>,
    }
}

impl<C, F> OnPing<C, F> {
    pub(super) fn new(inner: C, hook: F) -> Self {
        Self { inner, hook: Some(hook) }
    }
}

delegate_layer! {
    impl[C, F, R] OnPing<C, F>
    where
        F: FnMut(&mut Peer<'_>, &Bytes) -> R,
        R: HookResult,
}

impl<C, F, R> Duplex for OnPing<C, F>
where
    C: Duplex,
    F: FnMut(&mut Peer<'_>, &Bytes) -> R,
    R: HookResult,
{
    delegate_duplex!(inner);
    delegate_peer!(inner);

    #[inline]
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut this = self.project();
        let event = this.inner.as_mut().poll_event(cx);
        if let Poll::Ready(Some(Event::Ping(payload))) = &event {
            if let Some(hook) = this.hook {
                if !this.inner.peer().run(|peer| hook(peer, payload)) {
                    *this.hook = None;
                }
            }
        }
        event
    }
}
