//! [`Lists`]: the callbacks of one connection.

use std::collections::BTreeMap;

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
    pub(super) ended: Option<Finish>,
    /// The number of the registration to come.
    pub(super) upcoming: u64,
}
