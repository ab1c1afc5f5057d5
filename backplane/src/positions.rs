//! [`Positions`]: how far each topic was read of each node.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{engine::Cursor, envelope::Envelope, node_id::NodeId};

/// Of the topics that are subscribed alone: what is not, is not missed.
#[derive(Debug)]
pub(crate) struct Positions {
    topics: HashMap<Arc<str>, HashMap<NodeId, Position>>,
    /// Up to where the topics were read of what the broker keeps.
    cursors: HashMap<Arc<str>, Cursor>,
    /// Messages that a node says it has sent, and that have not come.
    claims: HashMap<(Arc<str>, NodeId), Claim>,
    max_nodes: usize,
}

#[derive(Debug)]
struct Position {
    epoch: u64,
    last: u64,
    /// Up to here what is missing has been told.
    told: u64,
    heard: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    epoch: u64,
    last: u64,
    since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    /// It is the next one, but for so many that were missed before it.
    New {
        missed: u64,
    },
    Duplicate,
}

/// Messages that have not come, and will not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) topic: Arc<str>,
    pub(crate) node: NodeId,
    pub(crate) missed: u64,
}

impl Positions {
    pub(crate) fn new(max_nodes: usize) -> Self {
        let (topics, cursors, claims) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { topics, cursors, claims, max_nodes: max_nodes.max(1) }
    }

    /// From now on the topic's messages are counted.
    pub(crate) fn open(&mut self, topic: &Arc<str>) {
        self.topics.entry(Arc::clone(topic)).or_default();
    }

    pub(crate) fn has(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Where to read on; `None` if that is not known.
    pub(crate) fn cursor(&self, topic: &str) -> Option<Cursor> {
        self.cursors.get(topic).cloned()
    }

    /// The topic was read up to here.
    pub(crate) fn move_cursor(&mut self, topic: &Arc<str>, cursor: Cursor) {
        if self.has(topic) {
            self.cursors.insert(Arc::clone(topic), cursor);
        }
    }

    pub(crate) fn close(&mut self, topic: &Arc<str>) {
        self.topics.remove(topic);
        self.cursors.remove(topic);
        self.claims.retain(|(claimed, _), _| claimed != topic);
    }

    /// What [`observe`](Self::observe) would say.
    pub(crate) fn look(&self, topic: &str, envelope: &Envelope) -> Observed {
        let Some(nodes) = self.topics.get(topic) else { return Observed::Duplicate };
        let Some(position) = nodes.get(&envelope.origin) else {
            return Observed::New { missed: 0 };
        };
        let (epoch, sequence) = (envelope.epoch, envelope.sequence);
        let (last, told) = match epoch.cmp(&position.epoch) {
            std::cmp::Ordering::Less => return Observed::Duplicate,
            std::cmp::Ordering::Equal => (position.last, position.told),
            std::cmp::Ordering::Greater => (0, 0),
        };
        if sequence <= last {
            return Observed::Duplicate;
        }
        Observed::New { missed: (sequence - 1).saturating_sub(last.max(told)) }
    }

    pub(crate) fn observe(&mut self, topic: &str, envelope: &Envelope, now: Instant) -> Observed {
        let observed = self.look(topic, envelope);
        let (Some(nodes), Observed::New { .. }) = (self.topics.get_mut(topic), observed) else {
            return observed;
        };
        if nodes.len() >= self.max_nodes && !nodes.contains_key(&envelope.origin) {
            let oldest = nodes.iter().min_by_key(|(_, position)| position.heard);
            if let Some(oldest) = oldest.map(|(node, _)| *node) {
                nodes.remove(&oldest);
            }
        }
        let (epoch, last) = (envelope.epoch, envelope.sequence);
        let before = nodes.get(&envelope.origin).filter(|before| before.epoch == epoch);
        let told = before.map_or(last, |before| before.told.max(last));
        nodes.insert(envelope.origin, Position { epoch, last, told, heard: now });
        observed
    }

    /// A node says that this was its last message in a topic. It may be on its way still.
    pub(crate) fn claim(
        &mut self,
        topic: &Arc<str>,
        node: NodeId,
        epoch: u64,
        last: u64,
        now: Instant,
    ) {
        let position = self.topics.get(topic).and_then(|nodes| nodes.get(&node));
        if position.is_some_and(|known| known.epoch == epoch && known.told < last) {
            let claim = Claim { epoch, last, since: now };
            self.claims.entry((Arc::clone(topic), node)).or_insert(claim);
        }
    }

    /// The topics in which messages should have come that were claimed this long ago.
    pub(crate) fn overdue(&mut self, now: Instant, patience: Duration) -> Vec<Arc<str>> {
        let Self { topics, claims, .. } = self;
        claims.retain(|(topic, node), claim| {
            let position = topics.get(topic).and_then(|nodes| nodes.get(node));
            position.is_some_and(|known| known.epoch == claim.epoch && known.told < claim.last)
        });
        let overdue =
            claims.iter().filter(|(_, claim)| now.duration_since(claim.since) >= patience);
        overdue.map(|((topic, _), _)| Arc::clone(topic)).collect()
    }

    /// Gives up what is overdue, in one topic or in all; should it come later, it is taken all the same.
    pub(crate) fn give_up(
        &mut self,
        only: Option<&str>,
        now: Instant,
        patience: Duration,
    ) -> Vec<Missing> {
        self.overdue(now, patience);
        let mut missing = Vec::new();
        let Self { topics, claims, .. } = self;
        claims.retain(|(topic, node), claim| {
            let is_meant = only.is_none_or(|only| *only == **topic);
            if !is_meant || now.duration_since(claim.since) < patience {
                return true;
            }
            if let Some(position) = topics.get_mut(topic).and_then(|nodes| nodes.get_mut(node)) {
                let missed = claim.last - position.told;
                position.told = claim.last;
                missing.push(Missing { topic: Arc::clone(topic), node: *node, missed });
            }
            false
        });
        missing
    }
}

#[cfg(test)]
mod tests;
