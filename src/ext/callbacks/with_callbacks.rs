//! [`WithCallbacks`]: the connection that runs the callbacks of a registry.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::{
    close::Finish,
    connection::Peer,
    ext::{Callbacks, Duplex, Event, OnFinish, sealed::Sealed},
    message::Message,
};

type EndHook = Box<dyn FnOnce(&Finish) + Send + Sync>;

pin_project! {
    /// A connection that runs the callbacks of a [`Callbacks`] registry: see
    /// [`ConnectionExt::callbacks`](crate::ConnectionExt::callbacks).
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Callbacks, Connection, ConnectionExt, Pipe, WithCallbacks};
    ///
    /// struct Client {
    ///     conn: WithCallbacks<Connection<Pipe>>,
    ///     callbacks: Callbacks,
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let (conn, callbacks) = conn.callbacks();
    /// let _client = Client { conn, callbacks };
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct WithCallbacks<C: Duplex> {
        #[pin]
        inner: OnFinish<C, EndHook>,
        callbacks: Callbacks,
    }
}

impl<C: Duplex> WithCallbacks<C> {
    pub(in crate::ext) fn new(inner: C) -> (Self, Callbacks) {
        let callbacks = Callbacks::default();
        let ending = callbacks.clone();
        let end: EndHook = Box::new(move |finish| ending.end(finish));
        (Self { inner: OnFinish::new(inner, end), callbacks: callbacks.clone() }, callbacks)
    }
}

impl<C: Duplex> Stream for WithCallbacks<C> {
    delegate_stream!(inner);
}

impl<C: Duplex> FusedStream for WithCallbacks<C> {
    delegate_fused_stream!(inner);
}

impl<C: Duplex> Sink<Message> for WithCallbacks<C> {
    delegate_sink!(inner);
}

impl<C: Duplex> Sealed for WithCallbacks<C> {}

impl<C: Duplex> Duplex for WithCallbacks<C> {
    delegate_duplex!(inner);

    #[inline]
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut this = self.project();
        let event = this.inner.as_mut().poll_event(cx);
        if let Poll::Ready(Some(event)) = &event {
            let mut peer = this.inner.peer().with_callbacks(this.callbacks);
            match event {
                Event::Message(message) => this.callbacks.message(&mut peer, message),
                Event::Error(error) => this.callbacks.error(&mut peer, error),
                Event::Ping(_) | Event::Pong(_) => {}
            }
        }
        event
    }

    fn peer(self: Pin<&mut Self>) -> Peer<'_> {
        let this = self.project();
        this.inner.peer().with_callbacks(this.callbacks)
    }
}

impl<C: Duplex + fmt::Debug> fmt::Debug for WithCallbacks<C> {
    delegate_debug!(WithCallbacks, inner);
}
