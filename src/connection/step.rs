//! What moves in a poll: one step after the other.

use std::{
    io,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use super::{
    core::Decoding,
    driver::Driver,
    outbox::Take,
    timers::{Expired, Situation},
    turn::WRITE_MARK,
    wakers::Half,
    wire::is_interrupted,
};
use crate::{
    close::{CloseCode, CloseFrame},
    config::Role,
    ext::Event,
    protocol::{Buffer, Closing, Origin},
};

/// How far a step may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    /// Reading waits: what was read has not been taken yet.
    WriteOnly,
}

/// What a step came to.
#[derive(Debug)]
pub(super) enum Step {
    Event(Event),
    /// Something moved: there may be more to do.
    Progress,
    /// Nothing moves until the waker is woken.
    Blocked,
    Ended,
}

/// Where reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// There may be more.
    Open,
    /// The transport has nothing more for now.
    Blocked,
    /// Not now, whatever the transport has: what was read, or the answers to it, wait.
    Held,
    /// The peer has ended its side.
    Ended,
}

/// Where writing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// Nothing is left to write, be it because writing failed.
    Done,
    /// The transport takes nothing more for now.
    Blocked,
    /// The task has done enough for now.
    TurnOver,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// One step: decode what has arrived, else read; when reading would block, write.
    #[inline]
    pub(super) fn step(&mut self, half: Half, scope: Scope, cx: &mut Context<'_>) -> Step {
        if self.core.closing().finish().is_some() {
            return Step::Ended;
        }
        if self.turn.is_over() {
            self.turn.end(cx);
            return self.write_and_wait(half, Reading::Open, cx);
        }
        if scope == Scope::WriteOnly {
            return self.write_and_wait(half, Reading::Held, cx);
        }
        let starved = self.core.is_starved();
        let takes_data = self.core.closing().reads_data();
        // Decided once: what is written on the way may make room, but what was not decoded for want of it
        // comes before what is read.
        let held = takes_data && self.core.replies_overflow();
        if !starved && takes_data && !held {
            match self.decode() {
                Decoding::Event(event) => return Step::Event(event),
                Decoding::Frame => return Step::Progress,
                Decoding::Last if self.core.accepts() && self.turn.has_delivered() => {
                    // `forward` holds its last message back until the stream has nothing more; after
                    // the end it would be too late to send that.
                    cx.waker().wake_by_ref();
                    return self.write_and_wait(half, Reading::Open, cx);
                }
                Decoding::Last => {
                    self.core.settle();
                    return Step::Progress;
                }
                Decoding::Starved => {}
            }
        }
        if self.turn.write_is_due(self.core.outgoing.len()) {
            self.poll_write(half, cx);
        }
        let reading = if held { Reading::Held } else { self.poll_read(cx) };
        if reading == Reading::Open {
            return Step::Progress;
        }
        if reading == Reading::Held {
            // What is written makes room for reading.
            self.poll_write(half, cx);
            if !self.core.replies_overflow() {
                return Step::Progress;
            }
        }
        match self.write_and_wait(half, reading, cx) {
            // There is room for reading again.
            Step::Blocked if reading == Reading::Held && !self.core.replies_overflow() => {
                Step::Progress
            }
            step => step,
        }
    }

    /// Reading waits: everything that is queued goes out, and what follows from that is done.
    #[inline]
    fn write_and_wait(&mut self, half: Half, reading: Reading, cx: &mut Context<'_>) -> Step {
        let was_severed = matches!(self.core.closing(), Closing::Severed(_));
        let writing = self.poll_write_with_outbox(half, cx);
        match self.core.closing() {
            Closing::Ended(_) => return Step::Progress,
            // The peer's last words may have come after the last read.
            Closing::Severed(_) if !was_severed => return Step::Progress,
            Closing::Severed(_) if matches!(reading, Reading::Blocked | Reading::Ended) => {
                // What the peer sent before is read.
                self.core.end(None);
                return Step::Progress;
            }
            _ => {}
        }
        if writing == Writing::Done && self.poll_shut(cx).is_ready() {
            return Step::Progress;
        }
        if self.core.take_stir() {
            self.timers.stirred();
        }
        let open = self.core.closing().is_open();
        let read_all = reading == Reading::Blocked;
        // To wait for the peer to say what has arrived is to wait for it to take more.
        let unanswered = open && read_all && self.core.awaits_answer();
        let situation = Situation {
            closing: !open,
            write_blocked: writing == Writing::Blocked || unanswered,
            listening: open && read_all && writing == Writing::Done && !unanswered,
            asks_at: self.core.asks_at().filter(|_| open),
        };
        match self.timers.poll(cx, &self.core.config, situation) {
            Poll::Ready(expired) => {
                self.expire(expired);
                Step::Progress
            }
            Poll::Pending => {
                self.turn.end(cx);
                Step::Blocked
            }
        }
    }

    /// Writes all that is queued, and what handles have asked for.
    #[inline]
    fn poll_write_with_outbox(&mut self, half: Half, cx: &mut Context<'_>) -> Writing {
        self.core.listen_to_handles(cx.waker());
        loop {
            let mark = WRITE_MARK.min(self.core.outbox_size());
            let room = self.core.outgoing.len() < mark;
            let takes = room && self.core.heeds_outbox() || self.core.is_urgent();
            let took = takes && self.core.take_from_outbox(Origin::Handle, Take::Bytes(mark));
            let writing = self.poll_write(half, cx);
            // Handles may have asked for more meanwhile.
            if writing != Writing::Done || room && !took {
                return writing;
            }
        }
    }

    /// Decodes one frame, and counts it.
    fn decode(&mut self) -> Decoding {
        let decoding = self.core.decode();
        self.turn.inflated(self.core.take_inflated());
        match &decoding {
            Decoding::Event(Event::Message(_)) if self.core.inbox.is_overflown() => {
                self.turn.frame();
                return Decoding::Frame;
            }
            Decoding::Event(Event::Message(_)) => self.turn.delivered(),
            Decoding::Event(Event::Pong(payload)) => {
                self.turn.frame();
                self.timers.pong(payload);
                self.core.note_pong(payload);
            }
            Decoding::Event(_) | Decoding::Frame => self.turn.frame(),
            Decoding::Last | Decoding::Starved => {}
        }
        decoding
    }

    /// Reads once.
    #[inline]
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Reading {
        let takes_data = self.core.closing().reads_data();
        if !self.wire.input_is_open() {
            return Reading::Ended;
        }
        // What is left must not keep the thread's buffer from this read.
        self.core.decoder.settle();
        let mut buffer = Buffer::lend();
        match self.wire.poll_read(cx, buffer.room()) {
            Poll::Pending => return Reading::Blocked,
            Poll::Ready(Ok(0)) => self.core.end_of_input(),
            Poll::Ready(Ok(len)) => {
                if takes_data {
                    self.core.feed(buffer, len);
                }
                self.turn.read(len);
                self.core.received.wire += len as u64;
                self.timers.heard();
            }
            Poll::Ready(Err(error)) if is_interrupted(&error) => self.turn.read(0),
            Poll::Ready(Err(error)) => self.core.end(Some(error.into())),
        }
        Reading::Open
    }

    /// Writes all that is queued.
    pub(super) fn poll_write(&mut self, half: Half, cx: &mut Context<'_>) -> Writing {
        while !self.core.outgoing.is_empty() {
            if self.turn.is_over() {
                return Writing::TurnOver;
            }
            match self.wire.poll_write(cx, &mut self.core.outgoing) {
                Poll::Pending => {
                    self.turn.write_blocked(self.core.outgoing.len());
                    if self.core.outgoing.is_flushed() {
                        // What is left is nothing that a flush waits for.
                        self.poll_wire_flush(half, cx);
                    }
                    return Writing::Blocked;
                }
                Poll::Ready(Err(error)) if is_interrupted(&error) => self.turn.wrote(0),
                Poll::Ready(Err(error)) => return self.write_failed(error),
                Poll::Ready(Ok(len)) => {
                    self.turn.wrote(len);
                    self.timers.wrote();
                    self.core.note_written();
                    self.wake_for_write(half);
                }
            }
        }
        self.poll_wire_flush(half, cx)
    }

    /// Has the transport write what it may have buffered.
    fn poll_wire_flush(&mut self, half: Half, cx: &mut Context<'_>) -> Writing {
        if self.wire.is_flushed() {
            return Writing::Done;
        }
        match self.wire.poll_flush(cx) {
            Poll::Pending => Writing::Blocked,
            Poll::Ready(Err(error)) => self.write_failed(error),
            Poll::Ready(Ok(())) => {
                self.wake_for_write(half);
                Writing::Done
            }
        }
    }

    fn write_failed(&mut self, error: io::Error) -> Writing {
        self.core.sever(error.into());
        Writing::Done
    }

    /// A write made progress: tells the other half if that waits for it.
    fn wake_for_write(&mut self, half: Half) {
        if half == Half::Stream || self.stream_waits_to_write {
            self.core.wakers.wake_other(half);
        }
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
        match expired {
            Expired::Closing => self.core.time_out("the closing handshake took too long"),
            Expired::Write => self.core.time_out("a write made no progress in time"),
            Expired::Silence => self.core.time_out("no answer to keepalive"),
            Expired::Keepalive(payload) => self.core.keepalive(payload),
            Expired::Asking => self.core.ask(),
            Expired::Idle => self.core.begin_close(CloseFrame {
                code: CloseCode::GOING_AWAY,
                reason: "idle timeout".into(),
            }),
        }
    }
}
