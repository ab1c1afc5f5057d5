//! [`Outage`]: why there is no connection.

use std::fmt;

use crate::{
    close::{CloseCode, Finish},
    error::{Error, ErrorKind},
};

/// Why there is no connection, for [`ReconnectPolicy::retry_if`](crate::ReconnectPolicy::retry_if) and
/// [`Status::Waiting`](crate::Status::Waiting).
///
/// # Examples
///
/// A policy that also tries again where a token may have been too old:
///
/// ```
/// use wsweave::{Outage, ReconnectPolicy, http::StatusCode};
///
/// let policy = ReconnectPolicy::default().retry_if(|outage| match outage {
///     Outage::Failed(error) if error.response().is_some_and(|r| r.status() == StatusCode::UNAUTHORIZED) => true,
///     outage => outage.is_transient(),
/// });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outage {
    /// [`Reconnect::each_client`](crate::Reconnect::each_client) made no client: its error is the source.
    NoClient(Error),
    /// An attempt to connect failed.
    Failed(Error),
    /// A connection ended.
    Ended(Finish),
}

impl Outage {
    /// Tells whether another attempt may succeed; this is what a policy goes by if it is not told
    /// otherwise.
    ///
    /// So it is if no client could be made; if the error of the attempt [says
    /// so](Error::is_retryable), as those of the network, timeouts and answers with 429 or 5xx do; and if
    /// the connection ended for such a reason, or was closed with code 1001, 1011, 1012 or 1013 (RFC 6455,
    /// section 7.4.1, and its registry), be it our own idle timeout that did it. Not so for answers with
    /// 4xx, for what breaks the protocol or a limit, for a hook that failed, and for other codes: what was
    /// closed with 1000 is done. The peer's code counts also if it did not wait for the end of the closing
    /// handshake.
    ///
    /// ```
    /// use wsweave::{Error, Outage, Text};
    /// let error: Error = Text::try_from(vec![0xff]).unwrap_err();
    /// assert!(!Outage::Failed(error.clone()).is_transient());
    /// assert!(Outage::NoClient(error).is_transient());
    /// ```
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoClient(_) => true,
            Self::Failed(error) => error.is_retryable(),
            Self::Ended(Finish { error, received, code, .. }) => {
                error.as_ref().is_none_or(Error::is_retryable)
                    && (received.is_none() || TRANSIENT.contains(code))
            }
        }
    }

    /// The error, be it one made of a clean end.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::NoClient(error)
            | Self::Failed(error)
            | Self::Ended(Finish { error: Some(error), .. }) => error,
            Self::Ended(finish) => Error::new(ErrorKind::Closed, finish.to_string()),
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoClient(error) | Self::Failed(error) => error.fmt(f),
            Self::Ended(finish) => finish.fmt(f),
        }
    }
}

const TRANSIENT: [CloseCode; 4] = [
    CloseCode::GOING_AWAY,
    CloseCode::INTERNAL_ERROR,
    CloseCode::SERVICE_RESTART,
    CloseCode::TRY_AGAIN_LATER,
];
