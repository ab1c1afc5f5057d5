//! [`Changes`]: who joins and who leaves.

use std::{
    collections::VecDeque,
    fmt, mem,
    pin::Pin,
    sync::{Arc, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use futures_core::{FusedStream, Stream};

use super::membership::MemberId;
use crate::{
    sync::{Mutex, MutexGuard},
    wake::tell_all,
};

/// The stream of [`Group::changes`](crate::Group::changes): who joins which topic, and who leaves it. It
/// ends when the group is gone.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use wsweave::{Change, Connection, ConnectionExt, Group};
///
/// # async_std::task::block_on(async {
/// let group = Group::new();
/// let mut changes = group.changes();
/// let (mut conn, _peer) = Connection::pair();
/// let member = group.join("news", &conn.handle())?;
/// let id = member.id();
/// let topic = "news".into();
/// assert_eq!(changes.next().await, Some(Change::Joined { topic, member: id, members: 1 }));
/// drop(conn);
/// let topic = "news".into();
/// assert_eq!(changes.next().await, Some(Change::Left { topic, member: id, members: 0 }));
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct Changes {
    watch: Arc<Watch>,
}

/// What changes in a [`Group`](crate::Group).
///
/// See [`Changes`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A member has joined.
    Joined {
        /// What it has joined.
        topic: Arc<str>,
        /// Which member it is.
        member: MemberId,
        /// How many the topic has now.
        members: usize,
    },
    /// A member has left, or its connection has ended.
    Left {
        /// What it has left.
        topic: Arc<str>,
        /// Which member it was.
        member: MemberId,
        /// How many the topic has left.
        members: usize,
    },
    /// So many changes were not read in time, and dropped: ask for [`members`](crate::Group::members) and
    /// [`topics`](crate::Group::topics) anew. The changes behind this are whole.
    Missed(u64),
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        // Before the lock: this is code of whoever made it.
        let waker = cx.waker().clone();
        let mut state = self.watch.lock();
        if let Some(change) = state.take() {
            return Poll::Ready(Some(change));
        }
        if state.is_over {
            return Poll::Ready(None);
        }
        let before = state.waker.replace(waker);
        drop(state);
        // It may be the last of a task.
        drop(before);
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let state = self.watch.lock();
        let waiting = state.changes.len() + usize::from(state.missed > 0);
        (waiting, state.is_over.then_some(waiting))
    }
}

impl FusedStream for Changes {
    fn is_terminated(&self) -> bool {
        let state = self.watch.lock();
        state.is_over && state.changes.is_empty() && state.missed == 0
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("waiting", &self.size_hint().0).finish()
    }
}

/// All who watch a group.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<Vec<Weak<Watch>>>);

#[derive(Debug)]
struct Watch {
    state: Mutex<State>,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    changes: VecDeque<Change>,
    /// How many were dropped, all of them before those that wait.
    missed: u64,
    waker: Option<Waker>,
    is_over: bool,
}

/// Those who are to be woken when nothing is locked. Nor is any of them dropped before: a waker may be the last
/// of a task.
#[derive(Debug)]
#[must_use]
pub(super) struct Told(Vec<Arc<Watch>>);

impl Told {
    pub(super) fn wake(self) {
        tell_all(self.0, |watch| watch.wake());
    }
}

impl Watchers {
    pub(super) fn add(&self, limit: usize) -> Changes {
        let watch = Arc::new(Watch { state: Mutex::default(), limit: limit.max(1) });
        let mut watches = self.lock();
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(&watch));
        drop(watches);
        Changes { watch }
    }

    pub(super) fn tell(&self, change: &Change) -> Told {
        let mut told = Vec::new();
        self.lock().retain(|watch| {
            let Some(watch) = watch.upgrade() else { return false };
            watch.push(change.clone());
            told.push(watch);
            true
        });
        Told(told)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Watch>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The group is gone.
impl Drop for Watchers {
    fn drop(&mut self) {
        let watches = mem::take(&mut *self.lock());
        let watches: Vec<_> = watches.iter().filter_map(Weak::upgrade).collect();
        for watch in &watches {
            watch.lock().is_over = true;
        }
        Told(watches).wake();
    }
}

impl Watch {
    fn push(&self, change: Change) {
        let mut state = self.lock();
        if state.changes.len() >= self.limit {
            // What is left has to be without a gap.
            state.missed += state.changes.len() as u64;
            state.changes.clear();
        }
        state.changes.push_back(change);
    }

    fn wake(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Option<Change> {
        match mem::take(&mut self.missed) {
            0 => self.changes.pop_front(),
            missed => Some(Change::Missed(missed)),
        }
    }
}
