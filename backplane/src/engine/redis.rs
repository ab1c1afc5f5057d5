//! Redis: pub/sub, and streams to keep messages.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, RedisError, ServerErrorKind,
    aio::{MultiplexedConnection, PubSubSink, PubSubStream},
    cmd, pipe,
    streams::StreamRangeReply,
};
use tokio::task::{JoinSet, coop::unconstrained};

use super::{Cursor, Engine, Outgoing, Receiver, Refusal, Retention, Sender, Stored, Turns};
use crate::{
    broker::Limits,
    driver::within,
    error::{Error, ErrorKind, UnsentReason},
    inbox::Inbox,
};

pub(crate) struct Redis {
    client: Client,
    config: AsyncConnectionConfig,
    retention: Option<Retention>,
    timeout: Duration,
}

impl Redis {
    pub(crate) fn new(address: &str, limits: &Limits) -> Result<Self, Error> {
        let client = Client::open(address).map_err(|error| {
            Error::with_source(ErrorKind::InvalidInput, "the address of the broker is wrong", error)
        })?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limits.timeout))
            .set_response_timeout(Some(limits.timeout));
        Ok(Self { client, config, retention: limits.replay, timeout: limits.timeout })
    }
}

impl Engine for Redis {
    type Sender = RedisSender;
    type Receiver = RedisReceiver;

    async fn connect(&self, inbox: &Inbox) -> Result<(RedisSender, RedisReceiver), Error> {
        let connect = self.client.get_multiplexed_async_connection_with_config(&self.config);
        let mut connection = connect.await.map_err(failed)?;
        let pong: redis::Value = cmd("PING").query_async(&mut connection).await.map_err(failed)?;
        if pong != redis::Value::SimpleString("PONG".into()) {
            return Err(Error::new(ErrorKind::Protocol, "the broker does not speak as Redis does"));
        }
        let max_envelope = max_envelope(&mut connection).await?;
        let (sink, stream) = self.client.get_async_pubsub().await.map_err(failed)?.split();
        let mut reading = JoinSet::new();
        reading.spawn(read(stream, inbox.clone()));
        let (retention, timeout) = (self.retention, self.timeout);
        let sender = RedisSender { connection, retention, max_envelope, timeout };
        Ok((sender, RedisReceiver { sink, _reading: reading }))
    }
}

/// The server closes the connection of who sends more, and does not tell which message it was. Not all
/// tell their limit; then it is what it is if nobody has changed it.
async fn max_envelope(connection: &mut MultiplexedConnection) -> Result<usize, Error> {
    let mut get = cmd("CONFIG");
    get.arg("GET").arg("proto-max-bulk-len");
    match get.query_async::<(String, usize)>(connection).await {
        Ok((_, max)) => Ok(max),
        Err(error) if error.is_io_error() => Err(failed(error)),
        Err(_) => Ok(512 << 20),
    }
}

#[derive(Clone)]
pub(crate) struct RedisSender {
    connection: MultiplexedConnection,
    retention: Option<Retention>,
    max_envelope: usize,
    timeout: Duration,
}

impl Sender for RedisSender {
    fn max_envelope(&self) -> usize {
        self.max_envelope
    }

    async fn send(&self, batch: &[Outgoing]) -> Result<Vec<Refusal>, Error> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = pipe();
        commands.ignore_errors();
        // Which message each command is for.
        let mut indices = Vec::new();
        for (index, Outgoing { subject, envelope, is_kept }) in batch.iter().enumerate() {
            if let Some(retention) = self.retention.filter(|_| *is_kept) {
                let key = key(subject);
                let max = ("MAXLEN", retention.max_messages);
                commands.cmd("XADD").arg(&key).arg(max).arg("*").arg((FIELD, &envelope[..]));
                commands.cmd("PEXPIRE").arg(&key).arg(millis(retention));
                indices.extend([index; 2]);
            }
            commands.cmd("PUBLISH").arg(&**subject).arg(&envelope[..]);
            indices.push(index);
        }
        let mut connection = self.connection.clone();
        let answers: Vec<Result<redis::Value, RedisError>> = within(self.timeout, async {
            commands.query_async(&mut connection).await.map_err(failed)
        })
        .await?;
        let mut refused = Vec::<Refusal>::new();
        for (index, answer) in indices.into_iter().zip(answers) {
            let Err(error) = answer else { continue };
            if !is_refusal(&error) {
                return Err(failed(error));
            }
            if refused.last().is_none_or(|last| last.index != index) {
                let (reason, error) = (UnsentReason::Refused, failed(error));
                refused.push(Refusal { index, reason, error });
            }
        }
        Ok(refused)
    }

    async fn end(&self) -> Result<Cursor, Error> {
        let now = now(&mut self.connection.clone()).await?;
        Ok(Cursor(format!("{now}-{}", u64::MAX).into()))
    }

    async fn stored(
        &self,
        subject: &str,
        after: Option<&Cursor>,
        max: usize,
    ) -> Result<Stored, Error> {
        let Some(retention) = self.retention else { return Ok(Stored::default()) };
        let mut connection = self.connection.clone();
        let oldest = now(&mut connection).await?.saturating_sub(millis(retention));
        let after = after.map_or((0, 0), |Cursor(id)| parse(id));
        let (millis, sequence) = after.max((oldest, 0));
        let mut range = cmd("XREVRANGE");
        range.arg(key(subject)).arg("+").arg(format!("{millis}-{sequence}"));
        range.arg("COUNT").arg(max.min(retention.max_messages));
        let reply: StreamRangeReply = range.query_async(&mut connection).await.map_err(failed)?;
        let end = reply.ids.first().map(|newest| Cursor(newest.id.as_str().into()));
        let envelope = |mut entry: redis::streams::StreamId| {
            let is_behind = parse(&entry.id) > after;
            let envelope = entry.map.remove(FIELD).filter(|_| is_behind)?;
            Some(Bytes::from(Vec::from_redis_value(envelope).ok()?))
        };
        let envelopes = reply.ids.into_iter().rev().filter_map(envelope).collect();
        Ok(Stored { envelopes, end })
    }
}

/// In milliseconds of Unix, as the server says.
async fn now(connection: &mut MultiplexedConnection) -> Result<u64, Error> {
    let (seconds, micros): (u64, u64) =
        cmd("TIME").query_async(connection).await.map_err(failed)?;
    Ok(seconds * 1_000 + micros / 1_000)
}

/// The two numbers of an entry's name.
fn parse(id: &str) -> (u64, u64) {
    let (millis, sequence) = id.split_once('-').unwrap_or((id, "0"));
    (millis.parse().unwrap_or(0), sequence.parse().unwrap_or(0))
}

pub(crate) struct RedisReceiver {
    sink: PubSubSink,
    /// It ends with this.
    _reading: JoinSet<()>,
}

/// Goes on whatever else is done: the client keeps what is not read, without a limit.
async fn read(mut stream: PubSubStream, inbox: Inbox) {
    let mut turns = Turns::default();
    loop {
        turns.next().await;
        let message = if let Some(message) = unconstrained(stream.next()).now_or_never() {
            message
        } else {
            inbox.idle();
            stream.next().await
        };
        let Some(message) = message else { break };
        let payload = Bytes::copy_from_slice(message.get_payload_bytes());
        inbox.push(message.get_channel_name().into(), payload);
    }
    inbox.end(Error::new(ErrorKind::Io, "the connection to the broker is lost"));
}

impl Receiver for RedisReceiver {
    async fn subscribe(&mut self, subjects: &[Arc<str>]) -> Result<(), Error> {
        self.sink.subscribe(names(subjects)).await.map_err(failed)
    }

    async fn unsubscribe(&mut self, subjects: &[Arc<str>]) -> Result<(), Error> {
        self.sink.unsubscribe(names(subjects)).await.map_err(failed)
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

/// Whether it is about this one command: others say that the server can do none now.
fn is_refusal(error: &RedisError) -> bool {
    use ServerErrorKind::{CrossSlot, NoPerm, ResponseError};
    match error.kind() {
        redis::ErrorKind::Server(kind) => matches!(kind, CrossSlot | NoPerm | ResponseError),
        redis::ErrorKind::Extension => error.code() == Some("WRONGTYPE"),
        _ => false,
    }
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
