//! [`People`]: who is in a room, here and at other nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The names in a room. One name is one person, however many pages that has open, and wherever.
#[derive(Debug, Default)]
pub(crate) struct People {
    by_name: BTreeMap<Arc<str>, Whereabouts>,
    /// How many names other nodes have, each once for each node.
    elsewhere: usize,
}

#[derive(Debug, Default)]
struct Whereabouts {
    /// How many connections of this node.
    here: usize,
    nodes: BTreeSet<Arc<str>>,
}

/// What a connection that comes or goes has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing that anybody is told.
    Nothing,
    /// The name is new, or gone, at this node.
    Here,
    /// And at all the others.
    Everywhere,
}

impl People {
    /// A connection of this node comes.
    pub(crate) fn come(&mut self, name: &Arc<str>) -> Effect {
        let whereabouts = self.by_name.entry(Arc::clone(name)).or_default();
        whereabouts.here += 1;
        match (whereabouts.here, whereabouts.nodes.is_empty()) {
            (1, true) => Effect::Everywhere,
            (1, false) => Effect::Here,
            _ => Effect::Nothing,
        }
    }

    /// A connection of this node goes.
    pub(crate) fn go(&mut self, name: &str) -> Effect {
        let Some(whereabouts) = self.by_name.get_mut(name) else { return Effect::Nothing };
        whereabouts.here -= 1;
        match (whereabouts.here, whereabouts.nodes.is_empty()) {
            (0, true) => {
                self.by_name.remove(name);
                Effect::Everywhere
            }
            (0, false) => Effect::Here,
            _ => Effect::Nothing,
        }
    }

    /// Another node has somebody of this name, if there are not too many; tells whether nobody had.
    pub(crate) fn add(&mut self, node: &Arc<str>, name: &Arc<str>, most: usize) -> bool {
        if self.elsewhere >= most {
            return false;
        }
        let whereabouts = self.by_name.entry(Arc::clone(name)).or_default();
        let is_new = whereabouts.here == 0 && whereabouts.nodes.is_empty();
        if whereabouts.nodes.insert(Arc::clone(node)) {
            self.elsewhere += 1;
        }
        is_new
    }

    /// Another node has nobody of this name; tells whether nobody has now.
    pub(crate) fn remove(&mut self, node: &str, name: &str) -> bool {
        let Some(whereabouts) = self.by_name.get_mut(name) else { return false };
        if !whereabouts.nodes.remove(node) {
            return false;
        }
        self.elsewhere -= 1;
        let is_gone = whereabouts.here == 0 && whereabouts.nodes.is_empty();
        if is_gone {
            self.by_name.remove(name);
        }
        is_gone
    }

    /// The names that other nodes have, with each node that has them.
    pub(crate) fn elsewhere(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.by_name
            .iter()
            .flat_map(|(name, whereabouts)| whereabouts.nodes.iter().map(move |node| (node, name)))
    }

    pub(crate) fn here(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.iter().filter(|(_, whereabouts)| whereabouts.here > 0).map(|(name, _)| name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_one_person_wherever() {
        let mut people = People::default();
        let [ada, one, two] = ["Ada", "one", "two"].map(Arc::from);
        assert_eq!(people.come(&ada), Effect::Everywhere);
        assert_eq!(people.come(&ada), Effect::Nothing);
        assert!(!people.add(&one, &ada, 9));
        assert!(!people.add(&one, &ada, 9));
        assert!(!people.add(&two, &ada, 9));
        assert_eq!(people.go("Ada"), Effect::Nothing);
        assert_eq!(people.go("Ada"), Effect::Here);
        assert_eq!((people.len(), people.here().count()), (1, 0));
        assert!(!people.remove("one", "Ada"));
        assert!(!people.remove("one", "Ada"));
        assert_eq!(people.come(&ada), Effect::Here);
        assert_eq!(people.go("Ada"), Effect::Here);
        assert!(people.remove("two", "Ada"));
        assert_eq!((people.len(), people.elsewhere), (0, 0));
        assert!(people.add(&one, &ada, 9));
    }

    #[test]
    fn names_of_others_are_limited() {
        let mut people = People::default();
        let [ada, bob, one, two] = ["Ada", "Bob", "one", "two"].map(Arc::from);
        assert!(people.add(&one, &ada, 2));
        assert!(!people.add(&two, &ada, 2));
        assert!(!people.add(&one, &bob, 2));
        assert_eq!(people.len(), 1);
        assert_eq!(people.come(&bob), Effect::Everywhere);
        assert!(!people.remove("two", "Ada"));
        assert!(people.remove("one", "Ada"));
        assert!(people.add(&two, &ada, 2));
    }
}
