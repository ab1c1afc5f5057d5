//! How a connection ends: every change of [`Closing`] is here.

use std::thread;

use super::{
    core::{Core, Hook},
    outbox::{Item, Take},
};
use crate::{
    close::{CloseCode, CloseFrame, Finish},
    error::{Error, ErrorKind},
    ext::Event,
    protocol::{Closing, Origin, Violation},
};

impl Core {
    /// Answers the last frame.
    pub(super) fn settle(&mut self) {
        match self.last.take() {
            Some(Ok(close)) => self.receive_close(close),
            Some(Err(violation)) => self.fail_with(violation),
            None => {}
        }
    }

    /// Begins the closing handshake, behind what was queued; later calls change nothing.
    pub(super) fn begin_close(&mut self, close: CloseFrame) {
        self.heed_abort();
        self.queue_last();
        let due = self.change(|closing| closing.begin(close));
        self.queue_close(due);
    }

    /// Fails the connection for a fault on our side.
    pub(super) fn fail(&mut self, error: Error) {
        self.fail_for(Violation { code: CloseCode::INTERNAL_ERROR, error });
    }

    /// Fails the connection for something that the protocol knows nothing of.
    pub(super) fn fail_for(&mut self, violation: Violation) {
        if !self.closing.reads_data() {
            // Too late to change how it ended, but not to be heard of.
            self.inbox.push(Event::Error(violation.error));
            return;
        }
        self.fail_with(violation);
    }

    pub(super) fn end_of_input(&mut self) {
        let interrupted = self.decoder.interrupted();
        self.change(|closing| closing.end_of_input(interrupted));
    }

    /// Nothing can be written any more.
    pub(super) fn sever(&mut self, error: Error) {
        self.outgoing.discard();
        self.taken.clear();
        self.change(|closing| closing.sever(error));
    }

    /// Something took too long.
    pub(super) fn time_out(&mut self, what: &'static str) {
        let error = Error::new(ErrorKind::Timeout, what);
        match self.closing {
            // What the peer sent before is still read.
            Closing::Open | Closing::Sent(_) => self.sever(error),
            _ => self.end(Some(error)),
        }
    }

    /// Nothing can be read or written any more.
    pub(super) fn end(&mut self, error: Option<Error>) {
        let all_written = self.outgoing.is_empty();
        self.change(|closing| closing.end(error, all_written));
    }

    pub(super) fn abort(&mut self) {
        let all_written = self.outgoing.is_empty();
        self.change(|closing| closing.abort(all_written));
    }

    /// Settles how the connection ended for the case that nobody drives it any more.
    pub(super) fn give_up(&mut self) -> Finish {
        self.heed_abort();
        self.end_for_good();
        if let Some(finish) = self.ending().cloned() {
            if let Some(outbox) = &self.outbox {
                outbox.end(finish.clone());
            }
            return finish;
        }
        // What handles were promised to send still goes before the Close, or is that itself.
        self.queue_last();
        let code = if thread::panicking() || self.hook == Hook::Running {
            CloseCode::INTERNAL_ERROR
        } else {
            CloseCode::GOING_AWAY
        };
        let finish = self.closing.given_up(code, self.outgoing.is_empty());
        self.given_up = Some(finish.clone());
        self.open_for.end();
        if let Some(outbox) = &self.outbox {
            outbox.end(finish.clone());
        }
        finish
    }

    /// No other connection follows, and `error` is why if this one has not ended by itself.
    pub(super) fn conclude(&mut self, error: Option<Error>) {
        self.end_for_good();
        let Some(outbox) = self.outbox.clone() else { return self.end_unless_ended(error) };
        outbox.seal();
        let (items, _, _retired) = outbox.take(Take::All).unwrap_or_default();
        for item in items {
            let message = match item {
                Item::Message(message) => message,
                Item::Published(published) => published.message().clone(),
                Item::Ping(_) | Item::Close(_) | Item::Tickets(..) => continue,
            };
            if let Some(ledger) = &mut self.ledger {
                ledger.keep(message, false);
            }
        }
        self.end_unless_ended(error);
        if let Some(finish) = self.ending() {
            outbox.end(finish.clone());
        }
    }

    fn end_unless_ended(&mut self, error: Option<Error>) {
        if self.closing.finish().is_none() {
            self.end(error);
        }
        if let Some(ledger) = &mut self.ledger {
            ledger.disconnect();
        }
    }

    fn receive_close(&mut self, close: CloseFrame) {
        self.log.received_close(&close);
        if let (Closing::Sent(sent), Some(ledger)) = (&self.closing, &mut self.ledger) {
            // It answers ours, unless both sides have begun with the same words.
            if sent.code == close.code {
                ledger.settle_all();
            }
        }
        self.drop_published();
        self.queue_last();
        let due = self.change(|closing| closing.receive(close));
        self.queue_close(due);
        self.decoder.discard();
    }

    fn fail_with(&mut self, violation: Violation) {
        self.log.failed(&violation);
        self.drop_published();
        self.queue_last();
        let due = self.change(|closing| closing.fail(violation));
        self.queue_close(due);
    }

    /// The peer takes nothing more, or is not to be trusted: what groups have published nobody was promised.
    fn drop_published(&self) {
        if let (false, Some(outbox)) = (self.lasts(), &self.outbox) {
            outbox.drop_published();
        }
    }

    /// A Close is about to be queued: what handles were promised to send goes before it.
    fn queue_last(&mut self) {
        if self.lasts() {
            // It goes to the next connection.
            return;
        }
        if let (true, Some(outbox)) = (self.accepts(), self.outbox.clone()) {
            outbox.seal();
            self.take_from_outbox(Origin::Handle, Take::All);
        }
    }

    fn queue_close(&mut self, close: Option<CloseFrame>) {
        if let Some(close) = close {
            self.log.queued_close(&close);
            self.outgoing.close(&close);
        }
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Closing) -> T) -> T {
        let settled = self.closing.settled().is_some();
        let ended = self.closing.finish().is_some();
        let result = change(&mut self.closing);
        if !settled && self.closing.settled().is_some() {
            self.on_settled();
        }
        if !ended && self.closing.finish().is_some() {
            self.on_ended();
        }
        if let (false, Some(outbox)) = (self.closing.is_open() || self.lasts(), &self.outbox) {
            outbox.seal();
        }
        self.wakers.wake_all();
        result
    }

    /// Nothing more is read as data.
    fn on_settled(&mut self) {
        self.decoder.discard();
        if let Some(error) = self.closing.settled().and_then(|finish| finish.error.clone()) {
            self.inbox.push(Event::Error(error));
        }
    }

    fn on_ended(&mut self) {
        self.outgoing.discard();
        self.open_for.end();
        if let Some(finish) = self.closing.finish() {
            self.log.ended(finish);
            if let (false, Some(outbox)) = (self.lasts(), &self.outbox) {
                outbox.end(finish.clone());
            }
        }
    }
}
