//! The one error type, [`Error`], and its [`ErrorKind`].

use std::{borrow::Cow, fmt, io, sync::Arc};

use bytes::Bytes;

/// Any error's cause, as hooks and transports give it.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong: opaque, cheap to clone, with a [kind](Self::kind) to match on.
///
/// `Display` gives one readable line, the cause included. [`source`](std::error::Error::source) gives
/// that cause, too, so that a hook's own error can be had back from a
/// [`Finish`](crate::Finish::error); whoever prints a whole chain of sources prints it twice.
///
/// # Examples
///
/// ```
/// use wsweave::{CloseCode, Connection, ConnectionExt, ErrorKind};
///
/// # async_std::task::block_on(async {
/// let (mut conn, _peer) = Connection::pair();
/// let refused = conn.close_with(CloseCode::NO_STATUS, "").await.unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
/// assert_eq!(refused.to_string(), "close code 1005 must not be sent (RFC 6455, section 7.4)");
/// # });
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<BoxError>,
    response: Option<http::Response<Bytes>>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something was given that cannot be used: a close code, a URL, a header; a text where bytes are
    /// expected.
    InvalidInput,
    /// The connection is closed or closing; nothing more can be sent.
    Closed,
    /// There is no room at the moment.
    Full,
    /// The peer broke RFC 6455. The Close that answers it carries 1002.
    Protocol,
    /// The peer sent text that is not UTF-8. The Close that answers it carries 1007.
    InvalidUtf8,
    /// The peer sent a compressed message that cannot be inflated. The Close that answers it carries
    /// 1007.
    InvalidDeflate,
    /// The peer exceeded a limit. The Close that answers it carries 1009, or 1008.
    LimitExceeded,
    /// A hook failed, or sent without end: the Close carries 1011. Or it made
    /// [no client](crate::Reconnect::each_client).
    Hook,
    /// The transport failed, or ended without a Close.
    Io,
    /// Something took longer than its limit.
    Timeout,
    /// The opening handshake failed.
    Handshake,
    /// TLS failed: a certificate is not accepted, or the peer does not speak TLS.
    Tls,
    /// The server answered the opening handshake with another status than 101, or a proxy refused the
    /// way to it; see [`Error::response`].
    Refused,
    /// What was asked for needs a feature or a runtime that is not there.
    Unsupported,
}

impl Error {
    /// The kind of error.
    ///
    /// ```
    /// let error = wsweave::Text::try_from(vec![0xc0]).unwrap_err();
    /// assert_eq!(error.kind(), wsweave::ErrorKind::InvalidInput);
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Tells whether the same attempt may succeed later: failures of the network, timeouts, and
    /// answers with status 429 or 5xx.
    ///
    /// ```
    /// let error = wsweave::Text::try_from(vec![0xc0]).unwrap_err();
    /// assert!(!error.is_retryable());
    /// ```
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Io | ErrorKind::Timeout | ErrorKind::Full => true,
            ErrorKind::Refused => self
                .response()
                .is_some_and(|r| r.status().is_server_error() || r.status().as_u16() == 429),
            _ => false,
        }
    }

    /// The HTTP answer of a server that refused the opening handshake, or of a proxy that refused the way
    /// to it, with the start of its body: what fits in 8 KiB and came within a second. The body of a
    /// redirect that is not followed any further is left out.
    ///
    /// ```
    /// let error = wsweave::Text::try_from(vec![0xc0]).unwrap_err();
    /// assert!(error.response().is_none());
    /// ```
    #[must_use]
    pub fn response(&self) -> Option<&http::Response<Bytes>> {
        self.0.response.as_ref()
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), source: None, response: None }))
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        message: impl Into<Cow<'static, str>>,
        source: impl Into<BoxError>,
    ) -> Self {
        let (message, source) = (message.into(), Some(source.into()));
        Self(Arc::new(Inner { kind, message, source, response: None }))
    }

    pub(crate) fn invalid_input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the connection is closed for sending")
    }

    pub(crate) fn hook(source: BoxError) -> Self {
        Self::with_source(ErrorKind::Hook, "a hook failed", source)
    }

    /// Tells whether a hook passed on that something could not be sent any more.
    pub(crate) fn is_caused_by_closing(&self) -> bool {
        let cause = self.0.source.as_ref().and_then(|source| source.downcast_ref::<Self>());
        self.kind() == ErrorKind::Hook && cause.is_some_and(|c| c.kind() == ErrorKind::Closed)
    }

    /// An HTTP answer that lets nobody through.
    pub(crate) fn refused(message: String, response: http::Response<Bytes>) -> Self {
        Self(Arc::new(Inner {
            kind: ErrorKind::Refused,
            message: message.into(),
            source: None,
            response: Some(response),
        }))
    }
}

/// An error of this crate that a transport passed on is had back.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
            Err(error) => Self::with_source(ErrorKind::Io, "the transport failed", error),
        }
    }
}

/// The kind of the transport's own error is kept.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
            ErrorKind::Closed => io::ErrorKind::NotConnected,
            ErrorKind::Full => io::ErrorKind::WouldBlock,
            ErrorKind::Protocol
            | ErrorKind::InvalidUtf8
            | ErrorKind::InvalidDeflate
            | ErrorKind::LimitExceeded => io::ErrorKind::InvalidData,
            ErrorKind::Timeout => io::ErrorKind::TimedOut,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::Refused => io::ErrorKind::ConnectionRefused,
            ErrorKind::Io => {
                let source = error.0.source.as_ref().and_then(|e| e.downcast_ref::<Self>());
                source.map_or(io::ErrorKind::Other, Self::kind)
            }
            ErrorKind::Hook | ErrorKind::Handshake | ErrorKind::Tls => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        if let Some(response) = &self.0.response {
            debug.field("response", response);
        }
        debug.finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
