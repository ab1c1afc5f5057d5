//! [`Error`]: why the broker cannot be used; and [`Unsent`]: what was not sent.

use std::{borrow::Cow, fmt, sync::Arc};

use wsweave::Message;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong with the broker: opaque, cheap to clone, with a [kind](Self::kind) to match on.
/// `Display` gives one line, the cause included.
///
/// # Examples
///
/// ```
/// use wsweave::Group;
/// use wsweave_backplane::{Backplane, Broker, ErrorKind};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let error = Backplane::attach(&Group::new(), Broker::nats("nats://:4222")).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// # });
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<BoxError>,
}

/// The kinds of [`Error`].
///
/// See [`Error`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something was given that cannot be used: an address, a prefix.
    InvalidInput,
    /// The broker cannot be reached, or the connection to it is lost.
    Io,
    /// It did not answer in time.
    Timeout,
    /// It does not let us in, or not do what we want.
    Denied,
    /// It answers what makes no sense: perhaps it is none.
    Protocol,
    /// It cannot keep messages, or was not told to.
    Unsupported,
    /// The backplane is closed.
    Closed,
}

impl Error {
    /// The kind of error.
    ///
    /// See [`Error`] for an example.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), source: None }))
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        message: impl Into<Cow<'static, str>>,
        source: impl Into<BoxError>,
    ) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), source: Some(source.into()) }))
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the backplane is closed")
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

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, source } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("message", message)
            .field("source", source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// A message that goes to no other node. The local members have got it, unless the topic has no valid
/// name.
///
/// # Examples
///
/// ```no_run
/// use wsweave_backplane::{Backplane, UnsentReason};
///
/// # fn example(backplane: &Backplane) {
/// if let Err(unsent) = backplane.publish("news", "hello") {
///     assert_eq!(unsent.reason, UnsentReason::Full);
///     println!("{} members here have got {:?}", unsent.delivered, unsent.message);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsent {
    /// Why it was not sent.
    pub reason: UnsentReason,
    /// What was not sent.
    pub message: Message,
    /// For how many local members it waits.
    pub delivered: usize,
}

/// Why a message was not sent to the other nodes.
///
/// See [`Unsent`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnsentReason {
    /// The queue for the broker is full: the broker is away, or too slow.
    Full,
    /// It is larger than [`Broker::max_message`](crate::Broker::max_message), or than the broker allows.
    TooLarge,
    /// The name of the topic is empty, or has more than 255 bytes.
    InvalidTopic,
    /// The broker has refused it, or to keep it: only this message, and not for its size. Why is an
    /// [event](crate::Event::Refused).
    Refused,
    /// The backplane is closed.
    Closed,
}

impl fmt::Display for UnsentReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue for the broker is full",
            Self::TooLarge => "it is too large",
            Self::InvalidTopic => "the name of the topic is empty or too long",
            Self::Refused => "the broker has refused it",
            Self::Closed => "the backplane is closed",
        })
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the message goes to no other node: {}", self.reason)
    }
}

impl std::error::Error for Unsent {}
