//! [`Envelope`]: what nodes send each other.
//!
//! A head of 34 bytes, numbers with the most significant byte first, and what it carries:
//!
//! | bytes | what |
//! |-------|------|
//! | 1     | the version: 1 |
//! | 1     | what it carries: 0 a text, 1 bytes, 2 changes of presence, 3 a beat, 4 a farewell |
//! | 16    | the origin |
//! | 8     | the epoch: when the origin began to count, in microseconds of Unix |
//! | 8     | the number in the topic, from 1 on; of a beat that of the round |
//!
//! Presence is a list to the end: one byte with the length of a topic's name, the name, how many members
//! it has there (4 bytes), and the number of the last message (8 bytes; 0 for none, or not known).

use std::{fmt, sync::Arc};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use wsweave::{Message, Text};

use crate::{node_id::NodeId, subject::MAX_TOPIC};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) origin: NodeId,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Message(Message),
    /// What has changed since the last beat.
    Changes(Vec<Entry>),
    /// All topics of a node, or some of them: a beat is made of many when it is large.
    Beat(Vec<Entry>),
    Farewell,
}

/// What a node says about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) topic: Arc<str>,
    pub(crate) members: u32,
    pub(crate) last: u64,
}

/// Why bytes are no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalid {
    /// It is larger than [`Broker::max_message`](crate::Broker::max_message) allows.
    TooLarge,
    /// It is of another version.
    Version,
    /// It does not parse.
    Malformed,
    /// A text is not UTF-8.
    Utf8,
}

impl Envelope {
    /// Of what it carries, in bytes.
    pub(crate) fn len(&self) -> usize {
        match &self.body {
            Body::Message(message) => message.len(),
            Body::Changes(entries) | Body::Beat(entries) => entries.iter().map(Entry::len).sum(),
            Body::Farewell => 0,
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let kind = match &self.body {
            Body::Message(message) => u8::from(message.is_binary()),
            Body::Changes(_) => CHANGES,
            Body::Beat(_) => BEAT,
            Body::Farewell => FAREWELL,
        };
        let mut bytes = BytesMut::with_capacity(HEAD + self.len());
        bytes.put_u8(VERSION);
        bytes.put_u8(kind);
        bytes.put_u128(self.origin.0);
        bytes.put_u64(self.epoch);
        bytes.put_u64(self.sequence);
        match &self.body {
            Body::Message(message) => bytes.put_slice(message.as_bytes()),
            Body::Changes(entries) | Body::Beat(entries) => {
                for entry in entries {
                    entry.encode(&mut bytes);
                }
            }
            Body::Farewell => {}
        }
        bytes.freeze()
    }

    pub(crate) fn parse(mut bytes: Bytes) -> Result<Self, Invalid> {
        if bytes.first().is_some_and(|version| *version != VERSION) {
            return Err(Invalid::Version);
        }
        if bytes.len() < HEAD {
            return Err(Invalid::Malformed);
        }
        bytes.advance(1);
        let kind = bytes.get_u8();
        let origin = NodeId(bytes.get_u128());
        let (epoch, sequence) = (bytes.get_u64(), bytes.get_u64());
        let body = match kind {
            TEXT => Body::Message(Message::Text(Text::try_from(bytes).map_err(|_| Invalid::Utf8)?)),
            BINARY => Body::Message(Message::Binary(bytes)),
            CHANGES => Body::Changes(Entry::parse_all(bytes)?),
            BEAT => Body::Beat(Entry::parse_all(bytes)?),
            FAREWELL if bytes.is_empty() => Body::Farewell,
            _ => return Err(Invalid::Malformed),
        };
        if sequence == 0 {
            return Err(Invalid::Malformed);
        }
        Ok(Self { origin, epoch, sequence, body })
    }
}

impl Entry {
    pub(crate) fn len(&self) -> usize {
        1 + self.topic.len() + 4 + 8
    }

    fn encode(&self, bytes: &mut BytesMut) {
        debug_assert!(self.topic.len() <= MAX_TOPIC);
        #[allow(clippy::cast_possible_truncation, reason = "a topic's name is no longer")]
        bytes.put_u8(self.topic.len() as u8);
        bytes.put_slice(self.topic.as_bytes());
        bytes.put_u32(self.members);
        bytes.put_u64(self.last);
    }

    fn parse_all(mut bytes: Bytes) -> Result<Vec<Self>, Invalid> {
        let mut entries = Vec::new();
        while bytes.has_remaining() {
            let len = usize::from(bytes.get_u8());
            if len == 0 || bytes.len() < len + 12 {
                return Err(Invalid::Malformed);
            }
            let topic = bytes.split_to(len);
            let topic = Arc::from(std::str::from_utf8(&topic).map_err(|_| Invalid::Utf8)?);
            entries.push(Self { topic, members: bytes.get_u32(), last: bytes.get_u64() });
        }
        Ok(entries)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "an envelope is too large",
            Self::Version => "an envelope is of another version",
            Self::Malformed => "an envelope does not parse",
            Self::Utf8 => "a text in an envelope is not UTF-8",
        })
    }
}

/// What comes before the payload.
pub(crate) const HEAD: usize = 1 + 1 + 16 + 8 + 8;

const VERSION: u8 = 1;
const TEXT: u8 = 0;
const BINARY: u8 = 1;
const CHANGES: u8 = 2;
const BEAT: u8 = 3;
const FAREWELL: u8 = 4;

#[cfg(test)]
mod tests;
