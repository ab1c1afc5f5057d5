//! [`History`]: what was said last in a room.

use std::collections::VecDeque;

use crate::{limits::Limits, protocol::Said};

/// What was said last in a room, bounded in messages and bytes.
#[derive(Debug, Default)]
pub(crate) struct History {
    messages: VecDeque<Said>,
    bytes: usize,
}

impl History {
    pub(crate) fn push(&mut self, said: Said, limits: &Limits) {
        self.bytes += size(&said);
        self.messages.push_back(said);
        while self.messages.len() > limits.history || self.bytes > limits.history_bytes {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.bytes -= size(&oldest);
        }
    }

    /// What came after a message, and whether that is all of it: else the message is not known any more,
    /// and this is whatever there is.
    pub(crate) fn after(&self, id: Option<&str>) -> (Vec<&Said>, bool) {
        let known = id.and_then(|id| self.messages.iter().position(|said| said.id == id));
        let first = known.map_or(0, |known| known + 1);
        (self.messages.range(first..).collect(), known.is_some())
    }

    /// Whether a person has said it before.
    pub(crate) fn find(&self, name: &str, key: &str) -> Option<&Said> {
        self.messages
            .iter()
            .rev()
            .find(|said| said.key.as_deref() == Some(key) && &*said.name == name)
    }
}

fn size(said: &Said) -> usize {
    said.name.len() + said.text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(n: usize, text: &str) -> Said {
        let key = Some(format!("k{n}"));
        Said {
            id: n.to_string(),
            room: "r".into(),
            name: "a".into(),
            text: text.into(),
            time: 0,
            key,
        }
    }

    fn ids(history: &History, after: Option<&str>) -> (Vec<usize>, bool) {
        let (messages, resumed) = history.after(after);
        (messages.iter().map(|said| said.id.parse().unwrap()).collect(), resumed)
    }

    #[test]
    fn the_last_messages_stay() {
        let limits = Limits { history: 3, ..Limits::default() };
        let mut history = History::default();
        assert_eq!(ids(&history, None), (vec![], false));
        for n in 0..5 {
            history.push(said(n, "hello"), &limits);
        }
        assert_eq!(ids(&history, None), (vec![2, 3, 4], false));
        assert_eq!(ids(&history, Some("3")), (vec![4], true));
        assert_eq!(ids(&history, Some("4")), (vec![], true));
        assert_eq!(ids(&history, Some("1")), (vec![2, 3, 4], false));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let limits = Limits { history: 50, history_bytes: 30, ..Limits::default() };
        let mut history = History::default();
        for n in 0..5 {
            history.push(said(n, "0123456789"), &limits);
        }
        assert_eq!(ids(&history, None).0, [3, 4]);
        history.push(said(5, &"0".repeat(30)), &limits);
        assert_eq!((ids(&history, None).0, history.bytes), (vec![], 0));
    }

    #[test]
    fn a_key_is_one_persons() {
        let mut history = History::default();
        history.push(said(0, "hello"), &Limits::default());
        assert!(history.find("a", "k0").is_some());
        assert!(history.find("b", "k0").is_none());
        assert!(history.find("a", "k1").is_none());
    }
}
