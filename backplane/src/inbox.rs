//! [`Inbox`]: what has come from the broker, and was not looked at yet.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use tokio::{sync::Notify, task::coop::consume_budget};

use crate::{error::Error, stats::Counter};

/// Of one connection. The engine fills it at once, whatever else goes on; what does not fit is dropped and
/// counted, and the numbers of the envelopes behind it show the gap.
#[derive(Clone, Debug)]
pub(crate) struct Inbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
    /// What comes here has as much room again: when messages come too fast, nodes are not to seem silent.
    presence: Arc<str>,
    max_bytes: usize,
    overrun: Arc<Counter>,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Arrival>,
    bytes: usize,
    /// When the last one came.
    heard: Instant,
    /// When the last one came that was looked at, as it says itself.
    looked: Instant,
    /// Since when something has come without a pause.
    since: Option<Instant>,
    end: Option<Error>,
}

/// What has come, and when: that it waits is not to look as if it had come late.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Of all that comes without a pause, when it began: where it waited before is not known.
    pub(crate) at: Instant,
    /// When this one came here.
    pub(crate) came: Instant,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Envelope {
        subject: Arc<str>,
        bytes: Bytes,
    },
    #[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "Redis says it as an answer"))]
    Refused(Refused),
}

/// What the broker does not do, as it says by itself and not as an answer.
#[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "Redis says it as an answer"))]
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    Publish(Arc<str>, Error),
    Subscribe(Arc<str>, Error),
    Other(Error),
}

impl Inbox {
    pub(crate) fn new(presence: Arc<str>, max_bytes: usize, overrun: Arc<Counter>) -> Self {
        let now = Instant::now();
        let waiting = VecDeque::new();
        let state = State { waiting, bytes: 0, heard: now, looked: now, since: None, end: None };
        let state = Mutex::new(state);
        Self(Arc::new(Inner { state, changed: Notify::new(), presence, max_bytes, overrun }))
    }

    pub(crate) fn push(&self, subject: Arc<str>, bytes: Bytes) {
        let is_presence = subject == self.0.presence;
        let max_bytes = self.0.max_bytes.saturating_mul(if is_presence { 2 } else { 1 });
        self.add(What::Envelope { subject, bytes }, max_bytes);
    }

    /// However full it is: there are no more of these than were asked for.
    #[cfg(feature = "nats")]
    pub(crate) fn refuse(&self, refused: Refused) {
        self.add(What::Refused(refused), usize::MAX);
    }

    /// There is no more for now.
    pub(crate) fn idle(&self) {
        self.lock().since = None;
    }

    /// There was no room for one before it came here.
    pub(crate) fn overrun(&self) {
        self.0.overrun.add(1);
    }

    /// No more comes; the first reason is the one.
    pub(crate) fn end(&self, error: Error) {
        self.lock().end.get_or_insert(error);
        self.0.changed.notify_one();
    }

    /// Waits for the next one; an error when the connection has ended, and all is looked at. Nothing is lost
    /// if the future is dropped. One may wait at a time.
    pub(crate) async fn next(&self) -> Result<Arrival, Error> {
        // What is always there is not to keep the rest of the task waiting.
        consume_budget().await;
        loop {
            {
                let mut state = self.lock();
                if let Some(arrival) = state.waiting.pop_front() {
                    state.bytes -= arrival.what.cost();
                    state.looked = arrival.at;
                    return Ok(arrival);
                }
                if let Some(error) = &state.end {
                    return Err(error.clone());
                }
            }
            self.0.changed.notified().await;
        }
    }

    /// Waits for the end, before anything else is waited for.
    #[cfg(any(feature = "nats", test))]
    pub(crate) async fn ended(&self) -> Error {
        loop {
            if let Some(error) = &self.lock().end {
                return error.clone();
            }
            self.0.changed.notified().await;
        }
    }

    /// When the last one came, looked at or not.
    pub(crate) fn heard(&self) -> Instant {
        self.lock().heard
    }

    /// Up to when all that came was looked at.
    pub(crate) fn clock(&self) -> Instant {
        let state = self.lock();
        let is_all = state.waiting.is_empty() && state.since.is_none();
        if is_all { state.heard } else { state.looked }
    }

    fn add(&self, what: What, max_bytes: usize) {
        let mut state = self.lock();
        let came = Instant::now();
        state.heard = came;
        if state.bytes + what.cost() > max_bytes {
            drop(state);
            return self.overrun();
        }
        let at = *state.since.get_or_insert(came);
        state.bytes += what.cost();
        state.waiting.push_back(Arrival { at, came, what });
        drop(state);
        self.0.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl What {
    fn cost(&self) -> usize {
        let len = match self {
            Self::Envelope { subject, bytes } => subject.len() + bytes.len(),
            Self::Refused(_) => 0,
        };
        len + size_of::<Arrival>()
    }
}

#[cfg(test)]
mod tests;
