//! [`Kept`]: the messages that `JetStream` keeps.

use std::{collections::VecDeque, fmt::Display, time::Duration};

use async_nats::{
    Client,
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, pull},
        context::CreateStreamErrorKind,
        stream::{self, DiscardPolicy, Stream},
    },
};
use futures_util::TryStreamExt;

use super::failed;
use crate::{
    engine::{Cursor, Retention, Stored},
    error::{Error, ErrorKind},
};

/// The stream in which they are.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) context: jetstream::Context,
    stream: Stream,
}

impl Kept {
    pub(super) async fn new(client: &Client, config: stream::Config) -> Result<Self, Error> {
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
                    // The server takes no window that is longer than what it keeps.
                    duplicate_window: found.duplicate_window.min(config.max_age),
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

    pub(super) async fn read(
        &self,
        subject: &str,
        after: Option<&Cursor>,
        max: usize,
    ) -> Result<Stored, Error> {
        let info = self.stream.get_info().await.map_err(failed)?;
        let (made, end) = (info.created, info.state.last_sequence);
        // A stream that was made anew counts from the beginning, and one that has lost its end does not go on.
        let after = after.and_then(|cursor| number_of(cursor, &made));
        let after = after.filter(|after| *after <= end).unwrap_or(0);
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

    pub(super) async fn end(&self) -> Result<Cursor, Error> {
        let info = self.stream.get_info().await.map_err(failed)?;
        Ok(cursor(info.state.last_sequence, &info.created))
    }
}

pub(super) fn stream_config(prefix: &str, retention: Retention) -> stream::Config {
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
pub(super) fn cursor(number: u64, made: &impl Display) -> Cursor {
    Cursor(format!("{number} of {made}").into())
}

/// If the stream is still the same.
fn number_of(Cursor(cursor): &Cursor, made: &impl Display) -> Option<u64> {
    let (number, of) = cursor.split_once(" of ")?;
    if of == made.to_string() { number.parse().ok() } else { None }
}

/// What the client keeps of a consumer is dropped when it is more than it has room for.
const MAX_FETCH: u64 = 256;

#[cfg(test)]
mod tests;
