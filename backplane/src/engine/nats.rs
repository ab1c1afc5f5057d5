//! NATS: core subjects, and `JetStream` to keep messages.
//!
//! The client's own reconnecting is not used: a connection that is lost is made anew here, as for every
//! engine, so that it is known when messages may have been missed.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, RequestErrorKind, ServerAddr, Subscriber,
    jetstream::{
        self,
        consumer::{AckPolicy, pull},
        context::CreateStreamErrorKind,
        stream::{self, DiscardPolicy, Stream},
    },
};
use bytes::Bytes;
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{AbortHandle, Abortable, SelectAll, abortable},
};
use percent_encoding::percent_decode_str;
use tokio::sync::watch;

use super::{Engine, Outgoing, Receiver, Retention, Sender};
use crate::{
    broker::Limits,
    error::{Error, ErrorKind},
};

pub(crate) struct Nats {
    servers: Vec<ServerAddr>,
    options: ConnectOptions,
    /// Where nobody listens.
    nowhere: Arc<str>,
    stream: Option<stream::Config>,
}

impl Nats {
    pub(crate) fn new(
        addresses: &str,
        mut options: ConnectOptions,
        limits: &Limits,
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
        let nowhere = format!("{}.nowhere", limits.prefix).into();
        let stream = limits.replay.map(|retention| stream_config(&limits.prefix, retention));
        Ok(Self { servers, options, nowhere, stream })
    }
}

impl Engine for Nats {
    type Sender = NatsSender;
    type Receiver = NatsReceiver;

    async fn connect(&self) -> Result<(NatsSender, NatsReceiver), Error> {
        let is_lost = watch::Sender::new(false);
        let lost = is_lost.subscribe();
        let options = self.options.clone().event_callback(move |event| {
            if matches!(event, async_nats::Event::Disconnected | async_nats::Event::Closed) {
                is_lost.send_replace(true);
            }
            std::future::ready(())
        });
        let client = options.connect(&self.servers[..]).await.map_err(refused)?;
        let kept = match &self.stream {
            Some(config) => Some(Kept::new(&client, config.clone()).await?),
            None => None,
        };
        let sender = NatsSender { client, nowhere: Arc::clone(&self.nowhere), kept };
        // Whoever answers that it is not there is a broker.
        sender.arrive().await?;
        let receiver = NatsReceiver {
            sender: sender.clone(),
            subscriptions: SelectAll::new(),
            handles: HashMap::new(),
            lost,
        };
        Ok((sender, receiver))
    }
}

#[derive(Clone)]
pub(crate) struct NatsSender {
    client: Client,
    nowhere: Arc<str>,
    kept: Option<Kept>,
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

    async fn read(&self, subject: &str, max: usize) -> Result<Vec<Bytes>, Error> {
        let config = pull::Config {
            filter_subject: subject.into(),
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: Duration::from_secs(60),
            ..pull::Config::default()
        };
        let consumer = self.stream.create_consumer(config).await.map_err(failed)?;
        let info = consumer.cached_info();
        let (name, pending) = (info.name.clone(), info.num_pending);
        let mut stored = Vec::new();
        if pending > 0 {
            let pending = usize::try_from(pending).unwrap_or(usize::MAX);
            let messages = consumer.fetch().max_messages(pending).messages();
            let messages =
                messages.await.map_err(failed)?.map_ok(|message| message.payload.clone());
            stored = messages.try_collect().await.map_err(failed)?;
        }
        self.stream.delete_consumer(&name).await.map_err(failed)?;
        stored.drain(..stored.len().saturating_sub(max));
        Ok(stored)
    }
}

impl NatsSender {
    /// Returns when the broker has all that was sent before.
    async fn arrive(&self) -> Result<(), Error> {
        match self.client.request(self.nowhere.to_string(), Bytes::new()).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
            Err(error) if error.kind() == RequestErrorKind::TimedOut => {
                let what = "the broker has not answered in time";
                Err(Error::with_source(ErrorKind::Timeout, what, error))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl Sender for NatsSender {
    fn max_envelope(&self) -> usize {
        self.client.max_payload()
    }

    async fn send(&self, batch: &[Outgoing]) -> Result<(), Error> {
        let mut acknowledgements = Vec::new();
        for Outgoing { subject, envelope, is_kept } in batch {
            let (subject, envelope) = (subject.to_string(), envelope.clone());
            match self.kept.as_ref().filter(|_| *is_kept) {
                Some(kept) => {
                    let published = kept.context.publish(subject, envelope);
                    acknowledgements.push(published.await.map_err(failed)?);
                }
                None => self.client.publish(subject, envelope).await.map_err(failed)?,
            }
        }
        let are_all_kept = acknowledgements.len() == batch.len();
        for acknowledgement in acknowledgements {
            acknowledgement.await.map_err(failed)?;
        }
        if are_all_kept { Ok(()) } else { self.arrive().await }
    }

    async fn stored(&self, subject: &str, max: usize) -> Result<Vec<Bytes>, Error> {
        match &self.kept {
            Some(kept) => kept.read(subject, max).await,
            None => Ok(Vec::new()),
        }
    }
}

pub(crate) struct NatsReceiver {
    sender: NatsSender,
    subscriptions: SelectAll<Abortable<Subscription>>,
    handles: HashMap<Arc<str>, AbortHandle>,
    lost: watch::Receiver<bool>,
}

struct Subscription {
    subject: Arc<str>,
    subscriber: Subscriber,
}

impl futures_core::Stream for Subscription {
    type Item = (Arc<str>, Bytes);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.subscriber.poll_next_unpin(cx);
        polled.map(|message| Some((Arc::clone(&self.subject), message?.payload)))
    }
}

impl Receiver for NatsReceiver {
    async fn subscribe(&mut self, subjects: &[Arc<str>]) -> Result<(), Error> {
        for subject in subjects {
            let subscriber = self.sender.client.subscribe(subject.to_string()).await;
            let subscriber = subscriber.map_err(failed)?;
            let (subscription, handle) =
                abortable(Subscription { subject: Arc::clone(subject), subscriber });
            self.subscriptions.push(subscription);
            if let Some(before) = self.handles.insert(Arc::clone(subject), handle) {
                before.abort();
            }
        }
        self.sender.arrive().await
    }

    async fn unsubscribe(&mut self, subjects: &[Arc<str>]) -> Result<(), Error> {
        for subject in subjects {
            if let Some(handle) = self.handles.remove(subject) {
                // The subscriber unsubscribes when it is dropped.
                handle.abort();
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<(Arc<str>, Bytes), Error> {
        let gone = || Error::new(ErrorKind::Io, "the connection to the broker is lost");
        tokio::select! {
            biased;
            received = self.subscriptions.next() => received.ok_or_else(gone),
            _ = self.lost.wait_for(|is_lost| *is_lost) => Err(gone()),
        }
    }
}

fn stream_config(prefix: &str, retention: Retention) -> stream::Config {
    stream::Config {
        name: prefix.replace('.', "_"),
        subjects: vec![format!("{prefix}.topic.*")],
        max_messages_per_subject: i64::try_from(retention.max_messages).unwrap_or(i64::MAX),
        max_age: retention.max_age,
        discard: DiscardPolicy::Old,
        ..stream::Config::default()
    }
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
