//! What travels over a connection: [`Message`], and [`Text`], the checked UTF-8 inside it.

use std::{
    borrow::Borrow,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

use bytes::Bytes;

use crate::error::Error;

/// One WebSocket message (RFC 6455, section 5.6): text or binary.
///
/// Pings, pongs and the closing handshake are not messages; the connection handles them. Cloning a
/// message is cheap and shares its payload.
///
/// # Examples
///
/// ```
/// use wsweave::Message;
///
/// let message = Message::from("grüezi");
/// match &message {
///     Message::Text(text) => assert_eq!(text, "grüezi"),
///     Message::Binary(bytes) => unreachable!("{} bytes", bytes.len()),
/// }
/// assert_eq!(message.len(), 7);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Message {
    /// A text message: always valid UTF-8.
    Text(Text),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// Tells whether this is a text message.
    ///
    /// ```
    /// assert!(wsweave::Message::from("a").is_text());
    /// ```
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Tells whether this is a binary message.
    ///
    /// ```
    /// assert!(wsweave::Message::from(vec![1, 2, 3]).is_binary());
    /// ```
    #[must_use]
    pub const fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// The text of a text message; `None` for a binary one, even if it happens to be UTF-8.
    ///
    /// ```
    /// use wsweave::Message;
    /// assert_eq!(Message::from("a").as_text(), Some("a"));
    /// assert_eq!(Message::from(vec![b'a']).as_text(), None);
    /// ```
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The payload, whatever the kind.
    ///
    /// ```
    /// assert_eq!(wsweave::Message::from("ab").as_bytes(), b"ab");
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.0.as_ref(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Turns the message into its payload, whatever the kind, without copying it.
    ///
    /// ```
    /// assert_eq!(wsweave::Message::from("ab").into_bytes(), "ab");
    /// ```
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.0,
            Self::Binary(bytes) => bytes,
        }
    }

    /// The payload's length in bytes.
    ///
    /// ```
    /// assert_eq!(wsweave::Message::from("é").len(), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Tells whether the payload is empty. An empty message is a real one: it travels.
    ///
    /// ```
    /// assert!(wsweave::Message::from("").is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(&text.as_str()).finish(),
            Self::Binary(bytes) => f.debug_tuple("Binary").field(bytes).finish(),
        }
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<&'static [u8]> for Message {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Binary(Bytes::from_static(bytes))
    }
}

impl<const N: usize> From<&'static [u8; N]> for Message {
    fn from(bytes: &'static [u8; N]) -> Self {
        Self::Binary(Bytes::from_static(bytes))
    }
}

impl From<Message> for Bytes {
    fn from(message: Message) -> Self {
        message.into_bytes()
    }
}

/// UTF-8 text in a reference-counted buffer: a `&str` that is cheap to clone and to send.
///
/// Dereferences to `str`.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use wsweave::Text;
///
/// let text = Text::from("hello");
/// assert_eq!(text.to_uppercase(), "HELLO");
///
/// let refused = Text::try_from(Bytes::from_static(&[0xff])).unwrap_err();
/// assert_eq!(refused.kind(), wsweave::ErrorKind::InvalidInput);
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Bytes);

impl Text {
    /// Makes a text from a string that lives as long as the program, without copying it.
    ///
    /// ```
    /// assert_eq!(wsweave::Text::from_static("hello"), "hello");
    /// ```
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The text as a string slice.
    ///
    /// ```
    /// assert_eq!(wsweave::Text::from("hello").as_str(), "hello");
    /// ```
    #[must_use]
    #[allow(unsafe_code)]
    pub fn as_str(&self) -> &str {
        debug_assert!(std::str::from_utf8(&self.0).is_ok());
        // SAFETY: every constructor checked these bytes, or took them from a string; `Bytes` never
        // changes them. Checking again would cost every reader of every message.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// The caller has checked that `bytes` is UTF-8.
    pub(crate) fn from_checked(bytes: Bytes) -> Self {
        debug_assert!(std::str::from_utf8(&bytes).is_ok());
        Self(bytes)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// As `str` hashes, which `Borrow<str>` promises.
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl TryFrom<Bytes> for Text {
    type Error = Error;

    fn try_from(bytes: Bytes) -> Result<Self, Error> {
        match simdutf8::compat::from_utf8(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(error) => Err(Error::invalid_input(format!("a text must be UTF-8: {error}"))),
        }
    }
}

impl TryFrom<Vec<u8>> for Text {
    type Error = Error;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Error> {
        Bytes::from(bytes).try_into()
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<Text> for &str {
    fn eq(&self, other: &Text) -> bool {
        *self == other.as_str()
    }
}
