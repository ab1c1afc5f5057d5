//! [`Results`]: a connection whose items are results.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::{close::Finish, error::Error, ext::Duplex, message::Message};

pin_project! {
    /// A connection as a stream of `Result<Message, Error>`: see
    /// [`ConnectionExt::results`](crate::ConnectionExt::results).
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, Pipe, Results};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let results: Results<Connection<Pipe>> = conn.results();
    /// assert!(results.get_ref().finish().is_none());
    /// ```
    #[derive(Debug)]
    #[must_use = "a connection does nothing unless polled"]
    pub struct Results<C> {
        #[pin]
        inner: C,
        ended: bool,
    }
}

impl<C> Results<C> {
    pub(super) fn new(inner: C) -> Self {
        Self { inner, ended: false }
    }

    /// The connection below.
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// assert!(conn.results().get_ref().finish().is_none());
    /// ```
    pub fn get_ref(&self) -> &C {
        &self.inner
    }

    /// The connection below, to call what only a connection has.
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let mut results = conn.results();
    /// results.get_mut().ping("are you there?").unwrap();
    /// ```
    pub fn get_mut(&mut self) -> &mut C {
        &mut self.inner
    }

    /// With another layer below.
    pub(super) fn map<D>(self, layer: impl FnOnce(C) -> D) -> Results<D> {
        Results { inner: layer(self.inner), ended: self.ended }
    }

    /// Turns this back into the connection below. Nothing is lost.
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, Pipe};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Connection<Pipe> = conn.results().into_inner();
    /// ```
    pub fn into_inner(self) -> C {
        self.inner
    }
}

impl<C: Duplex> Stream for Results<C> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        if let Some(message) = ready!(this.inner.as_mut().poll_next(cx)) {
            return Poll::Ready(Some(Ok(message)));
        }
        *this.ended = true;
        Poll::Ready(this.inner.ending().and_then(Finish::failure).map(Err))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.ended {
            return (0, Some(0));
        }
        let (lower, upper) = self.inner.size_hint();
        (lower, upper.and_then(|upper| upper.checked_add(1)))
    }
}

impl<C: Duplex> FusedStream for Results<C> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<C: Sink<Message>> Sink<Message> for Results<C> {
    delegate_sink!(inner);
}
