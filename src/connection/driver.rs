//! [`Driver`]: moves bytes between a transport and the [`Core`]. One poll does it all; this file says
//! for whom, [`step`](super::step) what.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use super::{
    core::{Core, Reader},
    step::{Reading, Scope, Step},
    timers::{Situation, Timers},
    turn::Turn,
    wakers::Half,
    wire::Wire,
};
use crate::{
    close::{CloseFrame, Finish},
    config::{Config, Role},
    error::Error,
    ext::Event,
    message::Message,
    protocol::Closing,
    rt,
    stats::{OpenFor, Stats},
};

/// A transport and what is needed to drive a connection over it.
#[derive(Debug)]
pub(super) struct Driver<S> {
    pub(super) wire: Wire<S>,
    pub(super) core: Core,
    pub(super) timers: Timers,
    pub(super) turn: Turn,
    /// Whether the stream half waits for room to write.
    pub(super) stream_waits_to_write: bool,
}

impl<S> Driver<S> {
    pub(super) fn new(io: S, role: Role, config: Arc<Config>, read: &[u8]) -> Self {
        let timer = rt::timer(&config.clock);
        let open_for = OpenFor::from_now(timer.clone());
        Self {
            wire: Wire::new(io),
            timers: Timers::new(timer),
            core: Core::new(role, config, read, open_for),
            turn: Turn::default(),
            stream_waits_to_write: false,
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.core.stats();
        stats.queued += self.core.outbox.as_ref().map_or(0, |outbox| outbox.size());
        stats.latency = self.timers.latency();
        stats.open_for = self.core.open_for.get();
        stats
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
    /// The next message of a burst: what has arrived needs neither the transport nor a clock, and as
    /// long as nobody else wants something, no look at wakers.
    #[inline]
    pub(super) fn next_arrived(&mut self) -> Option<Message> {
        if self.core.wakers.nobody_waits() { self.next_whole() } else { None }
    }

    /// The next message, if nothing is to be done but to take it.
    #[inline]
    fn next_whole(&mut self) -> Option<Message> {
        if self.core.is_starved() || self.turn.is_over() || !self.core.is_calm() {
            return None;
        }
        let message = self.core.next_message()?;
        self.turn.delivered();
        self.core.decoder.settle();
        Some(message)
    }

    /// The next event; `None` at the end.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_half(Half::Stream, cx, |driver, cx| {
            loop {
                if let Some(event) = driver.take_from_inbox() {
                    return Poll::Ready(Some(event));
                }
                if let Some(message) = driver.next_whole() {
                    return Poll::Ready(Some(Event::Message(message)));
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

    /// Drives until the end without taking an event.
    pub(super) fn poll_end(&mut self, half: Half, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_until(half, cx, |driver| driver.core.closing().finish().map(drop))
    }

    /// Waits for room for a message.
    #[inline]
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let queued = self.core.outgoing.len();
        let room = queued < self.core.outbox_size() && !self.turn.is_full(queued);
        let calm = self.core.wakers.nobody_waits() && self.core.is_calm();
        if room && self.core.has_window() && calm {
            return Poll::Ready(Ok(()));
        }
        self.poll_room_or_write(cx)
    }

    fn poll_room_or_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let done = |driver: &Self| match driver.core.send_error() {
            Some(error) => Some(Err(error)),
            None => driver.core.has_room().then_some(Ok(())),
        };
        self.core.heed_abort();
        if self.turn.is_full(self.core.outgoing.len()) {
            self.try_write(cx);
        }
        if let Some(result) = done(self) {
            self.core.wakers.ready(Half::Sink);
            return Poll::Ready(result);
        }
        self.poll_until(Half::Sink, cx, done)
    }

    /// Writes all that the sink and hooks have sent.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let done = |driver: &Self| match driver.core.closing() {
            Closing::Failing(finish) | Closing::Severed(finish) | Closing::Ended(finish) => {
                Some(finish.failure().map_or(Ok(()), Err))
            }
            _ => (driver.core.outgoing.is_flushed() && driver.wire.is_flushed()).then_some(Ok(())),
        };
        self.core.heed_abort();
        if done(self).is_none() {
            // Reading is for when writing would block: two peers that both push must not lock each
            // other up.
            self.try_write(cx);
        }
        match done(self) {
            Some(result) if self.core.closing().is_open() => {
                self.core.wakers.ready(Half::Sink);
                Poll::Ready(result)
            }
            _ => self.poll_until(Half::Sink, cx, done),
        }
    }

    /// Begins the closing handshake if that has not been done, and waits for the end.
    pub(super) fn poll_close(
        &mut self,
        close: CloseFrame,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.core.end_for_good();
        if self.core.accepts() {
            self.core.begin_close(close);
        }
        self.poll_end(Half::Sink, cx)
            .map(|()| self.core.ending().and_then(Finish::failure).map_or(Ok(()), Err))
    }

    /// What is left to do after a drop: the end, and what may be lost by closing TCP too early.
    pub(super) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_end(Half::Sink, cx));
        while self.wants_draining() {
            if self.turn.is_over() || self.poll_read(cx) != Reading::Open {
                self.core.listen_to_handles(cx.waker());
                let situation = Situation {
                    closing: true,
                    write_blocked: false,
                    listening: false,
                    asks_at: None,
                };
                let expired = self.timers.poll(cx, &self.core.config, situation).is_ready();
                if expired || self.core.is_aborted() {
                    break;
                }
                self.turn.end(cx);
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    #[inline]
    pub(super) fn take_from_inbox(&mut self) -> Option<Event> {
        if self.core.inbox.is_empty() || self.core.replies_overflow() {
            return None;
        }
        let event = self.core.inbox.pop()?;
        if matches!(event, Event::Message(_)) {
            self.turn.delivered();
        }
        // The sink half may read on.
        self.core.wakers.wake_other(Half::Stream);
        Some(event)
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
                let Some(scope) = driver.scope(half) else {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                };
                match driver.step(half, scope, cx) {
                    Step::Event(event) => driver.keep(event, half),
                    Step::Progress | Step::Ended => {}
                    Step::Blocked => return done(driver).map_or(Poll::Pending, Poll::Ready),
                }
            }
        })
    }

    /// How far a half may go that takes no events.
    ///
    /// While messages are sure to be taken, one that waits is enough. When we are closing and nobody
    /// may ever take them, reading goes on for the peer's Close, and the inbox drops what is too much;
    /// `None`: a reader that was woken should get its chance first, once.
    fn scope(&mut self, half: Half) -> Option<Scope> {
        let inbox = &self.core.inbox;
        match self.core.reader {
            _ if !inbox.holds_message() || self.core.is_given_up() => Some(Scope::All),
            // The pong that makes room may be behind messages.
            _ if self.core.awaits_answer() && !inbox.is_full() => Some(Scope::All),
            _ if half == Half::Stream || self.core.accepts() => Some(Scope::WriteOnly),
            _ if !inbox.is_full() => Some(Scope::All),
            Reader::Present => Some(Scope::WriteOnly),
            Reader::Absent => (!self.core.wakers.take_call()).then_some(Scope::All),
        }
    }

    /// Keeps an event for the stream half.
    fn keep(&mut self, event: Event, half: Half) {
        let dropped = self.core.is_given_up() || self.core.inbox.is_full();
        if dropped && matches!(event, Event::Message(_)) {
            self.turn.frame();
        }
        if self.core.is_given_up() {
            return;
        }
        self.core.inbox.push(event);
        if half == Half::Sink {
            self.core.wakers.wake_other(half);
        }
    }

    /// Writes for the sink half what can be written now.
    fn try_write(&mut self, cx: &mut Context<'_>) {
        self.with_transport_waker(Half::Sink, cx, |driver, cx| driver.poll_write(Half::Sink, cx));
    }

    /// Polls for one half.
    #[inline]
    pub(super) fn poll_half<T>(
        &mut self,
        half: Half,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if half == Half::Stream {
            let closing = !self.core.closing().is_open();
            self.core.reader = if closing { Reader::Present } else { Reader::Absent };
        }
        let result = self.with_transport_waker(half, cx, poll);
        match result {
            Poll::Ready(_) => {
                self.core.decoder.settle();
                self.core.wakers.ready(half);
            }
            Poll::Pending => {
                self.core.decoder.rest();
                self.core.wakers.wait(half, cx.waker());
                self.core.note_stats(self.timers.latency());
                if half == Half::Stream {
                    self.stream_waits_to_write = !self.core.outgoing.is_empty();
                }
            }
        }
        if self.core.closing().finish().is_some() {
            // As far as that goes without waiting.
            let _ = self.wire.poll_shut(cx);
            self.core.note_stats(self.timers.latency());
        }
        result
    }

    #[inline]
    fn with_transport_waker<T>(
        &mut self,
        half: Half,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Self, &mut Context<'_>) -> T,
    ) -> T {
        self.core.heed_abort();
        match self.core.wakers.for_transport(half, cx.waker()) {
            None => poll(self, cx),
            Some(shared) => poll(self, &mut Context::from_waker(&shared)),
        }
    }
}
