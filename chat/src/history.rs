//! [`History`]: what was said last in a room.

use std::{collections::VecDeque, mem};

use crate::{limits::Limits, protocol::Said};

/// What was said last in a room, bounded in messages and bytes.
#[derive(Debug, Default)]
pub(crate) struct History {
    messages: VecDeque<Said>,
    bytes: usize,
    /// The latest time of what is not kept any more; 0 if that is nothing.
    evicted: u64,
    /// When messages of other nodes were last found missing; 0 if never.
    missed: u64,
    /// The ids of what was heard last of other nodes, kept longer than the messages: a broker may have kept
    /// these, too.
    heard: VecDeque<String>,
    /// The ids of what a broker had kept, and may still be heard.
    ahead: VecDeque<String>,
}

impl History {
    pub(crate) fn push(&mut self, said: Said, limits: &Limits) {
        self.add(said);
        self.trim(limits);
    }

    /// Takes in what another node says; tells it if that is news here.
    pub(crate) fn hear(&mut self, said: Said, limits: &Limits, tell: impl FnOnce(&Said)) {
        let ahead = self.ahead.iter().position(|id| *id == said.id);
        let is_news = ahead.is_none() && !self.heard.contains(&said.id) && !self.has(&said);
        if is_news {
            tell(&said);
        }
        if is_news || ahead.and_then(|ahead| self.ahead.remove(ahead)).is_some() {
            keep(&mut self.heard, &said.id, HEARD * limits.history);
            // What was said before it may have come after it, and pushed it out.
            if !self.has(&said) {
                self.push(said, limits);
            }
        }
    }

    fn add(&mut self, said: Said) {
        self.bytes += size(&said);
        self.messages.push_back(said);
    }

    fn trim(&mut self, limits: &Limits) {
        while self.messages.len() > limits.history || self.bytes > limits.history_bytes {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.bytes -= size(&oldest);
            self.evicted = self.evicted.max(oldest.time);
        }
    }

    /// Puts in what a broker has kept, before what is there; tells what is news here.
    pub(crate) fn merge(
        &mut self,
        stored: Vec<Said>,
        is_own: impl Fn(&str) -> bool,
        limits: &Limits,
        mut tell: impl FnMut(&Said),
    ) {
        let known = Self { messages: mem::take(&mut self.messages), ..Self::default() };
        self.bytes = 0;
        let older = stored.first().filter(|_| may_be_more(&stored, limits));
        let older = older.map_or(0, |oldest| oldest.time);
        for said in stored {
            let is_known = known.position(&said.id).is_some();
            // What is no more was there before.
            let was_told =
                is_own(&said.id) || self.heard.contains(&said.id) || self.ahead.contains(&said.id);
            let is_news = !was_told && !known.has(&said);
            if self.has(&said) || !(is_known || is_news) {
                continue;
            }
            if is_news {
                tell(&said);
                keep(&mut self.ahead, &said.id, limits.history);
            }
            self.add(said);
        }
        for said in known.messages {
            if !self.has(&said) {
                self.add(said);
            }
        }
        self.trim(limits);
        self.evicted = self.evicted.max(older);
    }

    /// Messages of other nodes are missing now.
    pub(crate) fn miss(&mut self, now: u64) {
        self.missed = now;
    }

    /// Whether it is there, be it that a person has said it at two nodes.
    pub(crate) fn has(&self, said: &Said) -> bool {
        let by_key = || said.key.as_deref().and_then(|key| self.find(&said.name, key));
        self.position(&said.id).is_some() || by_key().is_some()
    }

    /// Everything, and whether nothing is missing for one who has this message, be it from another node:
    /// there the order is another one, and what came after it there may be before it here. Up to `unsure`
    /// the nodes may not have heard each other.
    pub(crate) fn all(&self, after: Option<&str>, unsure: u64) -> (Vec<&Said>, bool) {
        let known = after.and_then(|id| Some(&self.messages[self.position(id)?]));
        let unsure = if self.evicted == 0 { 0 } else { self.evicted.max(unsure) };
        let unsure = unsure.max(self.missed);
        let is_sure = |said: &Said| unsure == 0 || said.time > unsure.saturating_add(APART);
        (self.messages.iter().collect(), known.is_some_and(is_sure))
    }

    /// What came after a message, and whether that is all of it: else the message is not known any more,
    /// and this is whatever there is.
    pub(crate) fn after(&self, id: Option<&str>) -> (Vec<&Said>, bool) {
        let known = id.and_then(|id| self.position(id));
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

    fn position(&self, id: &str) -> Option<usize> {
        self.messages.iter().rposition(|said| said.id == id)
    }
}

fn size(said: &Said) -> usize {
    said.name.len() + said.text.len()
}

/// Whether there may have been more than what a broker has kept. What made no sense there, or was there twice,
/// is not counted.
pub(crate) fn may_be_more(stored: &[Said], limits: &Limits) -> bool {
    stored.len() >= limits.history - limits.history / 10
}

/// Keeps an id with those before it, of which there are so many at most.
fn keep(ids: &mut VecDeque<String>, id: &str, most: usize) {
    ids.push_back(id.to_owned());
    if ids.len() > most {
        ids.pop_front();
    }
}

/// How many ids are known for each message that is kept: a broker keeps as many messages, and while it is
/// asked others are heard.
const HEARD: usize = 4;
/// How far the orders of two nodes that hear each other are apart, and their clocks, in milliseconds.
const APART: u64 = 10_000;

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

    fn at(id: usize, time: u64) -> Said {
        Said { time, ..said(id, "hello") }
    }

    fn all(history: &History, after: Option<&str>, unsure: u64) -> (Vec<usize>, bool) {
        let (messages, resumed) = history.all(after, unsure);
        (messages.iter().map(|said| said.id.parse().unwrap()).collect(), resumed)
    }

    #[test]
    fn of_other_nodes_all_is_told_and_what_may_be_missing() {
        let limits = Limits { history: 3, ..Limits::default() };
        let mut history = History::default();
        for n in 0..3 {
            history.push(at(n, 1_000_000), &limits);
        }
        assert_eq!(all(&history, Some("2"), 0), (vec![0, 1, 2], true));
        assert_eq!(all(&history, None, 0), (vec![0, 1, 2], false));
        assert_eq!(all(&history, Some("9"), 0), (vec![0, 1, 2], false));
        // Nothing is lost here, whatever the nodes have heard of each other.
        assert_eq!(all(&history, Some("2"), u64::MAX), (vec![0, 1, 2], true));
        history.push(at(3, 1_000_000 + APART), &limits);
        history.push(at(4, 1_000_001 + APART), &limits);
        assert_eq!(all(&history, Some("3"), 0), (vec![2, 3, 4], false));
        assert_eq!(all(&history, Some("4"), 0), (vec![2, 3, 4], true));
        assert_eq!(all(&history, Some("4"), 1_000_001), (vec![2, 3, 4], false));
        history.miss(1_000_001);
        assert_eq!(all(&history, Some("4"), 0), (vec![2, 3, 4], false));
    }

    /// What is told of it.
    fn merge(history: &mut History, stored: Vec<Said>, limits: &Limits) -> Vec<String> {
        let mut told = Vec::new();
        history.merge(
            stored,
            |id| id.starts_with("own"),
            limits,
            |said| told.push(said.id.clone()),
        );
        told
    }

    fn hear(history: &mut History, said: Said, limits: &Limits) -> bool {
        let mut is_told = false;
        history.hear(said, limits, |_| is_told = true);
        is_told
    }

    #[test]
    fn what_a_broker_has_kept_comes_once_and_first() {
        let limits = Limits { history: 5, ..Limits::default() };
        let mut history = History::default();
        history.push(at(3, 30), &limits);
        history.push(at(4, 40), &limits);
        let again = Said { id: "7".into(), ..at(4, 45) };
        let stored = vec![at(1, 10), at(3, 30), at(2, 20), at(2, 20), again];
        assert_eq!(merge(&mut history, stored, &limits), ["1", "2"]);
        assert_eq!(ids(&history, None).0, [1, 3, 2, 4]);
        assert!(!all(&history, Some("4"), 0).1, "there may have been more than five");
    }

    #[test]
    fn what_is_no_more_is_not_told_again() {
        let limits = Limits { history: 2, ..Limits::default() };
        let mut history = History::default();
        for n in 1..=4 {
            assert!(hear(&mut history, at(n, n as u64 * 10), &limits));
        }
        // The other node's clock may have been ahead of ours when we heard it first.
        let stored = vec![at(1, 10), at(2, 20), at(3, 99), at(4, 40), at(5, 50)];
        assert_eq!(merge(&mut history, stored, &limits), ["5"]);
        assert_eq!(ids(&history, None).0, [4, 5]);
        assert!(!hear(&mut history, at(2, 20), &limits));
    }

    #[test]
    fn what_was_said_elsewhere_before_what_is_no_more_here_is_news() {
        let limits = Limits { history: 3, ..Limits::default() };
        let mut history = History::default();
        let own = |n: usize| Said { id: format!("own{n}"), ..at(n, n as u64 * 10) };
        for n in 2..=6 {
            history.push(own(n), &limits);
        }
        assert_eq!(merge(&mut history, vec![at(1, 10), own(2), own(6)], &limits), ["1"]);
        // That is as old as before, and told.
        assert_eq!(merge(&mut history, vec![at(1, 10), own(2), own(6)], &limits), [""; 0]);
    }

    #[test]
    fn what_is_read_before_it_is_heard_is_told_once_and_stays() {
        let limits = Limits { history: 3, ..Limits::default() };
        let mut history = History::default();
        let stored = || (98..=100).map(|n| at(n, n as u64)).collect();
        assert_eq!(merge(&mut history, stored(), &limits), ["98", "99", "100"]);
        for n in 1..=97 {
            assert!(hear(&mut history, at(n, n as u64), &limits));
        }
        assert_eq!(merge(&mut history, stored(), &limits), [""; 0]);
        for n in 98..=100 {
            assert!(!hear(&mut history, at(n, n as u64), &limits));
        }
        assert_eq!(ids(&history, None).0, [98, 99, 100]);
        assert_eq!(merge(&mut history, stored(), &limits), [""; 0]);
        assert!(history.heard.len() <= HEARD * 3 && history.ahead.is_empty());
    }

    #[test]
    fn few_ids_are_kept() {
        let limits = Limits { history: 3, ..Limits::default() };
        let mut history = History::default();
        for n in 0..100 {
            hear(&mut history, at(n, 0), &limits);
            merge(&mut history, vec![at(1_000 + n, 0)], &limits);
        }
        assert_eq!((history.heard.len(), history.ahead.len()), (HEARD * 3, 3));
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
