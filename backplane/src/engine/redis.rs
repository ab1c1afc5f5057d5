//! Redis: pub/sub, and streams to keep messages.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, RedisError,
    aio::{MultiplexedConnection, PubSubSink, PubSubStream},
    cmd, pipe,
    streams::StreamRangeReply,
};

use super::{Engine, Outgoing, Receiver, Retention, Sender};
use crate::{
    broker::Limits,
    error::{Error, ErrorKind},
};

pub(crate) struct Redis {
    client: Client,
    config: AsyncConnectionConfig,
    retention: Option<Retention>,
}

impl Redis {
    pub(crate) fn new(address: &str, limits: &Limits) -> Result<Self, Error> {
        let client = Client::open(address).map_err(|error| {
            Error::with_source(ErrorKind::InvalidInput, "the address of the broker is wrong", error)
        })?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limits.timeout))
            .set_response_timeout(Some(limits.timeout));
        Ok(Self { client, config, retention: limits.replay })
    }
}

impl Engine for Redis {
    type Sender = RedisSender;
    type Receiver = RedisReceiver;

    async fn connect(&self) -> Result<(RedisSender, RedisReceiver), Error> {
        let connect = self.client.get_multiplexed_async_connection_with_config(&self.config);
        let mut connection = connect.await.map_err(failed)?;
        let pong: redis::Value = cmd("PING").query_async(&mut connection).await.map_err(failed)?;
        if pong != redis::Value::SimpleString("PONG".into()) {
            return Err(Error::new(ErrorKind::Protocol, "the broker does not speak as Redis does"));
        }
        let (sink, stream) = self.client.get_async_pubsub().await.map_err(failed)?.split();
        let sender = RedisSender { connection, retention: self.retention };
        Ok((sender, RedisReceiver { sink, stream }))
    }
}

#[derive(Clone)]
pub(crate) struct RedisSender {
    connection: MultiplexedConnection,
    retention: Option<Retention>,
}

impl Sender for RedisSender {
    /// A string of Redis may have 512 MiB.
    fn max_envelope(&self) -> usize {
        512 << 20
    }

    async fn send(&self, batch: &[Outgoing]) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut commands = pipe();
        for Outgoing { subject, envelope, is_kept } in batch {
            if let Some(retention) = self.retention.filter(|_| *is_kept) {
                let key = key(subject);
                let max = ("MAXLEN", retention.max_messages);
                commands.cmd("XADD").arg(&key).arg(max).arg("*").arg((FIELD, &envelope[..]));
                commands.ignore().cmd("PEXPIRE").arg(&key).arg(millis(retention)).ignore();
            }
            commands.cmd("PUBLISH").arg(&**subject).arg(&envelope[..]).ignore();
        }
        commands.query_async(&mut self.connection.clone()).await.map_err(failed)
    }

    async fn stored(&self, subject: &str, max: usize) -> Result<Vec<Bytes>, Error> {
        let Some(retention) = self.retention else { return Ok(Vec::new()) };
        let mut connection = self.connection.clone();
        let (seconds, _): (u64, u64) =
            cmd("TIME").query_async(&mut connection).await.map_err(failed)?;
        let oldest = (seconds * 1_000).saturating_sub(millis(retention));
        let mut range = cmd("XREVRANGE");
        range.arg(key(subject)).arg("+").arg(oldest).arg("COUNT").arg(max);
        let stored: StreamRangeReply = range.query_async(&mut connection).await.map_err(failed)?;
        let envelope = |mut id: redis::streams::StreamId| {
            Some(Bytes::from(Vec::from_redis_value(id.map.remove(FIELD)?).ok()?))
        };
        Ok(stored.ids.into_iter().rev().filter_map(envelope).collect())
    }
}

pub(crate) struct RedisReceiver {
    sink: PubSubSink,
    stream: PubSubStream,
}

impl Receiver for RedisReceiver {
    async fn subscribe(&mut self, subjects: &[Arc<str>]) -> Result<(), Error> {
        self.sink.subscribe(names(subjects)).await.map_err(failed)
    }

    async fn unsubscribe(&mut self, subjects: &[Arc<str>]) -> Result<(), Error> {
        self.sink.unsubscribe(names(subjects)).await.map_err(failed)
    }

    async fn next(&mut self) -> Result<(Arc<str>, Bytes), Error> {
        let Some(message) = self.stream.next().await else {
            return Err(Error::new(ErrorKind::Io, "the connection to the broker is lost"));
        };
        let payload = Bytes::copy_from_slice(message.get_payload_bytes());
        Ok((message.get_channel_name().into(), payload))
    }
}

fn names(subjects: &[Arc<str>]) -> Vec<&str> {
    subjects.iter().map(|subject| &**subject).collect()
}

/// Where the messages of a subject are kept.
fn key(subject: &str) -> String {
    format!("{subject}.kept")
}

fn millis(retention: Retention) -> u64 {
    u64::try_from(retention.max_age.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 2)
}

fn failed(error: RedisError) -> Error {
    let kind = match error.kind() {
        redis::ErrorKind::AuthenticationFailed
        | redis::ErrorKind::Server(_)
        | redis::ErrorKind::Extension => ErrorKind::Denied,
        redis::ErrorKind::Parse | redis::ErrorKind::UnexpectedReturnType => ErrorKind::Protocol,
        _ if error.is_timeout() => ErrorKind::Timeout,
        _ => ErrorKind::Io,
    };
    Error::with_source(kind, "the broker has failed", error)
}

const FIELD: &str = "envelope";
