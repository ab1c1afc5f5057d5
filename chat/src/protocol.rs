//! What goes over the WebSocket: one JSON object a message. `README.md` has the same as a table.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use wsweave::{Codec, Json, JsonError, Message};

use crate::limits::Limits;

/// What both sides have to mean.
pub const VERSION: u32 = 1;

/// What a client says. Fields that are not known are ignored.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Request {
    /// Comes first, once.
    Hello {
        version: u32,
        name: String,
    },
    /// `after` is the id of the last message that the client has of the room.
    Join {
        room: String,
        after: Option<String>,
    },
    /// `key` is the client's own for the message: said again with it, it is the same message.
    Say {
        room: String,
        text: String,
        key: Option<String>,
    },
    Leave {
        room: String,
    },
    /// Whether the connection is alive, for those who cannot send a WebSocket's ping: web pages.
    Ping {},
}

impl Request {
    pub(crate) fn decode(message: &Message) -> Result<Self, Fault> {
        Json::<Self, ()>::new().decode(message).map_err(|error| match error {
            JsonError::Binary => Fault::new(Code::NotText, error.to_string()),
            error => Fault::new(Code::BadJson, error.to_string()),
        })
    }
}

/// What the server says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Event<'a> {
    Welcome {
        version: u32,
        name: &'a str,
        limits: &'a Limits,
    },
    /// `resumed` says that `messages` are all that came after the message that was asked for.
    Joined {
        room: &'a str,
        people: Vec<&'a str>,
        messages: Vec<&'a Said>,
        resumed: bool,
    },
    Message(&'a Said),
    /// Somebody has joined, or left, and how many people the room has now.
    Presence {
        room: &'a str,
        name: &'a str,
        change: Change,
        people: usize,
    },
    Left {
        room: &'a str,
    },
    Pong,
    /// Whether the nodes of the chat hear each other, and how many there are.
    Network {
        together: bool,
        nodes: usize,
    },
    /// So many messages of other nodes have not come, and will not; 0 if it is not known how many.
    Gap {
        room: &'a str,
        missed: u64,
    },
    /// What was said is not done, or not everywhere; nothing else changes. `retry` says after how many seconds
    /// it may be.
    Error {
        code: Code,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
    },
}

impl Event<'_> {
    pub(crate) fn encode(&self) -> Message {
        Json::<(), &Self>::new().encode(self).expect("structs and strings are always JSON")
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    Joined,
    Left,
}

/// A message of a room.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Said {
    /// Never the same for two messages, by any server.
    pub(crate) id: String,
    pub(crate) room: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) text: String,
    /// When that was, in milliseconds since 1970.
    pub(crate) time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

/// Why something was not done.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) message: Cow<'static, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Code {
    NotText,
    BadJson,
    BadVersion,
    BadName,
    BadRoom,
    BadText,
    BadKey,
    NoHello,
    HelloAgain,
    NotInRoom,
    InRoom,
    TooManyRooms,
    RoomFull,
    NoMoreRooms,
    GoingAway,
    /// It was said here, and to no other node.
    NotEverywhere,
}

impl Code {
    /// After how many seconds it is of use to ask again.
    pub(crate) fn retry(self) -> Option<u32> {
        matches!(self, Self::RoomFull | Self::NoMoreRooms | Self::GoingAway).then_some(RETRY)
    }
}

impl Fault {
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Who has lost a connection may be counted in the room until the server sees that.
const RETRY: u32 = 5;
