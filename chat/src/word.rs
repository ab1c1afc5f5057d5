//! [`Word`]: what nodes tell each other.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wsweave::Message;

use crate::{check, limits::Limits, protocol::Said};

/// What nodes tell each other: one JSON object, as for people.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Word {
    /// The same that people are told.
    Message(Said),
    /// These are in a room at a node, and nobody else is. Perhaps it wants to know it of the others.
    All {
        room: Arc<str>,
        node: Arc<str>,
        names: Vec<Arc<str>>,
        ask: bool,
    },
    Here {
        room: Arc<str>,
        node: Arc<str>,
        name: Arc<str>,
    },
    Gone {
        room: Arc<str>,
        node: Arc<str>,
        name: Arc<str>,
    },
}

impl Word {
    /// What is not as a node of ours would say it is none: nodes of others may be at the broker.
    pub(crate) fn parse(message: &Message, limits: &Limits) -> Option<Self> {
        let word = serde_json::from_str(message.as_text()?).ok()?;
        let is_name = |name: &str| check::name(name, limits).is_ok_and(|checked| checked == name);
        let is_fine = match &word {
            Self::Message(Said { id, name, text, key, .. }) => {
                is_id(id)
                    && is_name(name)
                    && check::text(text, limits).is_ok_and(|checked| checked == *text)
                    && key.as_deref().is_none_or(|key| check::key(key).is_ok())
            }
            Self::All { node, names, .. } => {
                is_id(node)
                    && names.len() <= limits.people
                    && names.iter().all(|name| is_name(name))
            }
            Self::Here { node, name, .. } | Self::Gone { node, name, .. } => {
                is_id(node) && is_name(name)
            }
        };
        let room = word.room();
        let is_room = check::room(room, limits).is_ok_and(|checked| checked == room);
        (is_fine && is_room).then_some(word)
    }

    pub(crate) fn encode(&self) -> Message {
        serde_json::to_string(self).expect("structs and strings are always JSON").into()
    }

    pub(crate) fn room(&self) -> &str {
        match self {
            Self::Message(Said { room, .. })
            | Self::All { room, .. }
            | Self::Here { room, .. }
            | Self::Gone { room, .. } => room,
        }
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

const MAX_ID: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Word> {
        Word::parse(&text.into(), &Limits::default())
    }

    fn message(field: &str, value: &str) -> String {
        let fields = [
            ("id", "\"a-1\""),
            ("room", "\"lobby\""),
            ("name", "\"<b>Ada</b>\""),
            ("text", "\"<script>\""),
            ("time", "7"),
            ("key", "\"k\""),
        ];
        let fields = fields.map(|(name, usual)| {
            let value = if name == field { value } else { usual };
            format!(",\"{name}\":{value}")
        });
        format!("{{\"type\":\"message\"{}}}", fields.concat())
    }

    #[test]
    fn what_a_node_would_not_say_is_no_word() {
        assert!(parse(&message("", "")).is_some());
        let long = format!("\"{}\"", "a".repeat(65));
        for (field, value) in [
            ("id", "\"\""),
            ("id", &long),
            ("id", "\"<b>\""),
            ("room", "\"a b\""),
            ("room", "\"Lobby\""),
            ("room", &long),
            ("name", "\"\""),
            ("name", "\" Ada\""),
            ("name", "\"a\\u202eb\""),
            ("name", &long),
            ("text", "\"\""),
            ("text", "\"a\\u0000\""),
            ("text", "7"),
            ("time", "-1"),
            ("key", "\"<>\""),
        ] {
            assert!(parse(&message(field, value)).is_none(), "{field}: {value}");
        }
        assert!(
            Word::parse(&wsweave::Bytes::from(message("", "")).into(), &Limits::default())
                .is_none()
        );
    }

    #[test]
    fn who_is_there_is_looked_at_too() {
        let all = |room: &str, node: &str, names: &str| {
            parse(&format!(
                r#"{{"type":"all","room":"{room}","node":"{node}","names":[{names}],"ask":true}}"#
            ))
        };
        assert!(all("lobby", "n1", r#""Ada","<i>""#).is_some());
        assert!(all("lob.by", "n1", r#""Ada""#).is_none());
        assert!(all("lobby", "", r#""Ada""#).is_none());
        assert!(all("lobby", "n1", r#""Ada","""#).is_none());
        assert!(all("lobby", "n1", &[r#""Ada""#; 501].join(",")).is_none());
        for kind in ["here", "gone"] {
            let word = |name: &str| {
                parse(&format!(r#"{{"type":"{kind}","room":"lobby","node":"n1","name":"{name}"}}"#))
            };
            assert!(word("Ada").is_some());
            assert!(word("\\u0007").is_none());
        }
    }
}
