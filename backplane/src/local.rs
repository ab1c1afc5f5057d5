//! [`Local`]: the topics that have members here.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// As the group's changes say it, with what has not been done about them yet.
#[derive(Debug, Default)]
pub(crate) struct Local {
    state: Mutex<State>,
    unsubscribed: Notify,
    unannounced: Notify,
}

#[derive(Debug, Default)]
struct State {
    topics: HashMap<Arc<str>, usize>,
    unsubscribed: HashSet<Arc<str>>,
    unannounced: HashSet<Arc<str>>,
}

impl Local {
    pub(crate) fn set(&self, topic: Arc<str>, members: usize) {
        let mut state = self.lock();
        let before = if members == 0 {
            state.topics.remove(&topic).unwrap_or(0)
        } else {
            state.topics.insert(Arc::clone(&topic), members).unwrap_or(0)
        };
        if (before == 0) != (members == 0) {
            state.unsubscribed.insert(Arc::clone(&topic));
            self.unsubscribed.notify_one();
        }
        state.unannounced.insert(topic);
        self.unannounced.notify_one();
    }

    /// All of them, after changes were missed.
    pub(crate) fn reset(&self, topics: Vec<(Arc<str>, usize)>) {
        let topics: HashMap<_, _> = topics.into_iter().collect();
        let known: Vec<_> = self.lock().topics.keys().cloned().collect();
        for gone in known.into_iter().filter(|topic| !topics.contains_key(topic)) {
            self.set(gone, 0);
        }
        for (topic, members) in topics {
            self.set(topic, members);
        }
    }

    /// Nothing is subscribed at the broker.
    pub(crate) fn disconnected(&self) {
        let mut state = self.lock();
        let State { topics, unsubscribed, .. } = &mut *state;
        unsubscribed.extend(topics.keys().cloned());
    }

    /// Waits for topics that are to be subscribed, or not any more. One may wait at a time.
    pub(crate) async fn unsubscribed(&self) {
        while self.lock().unsubscribed.is_empty() {
            self.unsubscribed.notified().await;
        }
    }

    /// Those that have members, and those that have not.
    pub(crate) fn take_unsubscribed(&self) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
        let mut state = self.lock();
        let changed = mem::take(&mut state.unsubscribed);
        changed.into_iter().partition(|topic| state.topics.contains_key(topic))
    }

    /// Waits for topics whose members are to be announced. One may wait at a time.
    pub(crate) async fn unannounced(&self) {
        while self.lock().unannounced.is_empty() {
            self.unannounced.notified().await;
        }
    }

    /// There is one who has heard of none.
    pub(crate) fn announce_all(&self) {
        let mut state = self.lock();
        let State { topics, unannounced, .. } = &mut *state;
        unannounced.extend(topics.keys().cloned());
        self.unannounced.notify_one();
    }

    pub(crate) fn take_unannounced(&self) -> Vec<(Arc<str>, usize)> {
        let mut state = self.lock();
        let changed = mem::take(&mut state.unannounced);
        let members = |topic: Arc<str>| {
            let members = state.topics.get(&topic).copied().unwrap_or(0);
            (topic, members)
        };
        changed.into_iter().map(members).collect()
    }

    pub(crate) fn topics(&self) -> HashMap<Arc<str>, usize> {
        self.lock().topics.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
