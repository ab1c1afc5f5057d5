//! [`drive`]: keeps a connection to the broker, for as long as the backplane is there.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::StreamExt;
use tokio::{
    sync::{mpsc, watch},
    time::{interval, sleep, timeout},
};
use wsweave::{Change, Changes};

use crate::{
    engine::Engine,
    error::{Error, ErrorKind},
    events::Event,
    inbox::Inbox,
    receiving,
    sending::{self, History},
    shared::Shared,
    status::Status,
    subject::is_topic,
};

/// Why a connection has ended.
pub(crate) enum End {
    Lost(Error),
    /// The backplane was closed, and all is said.
    Closed,
}

/// Both halves, and what comes.
pub(crate) type Connection<E> = (<E as Engine>::Sender, <E as Engine>::Receiver, Inbox);

pub(crate) async fn connect<E: Engine>(
    engine: &E,
    shared: &Shared,
) -> Result<Connection<E>, Error> {
    let presence = Arc::clone(&shared.subjects.presence);
    let overrun = Arc::clone(&shared.counters.overrun);
    let inbox = Inbox::new(presence, shared.limits.max_inbox, overrun);
    let (sender, receiver) = within(shared.limits.timeout, engine.connect(&inbox)).await?;
    Ok((sender, receiver, inbox))
}

/// What takes too long is an error.
pub(crate) async fn within<T>(
    limit: Duration,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, future).await.unwrap_or_else(|_| Err(late(limit)))
}

fn late(limit: Duration) -> Error {
    let what = format!("the broker has not answered within {limit:?}");
    Error::new(ErrorKind::Timeout, what)
}

/// From the first connection on.
pub(crate) async fn drive<E: Engine>(
    engine: E,
    shared: Arc<Shared>,
    first: Connection<E>,
    changes: Changes,
    requests: mpsc::Receiver<History>,
) {
    let _closing = Closing(&shared);
    tokio::select! {
        () = follow(&shared, changes) => {}
        () = expire(&shared) => {}
        () = stay_connected(&engine, &shared, first, requests) => {}
    }
}

/// Whatever ends the driver, be it a panic in the user's code or the end of the runtime: who waits hears of
/// it.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.queue.close();
        self.0.set_status(Status::Closed);
    }
}

/// Keeps the local topics as the group has them.
async fn follow(shared: &Shared, mut changes: Changes) {
    let topics = || {
        let mut topics = shared.group.topics();
        topics.retain(|(topic, _)| is_topic(topic));
        topics
    };
    shared.local.reset(topics());
    while let Some(change) = changes.next().await {
        match change {
            // A group can be told to have longer names than an envelope: such a topic stays here.
            Change::Joined { topic, .. } | Change::Left { topic, .. } if !is_topic(&topic) => {}
            Change::Joined { topic, members, .. } | Change::Left { topic, members, .. } => {
                shared.local.set(Arc::clone(&topic), members);
                shared.tell_presence([topic]);
            }
            _ => shared.local.reset(topics()),
        }
    }
}

async fn stay_connected<E: Engine>(
    engine: &E,
    shared: &Arc<Shared>,
    first: Connection<E>,
    mut requests: mpsc::Receiver<History>,
) {
    let mut closing = shared.is_closing.subscribe();
    let mut connection = Ok(first);
    let mut waits = waits();
    loop {
        let began = Instant::now();
        let error = match connection {
            Ok(connection) => {
                let end = converse::<E>(shared, connection, &mut requests, closing.clone()).await;
                let End::Lost(error) = end else { return };
                error
            }
            Err(error) => error,
        };
        shared.disconnected(&error);
        if began.elapsed() >= shared.limits.silence() {
            waits = self::waits();
        }
        let again = async {
            sleep(waits.next().unwrap_or(MAX_WAIT)).await;
            connect(engine, shared).await
        };
        connection = tokio::select! {
            connection = again => connection,
            _ = closing.wait_for(|is_closing| *is_closing) => return,
        };
        if connection.is_ok() {
            shared.counters.reconnects.add(1);
        }
    }
}

/// Without a connection nobody is heard of.
async fn expire(shared: &Shared) {
    let mut ticks = interval(shared.limits.heartbeat);
    let mut status = shared.status.subscribe();
    loop {
        ticks.tick().await;
        // It is there as long as this is.
        let _ = status.wait_for(|status| matches!(status, Status::Disconnected { .. })).await;
        shared.expire(Instant::now());
    }
}

/// Both halves of one connection, until one of them fails.
async fn converse<E: Engine>(
    shared: &Arc<Shared>,
    (sender, receiver, inbox): Connection<E>,
    requests: &mut mpsc::Receiver<History>,
    closing: watch::Receiver<bool>,
) -> End {
    tokio::select! {
        end = sending::run(shared, &sender, requests, closing) => end,
        error = receiving::run(shared, &sender, receiver, inbox) => End::Lost(error),
    }
}

/// The topics are subscribed.
pub(crate) fn connected(shared: &Shared) {
    shared.set_status(Status::Connected);
    if shared.counters.reconnects.get() > 0 {
        shared.tell(Event::Connected);
    }
}

/// How long to wait before each attempt.
fn waits() -> impl Iterator<Item = Duration> {
    let builder = ExponentialBuilder::default().with_min_delay(MIN_WAIT).with_max_delay(MAX_WAIT);
    builder.with_jitter().without_max_times().build()
}

const MIN_WAIT: Duration = Duration::from_millis(100);
const MAX_WAIT: Duration = Duration::from_secs(5);
