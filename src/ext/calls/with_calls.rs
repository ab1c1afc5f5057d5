//! [`WithCalls`]: the connection that the answers to calls are taken from.

use std::{
    fmt,
    hash::Hash,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use pin_project_lite::pin_project;

use super::{Caller, pending::Pending};
use crate::{
    close::Finish,
    ext::{Codec, CodecError, Duplex, OnFinish, WithCodec},
};

type EndHook = Box<dyn FnOnce(&Finish) + Send + Sync>;

pin_project! {
    /// A connection with a codec, without the answers that calls wait for: see
    /// [`WithCodec::calls`].
    ///
    /// Everything else stays in its stream, and its sink sends what is no call, or what another answers.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use wsweave::{Caller, Connection, ConnectionExt, Json, Pipe, WithCalls};
    ///
    /// type Numbers = Json<u64, u64>;
    ///
    /// struct Client {
    ///     conn: WithCalls<Connection<Pipe>, Numbers, u64, fn(&u64) -> Option<u64>>,
    ///     caller: Caller<Numbers, u64>,
    /// }
    ///
    /// fn id(number: &u64) -> Option<u64> {
    ///     Some(*number)
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let (conn, caller) = conn.codec(Numbers::new()).calls(id, id as _);
    /// let _client = Client { conn, caller };
    /// # }
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct WithCalls<C: Duplex, D: Codec, Id, F> {
        #[pin]
        inner: WithCodec<OnFinish<C, EndHook>, D>,
        pending: Arc<Pending<Id, D::In>>,
        response_id: F,
    }
}

impl<C, D, Id, F> WithCalls<C, D, Id, F>
where
    C: Duplex,
    D: Codec,
    Id: Clone + Eq + Hash,
{
    pub(in crate::ext) fn new(
        inner: WithCodec<C, D>,
        request_id: impl Fn(&D::Out) -> Option<Id> + Send + Sync + 'static,
        response_id: F,
    ) -> (Self, Caller<D, Id>)
    where
        D: Codec<In: Send + 'static> + Clone,
        Id: Send + 'static,
    {
        let pending = Arc::new(Pending::new(MAX_IN_FLIGHT));
        let ending = Arc::clone(&pending);
        let end: EndHook = Box::new(move |finish| ending.end(finish));
        let mut inner = inner.on_finish(end);
        let codec = inner.codec().clone();
        let caller =
            Caller::new(Arc::new(request_id), Arc::clone(&pending), codec, inner.get_mut());
        (Self { inner, pending, response_id }, caller)
    }

    /// Sets how many calls may be in flight, 1,024 by default; 0 is as 1. Beyond it a call waits for
    /// another's answer or end before its request is sent.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let (conn, caller) = conn.json::<u64, u64>().calls(|id| Some(*id), |id| Some(*id));
    /// let conn = conn.max_in_flight(16);
    /// # }
    /// ```
    pub fn max_in_flight(self, calls: usize) -> Self {
        self.pending.set_max_in_flight(calls);
        self
    }
}

impl<C: Duplex, D: Codec, Id, F> WithCalls<C, D, Id, F> {
    /// The connection below.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let (conn, caller) = conn.json::<u64, u64>().calls(|id| Some(*id), |id| Some(*id));
    /// assert!(conn.get_ref().finish().is_none());
    /// # }
    /// ```
    pub fn get_ref(&self) -> &C {
        self.inner.get_ref().inner()
    }

    /// The connection below, to call what only a connection has.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let (mut conn, caller) = conn.json::<u64, u64>().calls(|id| Some(*id), |id| Some(*id));
    /// conn.get_mut().ping("are you there?").unwrap();
    /// # }
    /// ```
    pub fn get_mut(&mut self) -> &mut C {
        Pin::new(self.inner.get_mut()).inner_mut().get_mut()
    }
}

impl<C, D, Id, F> Stream for WithCalls<C, D, Id, F>
where
    C: Duplex,
    D: Codec,
    Id: Clone + Eq + Hash,
    F: FnMut(&D::In) -> Option<Id>,
{
    type Item = Result<D::In, CodecError<D::Error>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // However many answers there are: the connection below ends the turn.
        loop {
            let value = match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
                Some(Ok(value)) => value,
                other => return Poll::Ready(other),
            };
            let id = this.inner.watch(|_| (this.response_id)(&value));
            let unasked = match id {
                Some(id) => this.pending.answer(&id, value).err(),
                None => Some(value),
            };
            if let Some(value) = unasked {
                return Poll::Ready(Some(Ok(value)));
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // All may be answers that somebody waits for.
        (0, self.inner.size_hint().1)
    }
}

impl<C, D, Id, F> FusedStream for WithCalls<C, D, Id, F>
where
    C: Duplex,
    D: Codec,
    Id: Clone + Eq + Hash,
    F: FnMut(&D::In) -> Option<Id>,
{
    fn is_terminated(&self) -> bool {
        self.inner.is_terminated()
    }
}

impl<C: Duplex, D: Codec, Id, F> Sink<D::Out> for WithCalls<C, D, Id, F> {
    type Error = CodecError<D::Error>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.project().inner.poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, value: D::Out) -> Result<(), Self::Error> {
        self.project().inner.start_send(value)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.project().inner.poll_close(cx)
    }
}

impl<C: Duplex + fmt::Debug, D: Codec, Id, F> fmt::Debug for WithCalls<C, D, Id, F> {
    delegate_debug!(WithCalls, inner);
}

const MAX_IN_FLIGHT: usize = 1024;
