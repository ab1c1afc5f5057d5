//! [`Caller`]: sends requests and waits for their answers.

use std::{fmt, hash::Hash, sync::Arc, time::Duration};

use super::{
    CallError,
    pending::{Outcome, Pending, Refused},
};
use crate::{
    config::Clock,
    connection::Handle,
    ext::{Codec, ConnectionExt, Duplex},
    timeout::within,
};

type IdOf<T, Id> = Arc<dyn Fn(&T) -> Option<Id> + Send + Sync>;

/// Sends requests over a connection, and waits for their answers: from [`WithCodec::calls`]. Cheap to
/// clone, for any task and thread.
///
/// **Nothing moves unless somebody polls the connection's stream**, the [`WithCalls`]: in another task, or
/// beside the calls in the same one. A caller does not keep the connection alive.
///
/// - Any number of calls may be in flight, up to [`max_in_flight`]; more wait for room. Answers may come
///   in any order.
/// - An answer is the first value with the id of a call in flight. It goes to that call and to nobody
///   else; the hooks below see its message before.
/// - Everything else stays in the stream: what has no id, what nobody asked for, a second answer, one
///   that comes when its call has given up, and what cannot be decoded.
/// - A call whose future is dropped, or whose time is over, is forgotten: its id can be used again. Use
///   new ids all the same: the late answer would be taken for the new call's.
/// - When the connection ends, all calls fail with how it ended, after the answers that came before.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "json")]
/// # async_std::task::block_on(async {
/// use futures::{SinkExt, StreamExt};
/// use wsweave::{Connection, ConnectionExt};
///
/// let (conn, peer) = Connection::pair();
/// let conn = conn.json::<(u64, String), (u64, String)>();
/// let (conn, caller) = conn.calls(|request| Some(request.0), |response| Some(response.0));
/// // This task polls the connection; it could as well look at what is no answer.
/// let polling = async_std::task::spawn(conn.for_each(|_| async {}));
///
/// let echo = async_std::task::spawn(peer.on_each(|peer, message| peer.send(message.clone())).run());
/// assert_eq!(caller.call((1, "hello".into())).await.unwrap(), (1, "hello".into()));
///
/// let elsewhere = caller.clone();
/// let task = async_std::task::spawn(async move { elsewhere.call((2, "there".into())).await });
/// assert_eq!(task.await.unwrap().1, "there");
/// # });
/// ```
///
/// [`WithCodec::calls`]: crate::WithCodec::calls
/// [`WithCalls`]: crate::WithCalls
/// [`max_in_flight`]: crate::WithCalls::max_in_flight
pub struct Caller<D: Codec, Id> {
    request_id: IdOf<D::Out, Id>,
    pending: Arc<Pending<Id, D::In>>,
    codec: D,
    handle: Handle,
    clock: Clock,
    timeout: Option<Duration>,
}

impl<D: Codec, Id> Caller<D, Id> {
    pub(super) fn new(
        request_id: IdOf<D::Out, Id>,
        pending: Arc<Pending<Id, D::In>>,
        codec: D,
        conn: &mut impl Duplex,
    ) -> Self {
        let clock = conn.facts().timer.cloned().map_or(Clock::None, Clock::Given);
        let handle = conn.handle();
        Self { request_id, pending, codec, handle, clock, timeout: Some(TIMEOUT) }
    }

    /// Sets how long a call of this caller, and of clones that are made of it from now on, may take,
    /// from its first poll to the answer: 30 s by default. With `None` it waits as long as the
    /// connection lasts.
    ///
    /// The clock is the connection's: without one there is no timeout.
    ///
    /// ```
    /// # #[cfg(feature = "json")]
    /// # async_std::task::block_on(async {
    /// use std::time::Duration;
    /// use futures::{StreamExt, future::join};
    /// use wsweave::{CallError, Connection, ConnectionExt};
    ///
    /// let (conn, peer) = Connection::pair();
    /// let (mut conn, caller) = conn.json::<u64, u64>().calls(|id| Some(*id), |id| Some(*id));
    ///
    /// // For one call.
    /// let hasty = caller.clone().timeout(Duration::from_millis(1));
    /// let ask = async {
    ///     let answer = hasty.call(7).await;
    ///     drop(peer);
    ///     answer
    /// };
    /// let (answer, _) = join(ask, conn.next()).await;
    /// assert!(matches!(answer, Err(CallError::Timeout)));
    /// # });
    /// ```
    #[must_use]
    pub fn timeout(self, timeout: impl Into<Option<Duration>>) -> Self {
        Self { timeout: timeout.into(), ..self }
    }
}

impl<D, Id> Caller<D, Id>
where
    D: Codec + Clone,
    Id: Clone + Eq + Hash,
{
    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    ///
    /// [`NoId`](CallError::NoId) and [`InFlight`](CallError::InFlight) give the request back, for one
    /// without an id, or with that of a call in flight; see [`CallError`] for the others.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens before the first poll. Dropped later, the call is forgotten: its request may have
    /// been sent, and an answer that comes stays in the stream. One that has come at that moment, and was
    /// not yet polled for, is lost.
    ///
    /// # Examples
    ///
    /// See [`Caller`].
    pub async fn call(&self, request: D::Out) -> Result<D::In, CallError<D::Out, D::Error>> {
        let exchange = self.exchange(request);
        match self.timeout {
            Some(limit) => {
                within(&self.clock, limit, exchange).await.unwrap_or(Err(CallError::Timeout))
            }
            None => exchange.await,
        }
    }

    async fn exchange(&self, request: D::Out) -> Result<D::In, CallError<D::Out, D::Error>> {
        let Some(id) = (self.request_id)(&request) else {
            return Err(CallError::NoId(request));
        };
        let call = match self.pending.begin(id).await {
            Ok(call) => call,
            Err(Refused::InFlight) => return Err(CallError::InFlight(request)),
            Err(Refused::Ended(finish)) => return Err(CallError::Ended(finish)),
        };
        let message = self.codec.clone().encode(request).map_err(CallError::Encode)?;
        self.handle.send(message).await.map_err(|_| CallError::Closed)?;
        match call.outcome().await {
            Outcome::Answer(answer) => Ok(answer),
            Outcome::Ended(finish) => Err(CallError::Ended(finish)),
        }
    }
}

impl<D: Codec + Clone, Id> Clone for Caller<D, Id> {
    fn clone(&self) -> Self {
        Self {
            request_id: Arc::clone(&self.request_id),
            pending: Arc::clone(&self.pending),
            codec: self.codec.clone(),
            handle: self.handle.clone(),
            clock: self.clock.clone(),
            timeout: self.timeout,
        }
    }
}

impl<D: Codec, Id> fmt::Debug for Caller<D, Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

const TIMEOUT: Duration = Duration::from_secs(30);
