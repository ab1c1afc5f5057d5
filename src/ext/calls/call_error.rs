//! [`CallError`]: why a call has no answer.

use std::{error::Error as StdError, fmt};

use crate::close::Finish;

/// Why a [call](crate::Caller::call) has no answer: `Out` is what was to be sent, `E` the codec's error.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "json")]
/// # async_std::task::block_on(async {
/// use wsweave::{CallError, Connection, ConnectionExt};
///
/// let (conn, _peer) = Connection::pair();
/// let (conn, caller) = conn.json::<u64, u64>().calls(|id| Some(*id), |id| Some(*id));
/// drop(conn);
/// match caller.call(7).await {
///     Err(CallError::Ended(finish)) => assert_eq!(finish.code, 1001),
///     other => unreachable!("{other:?}"),
/// }
/// # });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CallError<Out, E> {
    /// The request has no id; here it is.
    NoId(Out),
    /// A call with the request's id is in flight; here the request is.
    InFlight(Out),
    /// The request cannot be encoded.
    Encode(E),
    /// The connection is closing, and accepted the request no more.
    Closed,
    /// The answer did not come in time. The request may have been sent.
    Timeout,
    /// The connection ended before the answer came, in this way. The request may have been sent.
    Ended(Finish),
}

impl<Out, E> CallError<Out, E> {
    /// The request, if it is had back.
    ///
    /// ```
    /// let error = wsweave::CallError::<_, ()>::NoId("hello");
    /// assert_eq!(error.into_request(), Some("hello"));
    /// ```
    #[must_use]
    pub fn into_request(self) -> Option<Out> {
        match self {
            Self::NoId(request) | Self::InFlight(request) => Some(request),
            Self::Encode(_) | Self::Closed | Self::Timeout | Self::Ended(_) => None,
        }
    }
}

/// One line, the cause included, without the request.
impl<Out, E: fmt::Display> fmt::Display for CallError<Out, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoId(_) => f.write_str("the request has no id"),
            Self::InFlight(_) => f.write_str("a call with this id is in flight"),
            Self::Encode(error) => write!(f, "the request cannot be encoded: {error}"),
            Self::Closed => f.write_str("the connection is closed for sending"),
            Self::Timeout => f.write_str("the answer did not come in time"),
            Self::Ended(finish) => write!(f, "the connection ended before the answer: {finish}"),
        }
    }
}

/// Whatever can be shown does for `E`, as with [`CodecError`](crate::CodecError).
impl<Out: fmt::Debug, E: fmt::Debug + fmt::Display> StdError for CallError<Out, E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Ended(finish) => finish.error.as_ref().map(|error| error as _),
            Self::NoId(_) | Self::InFlight(_) | Self::Encode(_) | Self::Closed | Self::Timeout => {
                None
            }
        }
    }
}
