//! [`Json`]: values as JSON.

use std::{
    error::Error as StdError,
    fmt::{self, Write},
    marker::PhantomData,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{ext::Codec, message::Message};

/// JSON in text messages, by `serde_json`: see [`ConnectionExt::json`](crate::ConnectionExt::json).
///
/// - A message is one JSON value with nothing behind it. It may be nested 127 levels deep, and be as large
///   as [`Config::max_message_size`](crate::Config#structfield.max_message_size) lets it.
/// - A binary message is an error, unless [`accept_binary`](Self::accept_binary) says otherwise. What is
///   sent is text.
/// - What else is accepted is `In`'s to say: serde's attributes, `deny_unknown_fields` for one.
///
/// # Examples
///
/// ```
/// use wsweave::{Codec, Json, JsonError};
///
/// let mut json = Json::<Vec<u8>, &str>::new();
/// assert_eq!(json.encode("hello").unwrap(), "\"hello\"".into());
/// assert_eq!(json.decode(&"[1, 2]".into()).unwrap(), [1, 2]);
///
/// let error = json.decode(&"[1,\n1000]".into()).unwrap_err();
/// assert_eq!(error.to_string(), "invalid value: integer `1000`, expected u8 at line 2 column 4");
/// assert!(matches!(json.decode(&b"[1, 2]".into()), Err(JsonError::Binary)));
/// ```
pub struct Json<In, Out> {
    accepts_binary: bool,
    types: PhantomData<fn(Out) -> In>,
}

impl<In, Out> Json<In, Out> {
    /// JSON in text messages alone.
    ///
    /// ```
    /// let json = wsweave::Json::<u64, u64>::new();
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { accepts_binary: false, types: PhantomData }
    }

    /// Accepts JSON in binary messages, too, as some peers send it.
    ///
    /// ```
    /// use wsweave::{Codec, Json};
    ///
    /// let mut json = Json::<u64, u64>::new().accept_binary();
    /// assert_eq!(json.decode(&b"7".into()).unwrap(), 7);
    /// ```
    #[must_use]
    pub const fn accept_binary(mut self) -> Self {
        self.accepts_binary = true;
        self
    }
}

impl<In: DeserializeOwned, Out: Serialize> Codec for Json<In, Out> {
    type In = In;
    type Out = Out;
    type Error = JsonError;

    fn encode(&mut self, value: Out) -> Result<Message, JsonError> {
        serde_json::to_string(&value).map(Message::from).map_err(JsonError::Json)
    }

    fn decode(&mut self, message: &Message) -> Result<In, JsonError> {
        match message {
            Message::Text(text) => serde_json::from_str(text),
            Message::Binary(bytes) if self.accepts_binary => serde_json::from_slice(bytes),
            Message::Binary(_) => return Err(JsonError::Binary),
        }
        .map_err(JsonError::Json)
    }
}

impl<In, Out> Clone for Json<In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<In, Out> Copy for Json<In, Out> {}

impl<In, Out> Default for Json<In, Out> {
    fn default() -> Self {
        Self::new()
    }
}

impl<In, Out> fmt::Debug for Json<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Json").field("accepts_binary", &self.accepts_binary).finish()
    }
}

/// Why a message is not the JSON that was expected, or a value cannot be made into JSON.
///
/// `Display` gives one line, with the place in the text where that is known.
///
/// # Examples
///
/// ```
/// use wsweave::{Codec, Json};
///
/// let error = Json::<Vec<u64>, ()>::new().decode(&"[1".into()).unwrap_err();
/// assert_eq!(error.to_string(), "EOF while parsing a list at line 1 column 2");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum JsonError {
    /// The message is a binary one.
    Binary,
    /// What `serde_json` said.
    Json(serde_json::Error),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary => f.write_str("expected JSON in a text message, not in a binary one"),
            // It may cite the message: a peer cannot forge a second line of a log.
            Self::Json(error) => write!(OneLine(f), "{error}"),
        }
    }
}

impl StdError for JsonError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Binary => None,
            Self::Json(error) => Some(error),
        }
    }
}

/// Escapes control characters.
struct OneLine<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            c if c.is_control() => write!(self.0, "{}", c.escape_default()),
            c => self.0.write_char(c),
        })
    }
}
