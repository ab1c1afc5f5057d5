//! How connections end: [`CloseCode`], [`CloseFrame`] and [`Finish`].

use std::fmt;

use crate::{
    error::{Error, ErrorKind},
    message::Text,
};

/// A close code (RFC 6455, section 7.4).
///
/// Any number can be held; [`is_sendable`](Self::is_sendable) tells which may go on the wire.
///
/// # Examples
///
/// ```
/// use wsweave::CloseCode;
///
/// assert_eq!(CloseCode::from(1001), CloseCode::GOING_AWAY);
/// assert!(CloseCode::from(4000).is_sendable());
/// assert!(!CloseCode::NO_STATUS.is_sendable());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away: a server shuts down, a page is left, a connection is dropped.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that this endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: the peer's Close carried no code. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a Close. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: a payload that does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message that breaks the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message that is too big.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client needs an extension that the server did not agree to.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: something unexpected at this endpoint, such as a hook that failed.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from the server behind it.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never on the wire.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Tells whether the code may go on the wire (RFC 6455, sections 7.4.1 and 7.4.2, and the IANA
    /// registry): 1000 to 1003, 1007 to 1014, and 3000 to 4999.
    ///
    /// ```
    /// use wsweave::CloseCode;
    /// assert!(!CloseCode(1004).is_sendable());
    /// assert!(!CloseCode(2999).is_sendable());
    /// assert!(CloseCode(3000).is_sendable());
    /// ```
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl PartialEq<u16> for CloseCode {
    fn eq(&self, other: &u16) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a Close frame says (RFC 6455, section 5.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code; [`CloseCode::NO_STATUS`] if the frame was empty.
    pub code: CloseCode,
    /// The reason, often empty; at most 123 bytes on the wire.
    pub reason: Text,
}

impl CloseFrame {
    /// What an empty Close frame says.
    pub(crate) const EMPTY: Self =
        Self { code: CloseCode::NO_STATUS, reason: Text::from_static("") };

    /// What the Close of a sink that is closed says.
    pub(crate) const NORMAL: Self = Self { code: CloseCode::NORMAL, reason: Text::from_static("") };

    /// A Close to send: refuses a code that must not be on the wire, cuts the reason to what fits.
    pub(crate) fn sendable(code: CloseCode, reason: &str) -> Result<Self, Error> {
        if !code.is_sendable() {
            return Err(Error::invalid_input(format!(
                "close code {code} must not be sent (RFC 6455, section 7.4)"
            )));
        }
        Ok(Self { code, reason: reason[..reason.floor_boundary(MAX_REASON)].into() })
    }
}

/// Who began the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Initiator {
    /// This side: it sent the first Close, failed the connection, or dropped it.
    Us,
    /// The peer: its Close came first.
    Peer,
    /// Nobody: the transport ended or failed before either side sent a Close.
    Network,
}

/// How a connection ended.
///
/// `Display` gives one readable line.
///
/// # Examples
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use wsweave::{CloseCode, Connection, ConnectionExt, Initiator};
///
/// # async_std::task::block_on(async {
/// let (mut us, mut peer) = Connection::pair();
/// let (closed, none) = futures::join!(us.close(), peer.next());
/// assert!(closed.is_ok() && none.is_none());
///
/// let finish = peer.finish().unwrap();
/// assert_eq!(finish.initiator, Initiator::Peer);
/// assert_eq!(finish.code, CloseCode::NORMAL);
/// assert!(finish.clean && finish.error.is_none());
/// assert_eq!(finish.to_string(), "closed by the peer with code 1000");
/// # });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finish {
    /// Who began the end.
    pub initiator: Initiator,
    /// The code of the Close that began the end; [`CloseCode::NO_STATUS`] if that was an empty one,
    /// [`CloseCode::ABNORMAL`] if there was none.
    pub code: CloseCode,
    /// The reason of the Close that began the end.
    pub reason: Text,
    /// Whether the closing handshake was completed: both sides sent a Close, and nothing failed.
    pub clean: bool,
    /// What went wrong, if something did: the rule that the peer broke, the hook's error, the
    /// network's, a timeout.
    pub error: Option<Error>,
    /// The Close that this side sent or queued, if any.
    pub sent: Option<CloseFrame>,
    /// The Close that the peer sent, if any.
    pub received: Option<CloseFrame>,
}

impl fmt::Display for Finish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.initiator {
            Initiator::Us => "closed by us",
            Initiator::Peer => "closed by the peer",
            Initiator::Network => "connection lost",
        })?;
        match self.code {
            CloseCode::NO_STATUS => f.write_str(" without a code")?,
            CloseCode::ABNORMAL => {}
            code => write!(f, " with code {code}")?,
        }
        if !self.reason.is_empty() {
            // `Debug` escapes line breaks: a peer cannot forge a second line of a log.
            write!(f, " ({:?})", self.reason)?;
        }
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None if !self.clean => f.write_str(", unclean"),
            None => Ok(()),
        }
    }
}

impl Finish {
    /// The error that the stream's or the sink's user gets for this end: none for a clean one.
    pub(crate) fn failure(&self) -> Option<Error> {
        if self.clean {
            return None;
        }
        Some(
            self.error
                .clone()
                .unwrap_or_else(|| Error::new(ErrorKind::Closed, "the connection ended uncleanly")),
        )
    }
}

/// The longest prefix of at most `limit` bytes that ends at a character's boundary.
trait FloorBoundary {
    fn floor_boundary(&self, limit: usize) -> usize;
}

impl FloorBoundary for str {
    fn floor_boundary(&self, limit: usize) -> usize {
        (0..=limit.min(self.len())).rev().find(|&at| self.is_char_boundary(at)).unwrap_or(0)
    }
}

/// A control frame's 125 bytes less the code's two (RFC 6455, section 5.5).
const MAX_REASON: usize = 123;
