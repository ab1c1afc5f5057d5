//! [`OnPong`]: a hook on every pong.

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
    /// A connection with a hook on every pong: see
    /// [`ConnectionExt::on_pong`](crate::ConnectionExt::on_pong).
    ///
    /// # Examples
    ///
    /// A named function makes a type that can be written down:
    ///
    /// ```
    /// use wsweave::{Bytes, Connection, ConnectionExt, OnPong, Peer, Pipe};
    ///
    /// type Logged = OnPong<Connection<Pipe>, fn(&mut Peer<'_>, &Bytes)>;
    ///
    /// fn log(_peer: &mut Peer<'_>, payload: &Bytes) {
    ///     println!("pong {payload:?}");
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Logged = conn.on_pong(log);
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct OnPong<C, F> {
        #[pin]
        inner: C,
        // `None` once it has taken itself off.
        hook: Option<F>,
    }
}

impl<C, F> OnPong<C, F> {
    pub(super) fn new(inner: C, hook: F) -> Self {
        Self { inner, hook: Some(hook) }
    }
}

delegate_layer! {
    impl[C, F, R] OnPong<C, F>
    where
        F: FnMut(&mut Peer<'_>, &Bytes) -> R,
        R: HookResult,
}

impl<C, F, R> Duplex for OnPong<C, F>
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
        if let Poll::Ready(Some(Event::Pong(payload))) = &event {
            if let Some(hook) = this.hook {
                if !this.inner.peer().run(|peer| hook(peer, payload)) {
                    *this.hook = None;
                }
            }
        }
        event
    }
}
