//! What moves a [`Reconnect`]: from one connection to the next, or to the end.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use super::{
    Outage, Reconnect, Status,
    series::Plan,
    value::{Past, State},
};
use crate::{
    close::{CloseCode, Finish},
    config::Clock,
    connection::{Connection, Half},
    error::{Error, ErrorKind},
    ext::Duplex,
    net::Client,
    rt::{self, Boxed},
    timeout::within,
};

/// What has come to pass without a connection.
enum Turn {
    /// It is time for an attempt.
    Due,
    Attempted(Result<Connection, Outage>),
}

impl Reconnect {
    /// Drives until there is a connection, or the end.
    pub(super) fn poll_connected(&mut self, half: Half, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let conn = &mut self.conn;
            let turn = match &mut self.state {
                State::Open { .. } | State::Over => return Poll::Ready(()),
                State::Due => Poll::Ready(Turn::Due),
                State::Waiting(sleep) => {
                    conn.poll_beside(half, cx, |cx| sleep.as_mut().poll(cx)).map(|()| Turn::Due)
                }
                State::Connecting(attempt) => {
                    conn.poll_beside(half, cx, |cx| attempt.as_mut().poll(cx)).map(Turn::Attempted)
                }
            };
            // Asked after it waits: a handle may have closed meanwhile.
            if self.conn.is_ending_for_good() {
                self.close_unconnected();
                continue;
            }
            if let Some(error) = self.conn.failure() {
                // A hook, on a message of the last connection.
                self.give_up(error);
                continue;
            }
            match ready!(turn) {
                Turn::Due => self.attempt(),
                Turn::Attempted(Ok(conn)) => self.open(conn),
                Turn::Attempted(Err(outage)) => self.recover(outage),
            }
        }
    }

    /// Drives the connection to its end, and sees what follows.
    pub(super) fn poll_ended(&mut self, half: Half, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.conn.poll_over(half, cx));
        self.ended();
        Poll::Ready(())
    }

    /// The connection has ended.
    pub(super) fn ended(&mut self) {
        let (State::Open { since }, Some(finish)) = (&self.state, self.conn.ending()) else {
            return;
        };
        let (now, finish) = (self.now(), Finish::clone(finish));
        self.series.lasted(now.saturating_duration_since(*since), now);
        self.told = self.told.take().or_else(|| self.conn.take_error());
        if self.conn.is_ending_for_good() {
            self.conn.conclude(None);
            return self.over(Status::Closed);
        }
        // A hook that failed too late to change how the connection ended has failed all the same.
        let error = finish.error.clone().or_else(|| self.told.clone());
        let outage = Outage::Ended(Finish { error, ..finish });
        match self.series.plan(&outage, now) {
            Plan::Wait(until) => {
                self.conn.vacate(Arc::clone(&self.vacant));
                self.told = None;
                if self.conn.has_lost() && self.hook.is_none() {
                    tracing::warn!("messages may be lost, and there is no `on_reconnect`");
                }
                self.wait(until, outage);
            }
            plan => {
                self.conn.conclude(None);
                self.over(match outage {
                    Outage::Ended(Finish { clean: true, error: None, .. })
                        if plan == Plan::Stop =>
                    {
                        Status::Closed
                    }
                    outage => Status::GaveUp(outage.into_error()),
                });
            }
        }
    }

    /// Ends it for good, for somebody asks for that while there is no connection.
    pub(super) fn close_unconnected(&mut self) {
        // Changes nothing if that was said with a code.
        let _ = Pin::new(&mut self.conn).peer().begin_close(CloseCode::NORMAL, "");
        self.conn.conclude(self.why.take());
        self.over(Status::Closed);
    }

    fn attempt(&mut self) {
        let Some(timer) = self.timer.clone().or_else(|| rt::timer(&self.client.config.clock))
        else {
            let what = "reconnecting needs a clock: enable the feature of a runtime, or give one with \
                        `Config::timer`";
            return self.give_up(Error::new(ErrorKind::Unsupported, what));
        };
        let (number, left) = self.series.attempt(timer.now());
        let clock = Clock::Given(Arc::clone(&timer));
        let making = self.make_client.as_mut().map(|make| make(self.client.clone(), number));
        self.timer = Some(timer);
        self.state = State::Connecting(attempt(self.client.clone(), making, clock, left));
        self.set_status(Status::Connecting { attempt: number });
    }

    fn open(&mut self, conn: Connection) {
        self.state = State::Open { since: self.now() };
        self.conn.occupy(conn);
        self.why = None;
        let is_next = self.past == Past::Connected || self.conn.has_lost();
        self.past = Past::Connected;
        if let Some(hook) = self.hook.as_mut().filter(|_| is_next) {
            let lost = self.conn.take_lost();
            let mut peer = Pin::new(&mut self.conn).peer();
            if !hook(&mut peer, lost, self.series.attempts()) {
                self.hook = None;
            }
        }
        self.set_status(Status::Open);
    }

    /// An attempt has failed.
    fn recover(&mut self, outage: Outage) {
        match self.series.plan(&outage, self.now()) {
            Plan::Wait(until) => self.wait(until, outage),
            Plan::Stop | Plan::GiveUp => self.give_up(outage.into_error()),
        }
    }

    fn wait(&mut self, until: Instant, outage: Outage) {
        tracing::debug!(%outage, "connecting again");
        let Some(timer) = &self.timer else { return };
        let sleep = timer.sleep(until.saturating_duration_since(timer.now()));
        self.state = State::Waiting(sleep);
        self.why = Some(outage.clone().into_error());
        self.set_status(Status::Waiting { until, outage });
    }

    /// Ends it for good: there is no connection, and none is tried any more.
    fn give_up(&mut self, error: Error) {
        self.conn.conclude(Some(error.clone()));
        self.over(Status::GaveUp(error));
    }

    fn over(&mut self, status: Status) {
        self.state = State::Over;
        self.set_status(status);
    }

    fn set_status(&mut self, status: Status) {
        self.status = status;
        if let Some(hook) = &mut self.on_status {
            hook(&self.status);
        }
    }

    fn now(&self) -> Instant {
        self.timer.as_ref().map_or_else(Instant::now, |timer| timer.now())
    }
}

/// One attempt, with so much time if that is limited.
fn attempt(
    client: Client,
    making: Option<Boxed<'static, Result<Client, Error>>>,
    clock: Clock,
    left: Option<Duration>,
) -> Boxed<'static, Result<Connection, Outage>> {
    Box::pin(async move {
        let limit = client.config.connect_timeout;
        let attempt = async {
            let client = match making {
                None => client,
                Some(making) => {
                    let made = within(&clock, limit, making).await;
                    let late = || too_late(format!("making a client took longer than {limit:?}"));
                    made.unwrap_or_else(|| Err(late())).map_err(Outage::NoClient)?
                }
            };
            client.connect().await.map_err(Outage::Failed)
        };
        let Some(left) = left else { return attempt.await };
        match within(&clock, left, attempt).await {
            Some(attempted) => attempted,
            None => Err(Outage::Failed(too_late("the time for reconnecting is over".to_owned()))),
        }
    })
}

fn too_late(message: String) -> Error {
    Error::new(ErrorKind::Timeout, message)
}
