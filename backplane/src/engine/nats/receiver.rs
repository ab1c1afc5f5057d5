//! [`NatsReceiver`]: what is subscribed.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use async_nats::Subscriber;
use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    stream::{AbortHandle, AbortRegistration, Abortable, SelectAll},
};
use tokio::{
    sync::mpsc::{self, error::TryRecvError},
    task::coop::unconstrained,
};

use super::{MAX_DOUBTFUL, failed, gone, sender::NatsSender};
use crate::{
    engine::{Receiver, Turns},
    error::Error,
    inbox::Inbox,
};

pub(crate) struct NatsReceiver {
    pub(super) sender: NatsSender,
    pub(super) inbox: Inbox,
    /// To the task that reads them, which ends with this.
    pub(super) subscriptions: mpsc::UnboundedSender<Abortable<Subscription>>,
    pub(super) handles: Handles,
}

/// Whoever aborts a subscription ends it at the server, too: it unsubscribes when it is dropped.
#[derive(Clone, Default)]
pub(super) struct Handles(Arc<Mutex<HashMap<Arc<str>, AbortHandle>>>);

impl Handles {
    fn register(&self, subject: &Arc<str>) -> AbortRegistration {
        let (handle, registration) = AbortHandle::new_pair();
        if let Some(old) = self.lock().insert(Arc::clone(subject), handle) {
            old.abort();
        }
        registration
    }

    pub(super) fn abort(&self, subject: &str) {
        if let Some(handle) = self.lock().remove(subject) {
            handle.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Subscription {
    subject: Arc<str>,
    subscriber: Subscriber,
    inbox: Inbox,
}

impl futures_core::Stream for Subscription {
    type Item = (Arc<str>, Bytes);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = ready!(self.subscriber.poll_next_unpin(cx));
        if message.is_none() {
            // The client has given up.
            self.inbox.end(gone());
        }
        Poll::Ready(message.map(|message| (Arc::clone(&self.subject), message.payload)))
    }
}

/// Goes on whatever else is done: the client drops what is not read. What the client has already it takes as
/// come at once: a beat may be read before the messages that it speaks of.
pub(super) async fn read(mut new: mpsc::UnboundedReceiver<Abortable<Subscription>>, inbox: Inbox) {
    let (mut subscriptions, mut turns) = (SelectAll::new(), Turns::default());
    loop {
        turns.next().await;
        if let Some(Some((subject, bytes))) = unconstrained(subscriptions.next()).now_or_never() {
            inbox.push(subject, bytes);
            match new.try_recv() {
                Ok(subscription) => subscriptions.push(subscription),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            continue;
        }
        inbox.idle();
        tokio::select! {
            subscription = new.recv() => match subscription {
                Some(subscription) => subscriptions.push(subscription),
                None => return,
            },
            Some((subject, bytes)) = subscriptions.next() => inbox.push(subject, bytes),
        }
    }
}

impl Receiver for NatsReceiver {
    async fn subscribe(&mut self, subjects: &[Arc<str>]) -> Result<(), Error> {
        for subjects in subjects.chunks(MAX_DOUBTFUL) {
            for subject in subjects {
                // First, as the server may complain at once.
                let registration = self.handles.register(subject);
                let subscriber = self.sender.client.subscribe(subject.to_string()).await;
                let subscriber = subscriber.map_err(failed)?;
                let (subject, inbox) = (Arc::clone(subject), self.inbox.clone());
                let subscription = Subscription { subject, subscriber, inbox };
                let subscription = Abortable::new(subscription, registration);
                self.subscriptions.send(subscription).map_err(|_| gone())?;
            }
            self.sender.arrive().await?;
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, subjects: &[Arc<str>]) -> Result<(), Error> {
        for subject in subjects {
            self.handles.abort(subject);
        }
        Ok(())
    }
}
