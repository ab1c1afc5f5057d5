//! [`Driver`]: moves bytes between a transport and the [`Core`]. One poll does it all.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use super::{
    core::{Core, Decoding},
    timers::{Expired, Situation, Timers},
    turn::{Turn, WRITE_MARK},
    wakers::{Half, Wakers},
    wire::Wire,
};
use crate::{
    close::{CloseFrame, Finish},
    config::{Config, Role},
    error::{Error, ErrorKind},
    ext::Event,
    protocol::{Closing, Origin},
};

/// A transport and what is needed to drive a connection over it.
#[derive(Debug)]
pub(super) struct Driver<S> {
    pub(super) wire: Wire<S>,
    pub(super) core: Core,
    pub(super) timers: Timers,
    wakers: Wakers,
    turn: Turn,
    /// Whether the stream half waits for room to write.
    stream_waits_to_write: bool,
}

/// How far a step may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    All,
    /// Reading waits: what was read has not been taken yet.
    WriteOnly,
}

/// What a step came to.
#[derive(Debug)]
enum Step {
    Event(Event),
    /// Something moved: there may be more to do.
    Progress,
    /// Nothing moves until the waker is woken.
    Blocked,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Progress,
    /// The transport has nothing more for now.
    Blocked,
    /// Not now, whatever the transport has.
    Held,
}

impl<S> Driver<S> {
    pub(super) fn new(io: S, role: Role, config: Arc<Config>, read: &[u8]) -> Self {
        Self {
            wire: Wire::new(io),
            timers: Timers::new(&config),
            core: Core::new(role, config, read),
            wakers: Wakers::default(),
            turn: Turn::default(),
            stream_waits_to_write: false,
        }
    }

    /// Whether the peer may still be sending to a side that has failed: closing TCP on that would
    /// reset it, and our Close be lost.
    fn wants_draining(&self) -> bool {
        let finish = self.core.closing().finish();
        let failed = finish.is_some_and(|finish| !finish.clean && finish.sent.is_some());
        failed && self.wire.input_is_open() && !self.wire.output_is_open()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// The next event; `None` at the end.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_half(Half::Stream, cx, |driver, cx| {
            loop {
                if let Some(event) = driver.core.inbox.pop() {
                    return Poll::Ready(Some(event));
                }
                match driver.step(Half::Stream, Scope::All, cx) {
                    Step::Event(event) => return Poll::Ready(Some(event)),
                    Step::Progress => {}
                    Step::Blocked => return Poll::Pending,
                    Step::Ended => return Poll::Ready(None),
                }
            }
        })
    }

    /// Drives until the end without taking an event; one message at most is read, until the closing
    /// handshake has begun.
    pub(super) fn poll_end(&mut self, half: Half, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_until(half, cx, |driver| driver.core.closing().finish().map(drop))
    }

    /// Waits for room for a message.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let done = |driver: &Self| match driver.core.send_error() {
            Some(error) => Some(Err(error)),
            None => (driver.core.outgoing.len() < driver.core.config.outbox_size).then_some(Ok(())),
        };
        if self.turn.is_full(self.core.outgoing.len()) {
            self.try_write(cx);
        }
        match done(self) {
            Some(result) => Poll::Ready(result),
            None => self.poll_until(Half::Sink, cx, done),
        }
    }

    /// Writes all messages and pings that were queued.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let done = |driver: &Self| match driver.core.closing() {
            Closing::Failing(finish) | Closing::Severed(finish) | Closing::Ended(finish) => {
                Some(finish.failure().map_or(Ok(()), Err))
            }
            _ => (driver.core.outgoing.payloads_written() && driver.wire.is_flushed())
                .then_some(Ok(())),
        };
        if done(self).is_none() {
            // Reading is for when writing would block: two peers that both push must not lock each
            // other up.
            self.try_write(cx);
        }
        self.poll_until(Half::Sink, cx, done)
    }

    /// Begins the closing handshake if that has not been done, and waits for the end.
    pub(super) fn poll_close(
        &mut self,
        close: CloseFrame,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if self.core.is_open() {
            self.core.begin_close(close);
        }
        self.poll_end(Half::Sink, cx)
            .map(|()| self.core.finish().and_then(Finish::failure).map_or(Ok(()), Err))
    }

    /// What is left to do after a drop: the end, and what may be lost by closing TCP too early.
    pub(super) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_end(Half::Sink, cx).is_pending() {
            return Poll::Pending;
        }
        while self.wants_draining() {
            if self.poll_read(cx) != Reading::Progress || self.turn.is_over() {
                let situation = Situation { closing: true, write_blocked: false, reading: false };
                match self.timers.poll(cx, &self.core.config, situation) {
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return self.turn.yield_now(cx),
                }
            }
        }
        Poll::Ready(())
    }

    fn poll_until<T>(
        &mut self,
        half: Half,
        cx: &mut Context<'_>,
        done: impl Fn(&Self) -> Option<T>,
    ) -> Poll<T> {
        self.poll_half(half, cx, |driver, cx| {
            loop {
                if let Some(done) = done(driver) {
                    return Poll::Ready(done);
                }
                let waits = driver.core.inbox.holds_message() && driver.core.is_open();
                let scope = if waits { Scope::WriteOnly } else { Scope::All };
                match driver.step(half, scope, cx) {
                    Step::Event(event) => {
                        driver.core.inbox.push(event);
                        if half == Half::Sink {
                            driver.wakers.wake_other(half);
                        }
                    }
                    Step::Progress | Step::Ended => {}
                    Step::Blocked => return done(driver).map_or(Poll::Pending, Poll::Ready),
                }
            }
        })
    }

    /// Writes for the sink half what can be written now.
    fn try_write(&mut self, cx: &mut Context<'_>) {
        let _ = self
            .with_transport_waker(Half::Sink, cx, |driver, cx| driver.poll_write(Half::Sink, cx));
    }

    /// Polls for one half.
    fn poll_half<T>(
        &mut self,
        half: Half,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let result = self.with_transport_waker(half, cx, poll);
        match result {
            Poll::Ready(_) => self.wakers.ready(half),
            Poll::Pending => {
                self.wakers.wait(half, cx.waker());
                if half == Half::Stream {
                    self.stream_waits_to_write = !self.core.outgoing.is_empty();
                }
            }
        }
        if self.core.take_news() {
            self.wakers.wake_other(half);
        }
        result
    }

    fn with_transport_waker<T>(
        &mut self,
        half: Half,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Self, &mut Context<'_>) -> T,
    ) -> T {
        match self.wakers.for_transport(half, cx.waker()) {
            None => poll(self, cx),
            Some(shared) => poll(self, &mut Context::from_waker(&shared)),
        }
    }

    /// One step: decode what has arrived, else read; when reading would block, write.
    fn step(&mut self, half: Half, scope: Scope, cx: &mut Context<'_>) -> Step {
        if self.core.closing().finish().is_some() {
            // As far as that goes without waiting.
            let _ = self.wire.poll_shut(cx);
            return Step::Ended;
        }
        if self.turn.is_over() {
            self.turn = Turn::default();
            cx.waker().wake_by_ref();
            return self.write_and_wait(half, Reading::Progress, cx);
        }
        let mut reading = Reading::Held;
        if scope == Scope::All {
            if self.core.closing().reads_data() && !self.core.replies_overflow() {
                match self.core.decode() {
                    Decoding::Event(event) => return self.pass(event),
                    Decoding::Frame => {
                        self.turn.frame();
                        return Step::Progress;
                    }
                    Decoding::Starved => {}
                }
            }
            if self.turn.write_is_due(self.core.outgoing.len()) {
                let _ = self.poll_write(half, cx);
            }
            reading = self.poll_read(cx);
            if reading == Reading::Progress {
                return Step::Progress;
            }
        }
        let held = scope == Scope::All && reading == Reading::Held && self.wire.input_is_open();
        match self.write_and_wait(half, reading, cx) {
            // There may be room for reading again.
            Step::Blocked if held && !self.core.replies_overflow() => Step::Progress,
            step => step,
        }
    }

    /// Reading waits: everything that is queued goes out, and what follows from that is done.
    fn write_and_wait(&mut self, half: Half, reading: Reading, cx: &mut Context<'_>) -> Step {
        let written = self.poll_write_with_outbox(half, cx);
        if self.core.closing().finish().is_some() {
            // The write failed.
            return Step::Progress;
        }
        if written.is_ready() && self.poll_shut(cx).is_ready() {
            return Step::Progress;
        }
        if matches!(self.core.closing(), Closing::Severed(_)) && reading != Reading::Progress {
            // What the peer sent before is read.
            self.core.end(None);
            return Step::Progress;
        }
        let open = self.core.closing().is_open();
        let situation = Situation {
            closing: !open,
            write_blocked: written.is_pending(),
            reading: open && reading == Reading::Blocked,
        };
        match self.timers.poll(cx, &self.core.config, situation) {
            Poll::Ready(expired) => {
                self.expire(expired);
                Step::Progress
            }
            Poll::Pending => {
                self.turn = Turn::default();
                Step::Blocked
            }
        }
    }

    /// Writes all that is queued, and what handles have asked for.
    fn poll_write_with_outbox(&mut self, half: Half, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(outbox) = self.core.outbox() {
            outbox.register(cx.waker());
        }
        loop {
            let room = self.core.outgoing.len() < WRITE_MARK.min(self.core.config.outbox_size);
            let took = room && self.core.take_from_outbox();
            let written = self.poll_write(half, cx);
            // Handles may have asked for more meanwhile.
            if written.is_pending() || room && !took {
                return written;
            }
        }
    }

    fn pass(&mut self, event: Event) -> Step {
        match &event {
            Event::Message(_) => {}
            Event::Pong(payload) => {
                self.turn.frame();
                self.timers.pong(payload);
            }
            _ => self.turn.frame(),
        }
        Step::Event(event)
    }

    /// Reads once.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Reading {
        let takes_data = self.core.closing().reads_data();
        if !self.wire.input_is_open() || takes_data && self.core.replies_overflow() {
            return Reading::Held;
        }
        let core = &mut self.core;
        let read = self.wire.poll_read(cx, |data| {
            if takes_data {
                core.feed(data);
            }
        });
        match read {
            Poll::Pending => return Reading::Blocked,
            Poll::Ready(Ok(0)) => self.core.end_of_input(),
            Poll::Ready(Ok(len)) => {
                self.turn.read(len);
                self.timers.heard();
            }
            Poll::Ready(Err(error)) => self.core.end(Some(error.into())),
        }
        Reading::Progress
    }

    /// Writes all that is queued.
    fn poll_write(&mut self, half: Half, cx: &mut Context<'_>) -> Poll<()> {
        while !self.core.outgoing.is_empty() {
            if self.turn.is_over() {
                return self.turn.yield_now(cx);
            }
            match self.wire.poll_write(cx, &mut self.core.outgoing) {
                Poll::Pending => {
                    self.turn.write_blocked(self.core.outgoing.len());
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return self.write_failed(error),
                Poll::Ready(Ok(len)) => {
                    self.turn.wrote(len);
                    self.timers.wrote();
                    if half == Half::Stream || self.stream_waits_to_write {
                        self.wakers.wake_other(half);
                    }
                }
            }
        }
        match ready!(self.wire.poll_flush(cx)) {
            Ok(()) => self.core.note_written(),
            Err(error) => return self.write_failed(error),
        }
        Poll::Ready(())
    }

    fn write_failed(&mut self, error: io::Error) -> Poll<()> {
        self.core.sever(error.into());
        Poll::Ready(())
    }

    /// Everything is written: ends our side of the transport if it is time for that.
    fn poll_shut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = match (self.core.closing(), self.core.role) {
            (Closing::Failing(_), _) | (Closing::Complete { .. }, Role::Server) => true,
            // RFC 6455, section 7.1.1: the server ends TCP first.
            (Closing::Complete { .. }, Role::Client) => !self.wire.input_is_open(),
            _ => false,
        };
        if !due {
            return Poll::Pending;
        }
        ready!(self.wire.poll_shut(cx));
        self.core.end(None);
        Poll::Ready(())
    }

    fn expire(&mut self, expired: Expired) {
        let error = match expired {
            Expired::Closing => "the closing handshake took too long",
            Expired::Write => "a write made no progress in time",
            Expired::Silence => "no answer to keepalive",
            Expired::Keepalive(payload) => {
                // Refused only once the connection is closing, when there is no keepalive.
                let _ = self.core.ping(payload.to_vec().into(), Origin::Protocol);
                return;
            }
        };
        self.core.end(Some(Error::new(ErrorKind::Timeout, error)));
    }
}
