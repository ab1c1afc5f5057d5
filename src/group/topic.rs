//! [`Topic`]: its members.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use super::{
    lag::{Key, Keys},
    membership::MemberId,
};
use crate::{
    connection::{Outbox, Round},
    message::Message,
    protocol::Published,
    sync::{Mutex, MutexGuard},
};

/// Locked by each who publishes for as long as that takes, so that all members get all messages in one
/// order. It is locked before the outboxes and the watchers, and nobody who has one of those locks it.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
pub(super) struct Members {
    /// One behind the other, for whoever publishes goes through all of them.
    list: Vec<Member>,
    /// Where each is in the list.
    places: HashMap<MemberId, usize>,
    /// What gives the keys that members want, and how many of them.
    keys: Vec<(Key, usize)>,
    /// Nobody joins any more: the last one has left, and there may be another topic of this name, or the
    /// group is drained.
    pub(super) is_closed: bool,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) outbox: Arc<Outbox>,
    /// Where its queue is in the outbox.
    pub(super) queue: usize,
    /// What gives the key of a message, if its policy wants one.
    pub(super) key: Option<Key>,
}

impl Topic {
    pub(super) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.into(), members: Mutex::default() })
    }

    /// Queues a message for all members but `except`; returns for how many.
    pub(super) fn publish(&self, message: Message, except: Option<&Arc<Outbox>>) -> usize {
        let mut members = self.lock();
        let mut round = Round::default();
        if !members.keys.is_empty() {
            let keys: Vec<_> = members.keys.iter().map(|(key, _)| key.clone()).collect();
            // Without the lock: this is code of the user's.
            drop(members);
            round.keys = Keys::new(&message, keys);
            members = self.lock();
        }
        let published = Arc::new(Published::new(message));
        let delivered = members
            .iter()
            .filter(|member| except.is_none_or(|except| !Arc::ptr_eq(&member.outbox, except)))
            .filter(|member| member.outbox.deliver(member.queue, &published, &mut round))
            .count();
        drop(members);
        round.end();
        delivered
    }

    /// How many members it has.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Members> {
        // Nothing panics while it is held.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.list.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn add(&mut self, member: Member) {
        if let Some(key) = &member.key {
            match self.key_index(key) {
                Some(index) => self.keys[index].1 += 1,
                None => self.keys.push((key.clone(), 1)),
            }
        }
        self.places.insert(member.id, self.list.len());
        self.list.push(member);
    }

    /// Removes a member, which is to be dropped when nothing is locked.
    pub(super) fn remove(&mut self, id: MemberId) -> Option<Member> {
        let place = self.places.remove(&id)?;
        let member = self.list.swap_remove(place);
        if let Some(moved) = self.list.get(place) {
            self.places.insert(moved.id, place);
        }
        if self.list.len() < self.list.capacity() / 4 {
            // There were more once, and need not be again.
            let room = 2 * self.list.len();
            self.list.shrink_to(room);
            self.places.shrink_to(room);
        }
        if let Some(index) = member.key.as_ref().and_then(|key| self.key_index(key)) {
            self.keys[index].1 -= 1;
            if self.keys[index].1 == 0 {
                self.keys.swap_remove(index);
            }
        }
        Some(member)
    }

    fn key_index(&self, key: &Key) -> Option<usize> {
        self.keys.iter().position(|(known, _)| known.identity() == key.identity())
    }
}
