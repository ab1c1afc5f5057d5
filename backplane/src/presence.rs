//! [`Presence`]: how many members a topic has, and where.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{envelope::Entry, node_id::NodeId};

/// How many members a topic has, on all nodes together and on each, as far as this node has heard: see
/// [`Backplane::presence`](crate::Backplane::presence).
///
/// # Examples
///
/// ```no_run
/// # fn example(backplane: &wsweave_backplane::Backplane) {
/// let presence = backplane.presence("news");
/// println!("{} members, {} of them here", presence.total, presence.local);
/// for (node, members) in presence.remote {
///     println!("{members} on {node}");
/// }
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presence {
    /// On all nodes.
    pub total: usize,
    /// On this node.
    pub local: usize,
    /// On each other node that has any.
    pub remote: Vec<(NodeId, usize)>,
}

/// The other nodes that were heard of lately.
#[derive(Debug)]
pub(crate) struct Nodes {
    known: HashMap<NodeId, Node>,
    most: usize,
    max_topics: usize,
}

#[derive(Debug)]
struct Node {
    heard: Instant,
    /// Since it was heard of last.
    is_spared: bool,
    round: u64,
    topics: HashMap<Arc<str>, Count>,
}

#[derive(Debug)]
struct Count {
    members: usize,
    /// Of the beat that said so.
    round: u64,
}

/// What a beat has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) is_new: bool,
    pub(crate) topics: Vec<Arc<str>>,
}

impl Nodes {
    pub(crate) fn new(max_nodes: usize, max_topics: usize) -> Self {
        Self { known: HashMap::new(), most: max_nodes, max_topics }
    }

    /// `None` if there are too many nodes.
    pub(crate) fn hear(
        &mut self,
        node: NodeId,
        round: u64,
        entries: &[Entry],
        now: Instant,
    ) -> Option<Heard> {
        let is_new = !self.known.contains_key(&node);
        if is_new && self.known.len() >= self.most {
            return None;
        }
        let fresh = || Node { heard: now, is_spared: false, round, topics: HashMap::new() };
        let known = self.known.entry(node).or_insert_with(fresh);
        (known.heard, known.is_spared) = (now, false);
        let mut topics = Vec::new();
        for entry in entries {
            if known.count(entry, round, self.max_topics) {
                topics.push(Arc::clone(&entry.topic));
            }
        }
        if round > known.round {
            known.round = round;
            // A beat comes in parts. What the last whole one did not name is no more.
            known.topics.retain(|topic, count| {
                let is_fresh = count.round >= round.saturating_sub(1);
                if !is_fresh {
                    topics.push(Arc::clone(topic));
                }
                is_fresh
            });
        }
        Some(Heard { is_new, topics })
    }

    /// A node has said farewell; returns the topics that it had members in.
    pub(crate) fn remove(&mut self, node: NodeId) -> Option<Vec<Arc<str>>> {
        Some(self.known.remove(&node)?.topics.into_keys().collect())
    }

    /// Removes the nodes that were silent for so long.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        silence: Duration,
    ) -> Vec<(NodeId, Vec<Arc<str>>)> {
        let silent =
            self.known.iter().filter(|(_, node)| now.duration_since(node.heard) >= silence);
        let silent: Vec<_> = silent.map(|(node, _)| *node).collect();
        silent.into_iter().filter_map(|node| Some((node, self.remove(node)?))).collect()
    }

    /// After a time without a broker: who was there has some time to say so. Once, or a broker that lets in
    /// again and again, and tells nothing, would keep the dead alive.
    pub(crate) fn spare(&mut self, now: Instant) {
        for node in self.known.values_mut().filter(|node| !node.is_spared) {
            (node.heard, node.is_spared) = (now, true);
        }
    }

    pub(crate) fn presence(&self, topic: &str, local: usize) -> Presence {
        let count = |(node, known): (&NodeId, &Node)| {
            known.topics.get(topic).map(|count| (*node, count.members))
        };
        let mut remote: Vec<_> = self.known.iter().filter_map(count).collect();
        remote.sort_unstable();
        let total = remote.iter().fold(local, |sum, (_, members)| sum.saturating_add(*members));
        Presence { total, local, remote }
    }

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.known.keys().copied().collect()
    }
}

impl Node {
    /// Tells whether that is another number than before.
    fn count(&mut self, entry: &Entry, round: u64, max_topics: usize) -> bool {
        if entry.members == 0 {
            return self.topics.remove(&entry.topic).is_some();
        }
        let members = usize::try_from(entry.members).unwrap_or(usize::MAX);
        if let Some(count) = self.topics.get_mut(&entry.topic) {
            count.round = count.round.max(round);
            return std::mem::replace(&mut count.members, members) != members;
        }
        if self.topics.len() >= max_topics {
            return false;
        }
        self.topics.insert(Arc::clone(&entry.topic), Count { members, round });
        true
    }
}

#[cfg(test)]
mod tests;
