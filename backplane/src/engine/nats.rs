//! NATS: core subjects, and `JetStream` to keep messages.
//!
//! The client's own reconnecting is not used: a connection that is lost is made anew here, as for every
//! engine, so that it is known when messages may have been missed.

mod echo;
mod permissions;

use std::{
    collections::{HashMap, VecDeque},
    fmt::Display,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr, Subscriber,
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, pull},
        context::{CreateStreamErrorKind, PublishAckFuture, PublishError, PublishErrorKind},
        stream::{self, DiscardPolicy, Stream},
    },
};
use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt, TryStreamExt,
    stream::{AbortHandle, AbortRegistration, Abortable, SelectAll},
};
use percent_encoding::percent_decode_str;
use tokio::{
    sync::{
        mpsc::{self, error::TryRecvError},
        watch,
    },
    task::coop::unconstrained,
};

use self::{echo::Echo, permissions::Permissions};
use super::{Cursor, Engine, Outgoing, Receiver, Refusal, Retention, Sender, Stored, Turns};
use crate::{
    broker::Limits,
    error::{Error, ErrorKind, UnsentReason},
    inbox::{Inbox, Refused},
    subject::Subjects,
};

pub(crate) struct Nats {
    servers: Vec<ServerAddr>,
    options: ConnectOptions,
    subjects: Subjects,
    stream: Option<stream::Config>,
}

impl Nats {
    pub(crate) fn new(
        addresses: &str,
        mut options: ConnectOptions,
        limits: &Limits,
        subjects: &Subjects,
    ) -> Result<Self, Error> {
        let parse = |address: &str| address.trim().parse();
        let servers = addresses.split(',').map(parse).collect::<Result<Vec<ServerAddr>, _>>();
        let servers = servers.map_err(|error: io::Error| {
            Error::with_source(ErrorKind::InvalidInput, "the address of the broker is wrong", error)
        })?;
        if servers.iter().any(|server| server.host().is_empty()) {
            let what = "the address of the broker has no host";
            return Err(Error::new(ErrorKind::InvalidInput, what));
        }
        // The client does not look for them there.
        if let Some(server) = servers.iter().find(|server| server.has_user_pass()) {
            let decode = |part: Option<&str>| {
                percent_decode_str(part.unwrap_or_default()).decode_utf8_lossy().into_owned()
            };
            let (name, password) = (decode(server.username()), decode(server.password()));
            options = options.user_and_password(name, password);
        }
        let options = options
            .connection_timeout(limits.timeout)
            .request_timeout(Some(limits.timeout))
            .reconnect_delay_callback(|_| Duration::ZERO)
            // Each of them once: the first connection counts, too.
            .max_reconnects(servers.len());
        let stream = limits.replay.map(|retention| stream_config(&limits.prefix, retention));
        Ok(Self { servers, options, subjects: subjects.clone(), stream })
    }
}

impl Engine for Nats {
    type Sender = NatsSender;
    type Receiver = NatsReceiver;

    async fn connect(&self, inbox: &Inbox) -> Result<(NatsSender, NatsReceiver), Error> {
        tokio::select! {
            connected = self.connect_and_ask(inbox) => connected,
            error = inbox.ended() => Err(error),
        }
    }
}

impl Nats {
    async fn connect_and_ask(&self, inbox: &Inbox) -> Result<(NatsSender, NatsReceiver), Error> {
        let permissions = Arc::new(watch::Sender::default());
        let handles = Handles::default();
        let complaints = Complaints {
            inbox: inbox.clone(),
            permissions: Arc::clone(&permissions),
            handles: handles.clone(),
            subjects: self.subjects.clone(),
            is_kept: self.stream.is_some(),
        };
        let options = self.options.clone().event_callback(move |event| {
            complaints.hear(event);
            std::future::ready(())
        });
        let client = options.connect(&self.servers[..]).await.map_err(refused)?;
        let kept = match &self.stream {
            Some(config) => Some(Kept::new(&client, config.clone()).await?),
            None => None,
        };
        let echo = Arc::new(Echo::new(&client, &self.subjects).await?);
        let sender = NatsSender { client, echo, kept, permissions };
        sender.arrive().await?;
        let (subscriptions, subscribed) = mpsc::unbounded_channel();
        tokio::spawn(read(subscribed, inbox.clone()));
        let receiver =
            NatsReceiver { sender: sender.clone(), inbox: inbox.clone(), subscriptions, handles };
        Ok((sender, receiver))
    }
}

/// What the server says by itself: not as an answer, but when it likes.
struct Complaints {
    inbox: Inbox,
    permissions: Arc<watch::Sender<Permissions>>,
    handles: Handles,
    subjects: Subjects,
    is_kept: bool,
}

impl Complaints {
    fn hear(&self, event: Event) {
        match event {
            Event::Disconnected | Event::Closed => self.inbox.end(gone()),
            Event::SlowConsumer(_) => self.inbox.overrun(),
            Event::ServerError(error) => self.complain(&error.to_string()),
            _ => {}
        }
    }

    fn complain(&self, what: &str) {
        let error = Error::new(ErrorKind::Denied, format!("the broker says: {what}"));
        let denied = |action: &str| {
            let (_, subject) =
                what.split_once(&format!("Permissions Violation for {action} to \""))?;
            Some(subject.split('"').next().unwrap_or(subject))
        };
        let refused = if let Some(subject) = denied("Publish") {
            self.permissions.send_modify(|permissions| permissions.deny(subject));
            if self.subjects.is_ours(subject) {
                return self.inbox.end(error);
            }
            if !self.subjects.is_topic(subject) {
                Refused::Other(error)
            } else if self.is_kept {
                // Who waits for the acknowledgement sees that it is denied.
                return;
            } else {
                Refused::Publish(subject.into(), error)
            }
        } else if let Some(subject) = denied("Subscription") {
            // Without an inbox there are no answers.
            if !self.subjects.is_topic(subject) {
                return self.inbox.end(error);
            }
            self.handles.abort(subject);
            Refused::Subscribe(subject.into(), error)
        } else {
            Refused::Other(error)
        };
        self.inbox.refuse(refused);
    }
}

#[derive(Clone)]
pub(crate) struct NatsSender {
    client: Client,
    echo: Arc<Echo>,
    kept: Option<Kept>,
    permissions: Arc<watch::Sender<Permissions>>,
}

#[derive(Clone)]
struct Kept {
    context: jetstream::Context,
    stream: Stream,
}

impl Kept {
    async fn new(client: &Client, config: stream::Config) -> Result<Self, Error> {
        let context = jetstream::new(client.clone());
        let name = config.name.clone();
        let config = match context.get_stream(&name).await {
            Ok(stream) => {
                let found = &stream.cached_info().config;
                // What else is set is the operator's.
                let wanted = stream::Config {
                    subjects: config.subjects,
                    max_messages_per_subject: config.max_messages_per_subject,
                    max_age: config.max_age,
                    discard: config.discard,
                    ..found.clone()
                };
                if wanted == *found {
                    return Ok(Self { context, stream });
                }
                wanted
            }
            Err(_) => config,
        };
        context.create_or_update_stream(config).await.map_err(|error| {
            let kind = match error.kind() {
                CreateStreamErrorKind::JetStreamUnavailable => ErrorKind::Unsupported,
                CreateStreamErrorKind::TimedOut => ErrorKind::Timeout,
                _ => ErrorKind::Denied,
            };
            Error::with_source(kind, "the broker keeps no messages", error)
        })?;
        let stream = context.get_stream(name).await.map_err(failed)?;
        Ok(Self { context, stream })
    }

    async fn read(
        &self,
        subject: &str,
        after: Option<&Cursor>,
        max: usize,
    ) -> Result<Stored, Error> {
        let made = self.stream.get_info().await.map_err(failed)?.created;
        // A stream that was made anew counts from the beginning.
        let after = after.and_then(|cursor| number_of(cursor, &made)).unwrap_or(0);
        let deliver_policy = match after {
            0 => DeliverPolicy::All,
            _ => DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
        };
        let config = pull::Config {
            filter_subject: subject.into(),
            deliver_policy,
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: Duration::from_secs(60),
            ..pull::Config::default()
        };
        let consumer = self.stream.create_consumer(config).await.map_err(failed)?;
        let info = consumer.cached_info();
        let (name, mut pending) = (info.name.clone(), info.num_pending);
        let (mut last, mut stored) = (None, VecDeque::new());
        while pending > 0 {
            let count = pending.min(MAX_FETCH);
            let messages = consumer.fetch().max_messages(usize::try_from(count).unwrap_or(1));
            let mut messages = messages.messages().await.map_err(failed)?;
            while let Some(message) = messages.try_next().await.map_err(failed)? {
                last = Some(message.info().map_err(failed)?.stream_sequence);
                if stored.len() >= max {
                    stored.pop_front();
                }
                stored.push_back(message.payload.clone());
            }
            pending -= count;
        }
        self.stream.delete_consumer(&name).await.map_err(failed)?;
        let end = last.map(|last| cursor(last, &made));
        Ok(Stored { envelopes: stored.into(), end })
    }

    async fn end(&self) -> Result<Cursor, Error> {
        let info = self.stream.get_info().await.map_err(failed)?;
        Ok(cursor(info.state.last_sequence, &info.created))
    }
}

impl NatsSender {
    /// Returns when the broker has all that was sent before.
    async fn arrive(&self) -> Result<(), Error> {
        self.echo.arrive(&self.client).await?;
        // That the connection was lost may not have been told: the client drops what it has to say when that
        // is too much.
        let connects = self.client.statistics().connects.load(Ordering::Relaxed);
        if connects > 1 { Err(gone()) } else { Ok(()) }
    }
}

impl Sender for NatsSender {
    fn max_envelope(&self) -> usize {
        self.client.max_payload()
    }

    async fn send(&self, batch: &[Outgoing]) -> Result<Vec<Refusal>, Error> {
        let (mut refused, mut sent) = (Vec::new(), 0);
        while sent < batch.len() {
            let (part, is_doubtful) = self.part(&batch[sent..]);
            let refusals = self.send_part(part).await?;
            if is_doubtful {
                self.permissions.send_if_modified(|permissions| {
                    permissions.passed(part.iter().map(|outgoing| &outgoing.subject));
                    // Nobody waits for that.
                    false
                });
            }
            let in_batch = |refusal: Refusal| Refusal { index: sent + refusal.index, ..refusal };
            refused.extend(refusals.into_iter().map(in_batch));
            sent += part.len();
        }
        Ok(refused)
    }

    async fn end(&self) -> Result<Cursor, Error> {
        match &self.kept {
            Some(kept) => kept.end().await,
            None => Ok(cursor(0, &"")),
        }
    }

    async fn stored(
        &self,
        subject: &str,
        after: Option<&Cursor>,
        max: usize,
    ) -> Result<Stored, Error> {
        match &self.kept {
            Some(kept) => kept.read(subject, after, max).await,
            None => Ok(Stored::default()),
        }
    }
}

impl NatsSender {
    /// What can be sent before the next answer: not too much of which the server may complain. And whether
    /// it may of any.
    fn part<'a>(&self, batch: &'a [Outgoing]) -> (&'a [Outgoing], bool) {
        let permissions = self.permissions.borrow();
        let mut doubtful = 0;
        let is_in_part = |outgoing: &&Outgoing| {
            doubtful += usize::from(permissions.is_doubtful(&outgoing.subject));
            doubtful <= MAX_DOUBTFUL
        };
        let len = batch.iter().take_while(is_in_part).count();
        (&batch[..len], doubtful > 0)
    }

    async fn send_part(&self, part: &[Outgoing]) -> Result<Vec<Refusal>, Error> {
        let (mut acknowledgements, mut refused) = (Vec::new(), Vec::new());
        let mut are_all_kept = true;
        for (index, Outgoing { subject, envelope, is_kept }) in part.iter().enumerate() {
            if self.permissions.borrow().is_denied(subject) {
                refused.push(Refusal::denied(index));
                continue;
            }
            let (subject, envelope) = (subject.to_string(), envelope.clone());
            let Some(kept) = self.kept.as_ref().filter(|_| *is_kept) else {
                are_all_kept = false;
                self.client.publish(subject, envelope).await.map_err(failed)?;
                continue;
            };
            match kept.context.publish(subject.clone(), envelope).await {
                Ok(published) => acknowledgements.push((index, subject, published)),
                Err(error) => refused.push(Refusal::try_from_error(index, error)?),
            }
        }
        for (index, subject, acknowledgement) in acknowledgements {
            refused.extend(self.acknowledged(index, &subject, acknowledgement).await?);
        }
        if !are_all_kept {
            self.arrive().await?;
        }
        Ok(refused)
    }

    async fn acknowledged(
        &self,
        index: usize,
        subject: &str,
        acknowledgement: PublishAckFuture,
    ) -> Result<Option<Refusal>, Error> {
        let mut permissions = self.permissions.subscribe();
        let result = tokio::select! {
            biased;
            result = acknowledgement.into_future() => result,
            // There is no other answer to what may not be published.
            _ = permissions.wait_for(|permissions| permissions.is_denied(subject)) => {
                return Ok(Some(Refusal::denied(index)));
            }
        };
        match result {
            Ok(_) => Ok(None),
            Err(error) => Refusal::try_from_error(index, error).map(Some),
        }
    }
}

impl Refusal {
    fn denied(index: usize) -> Self {
        let error = Error::new(ErrorKind::Denied, "the broker does not let us publish there");
        Self { index, reason: UnsentReason::Refused, error }
    }

    /// Unless the server could do nothing at all.
    fn try_from_error(index: usize, error: PublishError) -> Result<Self, Error> {
        let answer = std::error::Error::source(&error)
            .and_then(|source| source.downcast_ref::<jetstream::Error>());
        let reason = match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => UnsentReason::TooLarge,
            PublishErrorKind::Other if answer.is_some_and(|answer| answer.code() < 500) => {
                UnsentReason::Refused
            }
            _ => return Err(failed(error)),
        };
        let error = Error::with_source(ErrorKind::Denied, "the broker refuses a message", error);
        Ok(Self { index, reason, error })
    }
}

pub(crate) struct NatsReceiver {
    sender: NatsSender,
    inbox: Inbox,
    /// To the task that reads them, which ends with this.
    subscriptions: mpsc::UnboundedSender<Abortable<Subscription>>,
    handles: Handles,
}

/// Whoever aborts a subscription ends it at the server, too: it unsubscribes when it is dropped.
#[derive(Clone, Default)]
struct Handles(Arc<Mutex<HashMap<Arc<str>, AbortHandle>>>);

impl Handles {
    fn register(&self, subject: &Arc<str>) -> AbortRegistration {
        let (handle, registration) = AbortHandle::new_pair();
        if let Some(old) = self.lock().insert(Arc::clone(subject), handle) {
            old.abort();
        }
        registration
    }

    fn abort(&self, subject: &str) {
        if let Some(handle) = self.lock().remove(subject) {
            handle.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Subscription {
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
async fn read(mut new: mpsc::UnboundedReceiver<Abortable<Subscription>>, inbox: Inbox) {
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

fn stream_config(prefix: &str, retention: Retention) -> stream::Config {
    stream::Config {
        name: stream_name(prefix),
        subjects: vec![format!("{prefix}.topic.*")],
        max_messages_per_subject: i64::try_from(retention.max_messages).unwrap_or(i64::MAX),
        max_age: retention.max_age,
        discard: DiscardPolicy::Old,
        ..stream::Config::default()
    }
}

/// Without dots, and another one for each prefix.
fn stream_name(prefix: &str) -> String {
    prefix.replace('_', "__").replace('.', "_-")
}

/// A number in the stream that was made then.
fn cursor(number: u64, made: &impl Display) -> Cursor {
    Cursor(format!("{number} of {made}").into())
}

/// If the stream is still the same.
fn number_of(Cursor(cursor): &Cursor, made: &impl Display) -> Option<u64> {
    let (number, of) = cursor.split_once(" of ")?;
    if of == made.to_string() { number.parse().ok() } else { None }
}

fn gone() -> Error {
    Error::new(ErrorKind::Io, "the connection to the broker is lost")
}

fn refused(error: async_nats::ConnectError) -> Error {
    let (kind, what) = match error.kind() {
        ConnectErrorKind::ServerParse => {
            (ErrorKind::InvalidInput, "the address of the broker is wrong")
        }
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            (ErrorKind::Denied, "the broker does not let us in")
        }
        ConnectErrorKind::TimedOut => (ErrorKind::Timeout, "the broker has not answered in time"),
        _ => (ErrorKind::Io, "cannot connect to the broker"),
    };
    Error::with_source(kind, what, error)
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::with_source(ErrorKind::Io, "the broker has failed", error)
}

/// The client drops what the server says when more than 128 wait to be heard: one part may be behind.
const MAX_DOUBTFUL: usize = 50;
/// What the client keeps of a consumer is dropped when it is more than it has room for.
const MAX_FETCH: u64 = 256;

#[cfg(test)]
mod tests;
