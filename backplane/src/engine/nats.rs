//! NATS: core subjects, and `JetStream` to keep messages.
//!
//! The client's own reconnecting is not used: a connection that is lost is made anew here, as for every
//! engine, so that it is known when messages may have been missed.

mod echo;
mod jetstream;
mod permissions;
mod receiver;
mod sender;

use std::{io, sync::Arc, time::Duration};

use async_nats::{ConnectErrorKind, ConnectOptions, Event, ServerAddr, jetstream::stream};
use percent_encoding::percent_decode_str;
use tokio::sync::{mpsc, watch};

use self::{
    echo::Echo,
    jetstream::{Kept, stream_config},
    permissions::Permissions,
    receiver::{Handles, NatsReceiver, read},
    sender::NatsSender,
};
use super::Engine;
use crate::{
    broker::Limits,
    error::{Error, ErrorKind},
    inbox::{Inbox, Refused},
    subject::Subjects,
};

pub(crate) struct Nats {
    servers: Vec<ServerAddr>,
    options: ConnectOptions,
    subjects: Subjects,
    stream: Option<stream::Config>,
    timeout: Duration,
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
        Ok(Self { servers, options, subjects: subjects.clone(), stream, timeout: limits.timeout })
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
        let sender = NatsSender { client, echo, kept, permissions, timeout: self.timeout };
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

/// The client drops what the server says when more than 128 wait to be heard: two parts of what is published
/// and two of subscriptions may be.
const MAX_DOUBTFUL: usize = 30;
