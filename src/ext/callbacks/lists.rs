//! [`Lists`]: the callbacks of one connection.

use std::{collections::BTreeMap, mem};

use crate::{close::Finish, connection::Peer, error::Error, message::Message};

pub(super) type NextCallback = Box<dyn FnOnce(&mut Peer<'_>, &Message) + Send>;
/// Returns whether it stays.
pub(super) type EachCallback = Box<dyn FnMut(&mut Peer<'_>, &Message) -> bool + Send>;
pub(super) type ErrorCallback = Box<dyn FnOnce(&Error) + Send>;
pub(super) type FinishCallback = Box<dyn FnOnce(&Finish) + Send>;

/// The callbacks of one kind, by the number of their registration, and so in its order.
pub(super) type List<T> = BTreeMap<u64, T>;

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
        let waiting = self.finish.pop_first();
        if waiting.is_none() {
            self.stage = Stage::Ended(finish.clone());
        }
        waiting.map(|(_, callback)| callback)
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
