//! [`Lists`]: the callbacks of one connection.

use std::{collections::VecDeque, mem};

use crate::{close::Finish, connection::Peer, error::Error, message::Message};

pub(super) type NextCallback = Box<dyn FnOnce(&mut Peer<'_>, &Message) + Send>;
/// Returns whether it stays.
pub(super) type EachCallback = Box<dyn FnMut(&mut Peer<'_>, &Message) -> bool + Send>;
pub(super) type ErrorCallback = Box<dyn FnOnce(&Error) + Send>;
pub(super) type FinishCallback = Box<dyn FnOnce(&Finish) + Send>;

/// The callbacks of one connection.
///
/// This is data behind a lock: it hands callbacks out, to be run and dropped by those who hold no lock.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) next: List<NextCallback>,
    /// `None` is the place of one that is running.
    pub(super) each: List<Option<EachCallback>>,
    pub(super) error: List<ErrorCallback>,
    pub(super) finish: List<FinishCallback>,
    pub(super) stage: Stage,
    /// The number of the registration to come.
    pub(super) upcoming: u64,
}

impl Lists {
    /// After the end, makes the caller the one who settles, if nobody does already.
    pub(super) fn resume_settling(&mut self) -> Option<Finish> {
        match mem::replace(&mut self.stage, Stage::Settling) {
            Stage::Ended(finish) => Some(finish),
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// Takes out what the end leaves to do next: dropping the callbacks that nothing will call any
    /// more, then the calls that waited for the end. With `None` everything is settled.
    pub(super) fn take_unsettled(&mut self, finish: &Finish) -> Option<FinishCallback> {
        let dead =
            (mem::take(&mut self.next), mem::take(&mut self.each), mem::take(&mut self.error));
        if !(dead.0.is_empty() && dead.1.is_empty() && dead.2.is_empty()) {
            return Some(Box::new(move |_| drop(dead)));
        }
        let waiting = self.finish.pop_first(u64::MAX);
        if waiting.is_none() {
            self.stage = Stage::Ended(finish.clone());
        }
        waiting
    }
}

/// The callbacks of one kind, in the order of registration: each behind its number, which only grows.
pub(super) struct List<T>(VecDeque<(u64, T)>);

impl<T> List<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a callback with a number higher than all before.
    pub(super) fn push(&mut self, id: u64, callback: T) {
        self.0.push_back((id, callback));
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<T> {
        let at = self.0.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.0.remove(at).map(|(_, callback)| callback)
    }

    /// Takes the first one off if its number is below `upcoming`.
    pub(super) fn pop_first(&mut self, upcoming: u64) -> Option<T> {
        self.0.front().filter(|(id, _)| *id < upcoming)?;
        self.0.pop_front().map(|(_, callback)| callback)
    }

    /// The place of number `id`, or else of the following one. It was at `hint` when somebody last looked,
    /// and is there still unless one before it was taken off.
    pub(super) fn find(&self, id: u64, hint: usize) -> usize {
        match self.0.get(hint) {
            Some((found, _)) if *found == id => hint,
            _ => self.0.partition_point(|(number, _)| *number < id),
        }
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<(u64, &mut T)> {
        self.0.get_mut(at).map(|(id, callback)| (*id, callback))
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

/// How far the connection is.
#[derive(Default)]
pub(super) enum Stage {
    #[default]
    Running,
    /// Somebody runs the callbacks for the end, in order: whoever adds one now leaves it to them.
    Settling,
    Ended(Finish),
}
