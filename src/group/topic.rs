//! [`Topic`]: its members.

use std::sync::{Arc, PoisonError};

use super::{
    lag::{Excess, Key, Keys, LagPolicy},
    membership::MemberId,
};
use crate::{
    connection::{Outbox, Round},
    message::Message,
    protocol::Published,
    sync::{Mutex, MutexGuard},
};

/// Locked by each who publishes for as long as that takes, so that all members get all messages in one
/// order.
#[derive(Debug, Default)]
pub(super) struct Topic {
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
pub(super) struct Members {
    places: Vec<Option<Member>>,
    vacant: Vec<usize>,
    /// What gives the keys that members want, and how many of them.
    keys: Vec<(Key, usize)>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) outbox: Arc<Outbox>,
    /// Where its queue is in the outbox.
    pub(super) queue: usize,
    pub(super) policy: LagPolicy,
}

impl Topic {
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

    pub(super) fn lock(&self) -> MutexGuard<'_, Members> {
        // Nothing panics while it is held.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.places.iter().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.vacant.len()
    }

    /// Where the next member will be.
    pub(super) fn next_place(&self) -> usize {
        self.vacant.last().copied().unwrap_or(self.places.len())
    }

    pub(super) fn add(&mut self, member: Member) {
        if let Excess::Latest(key) = &member.policy.excess {
            match self.key_index(key) {
                Some(index) => self.keys[index].1 += 1,
                None => self.keys.push((key.clone(), 1)),
            }
        }
        match self.vacant.pop() {
            Some(place) => self.places[place] = Some(member),
            None => self.places.push(Some(member)),
        }
    }

    /// Removes a member, which is to be dropped when nothing is locked.
    pub(super) fn remove(&mut self, place: usize) -> Option<Member> {
        let member = self.places[place].take()?;
        self.vacant.push(place);
        if let Excess::Latest(key) = &member.policy.excess {
            if let Some(index) = self.key_index(key) {
                self.keys[index].1 -= 1;
                if self.keys[index].1 == 0 {
                    self.keys.swap_remove(index);
                }
            }
        }
        Some(member)
    }

    fn key_index(&self, key: &Key) -> Option<usize> {
        self.keys.iter().position(|(known, _)| known.identity() == key.identity())
    }
}
