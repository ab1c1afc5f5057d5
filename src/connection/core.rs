//! [`Core`]: the connection without its transport: what hooks can reach.

use std::{mem, sync::Arc, thread};

use bytes::Bytes;

use super::{
    inbox::Inbox,
    outbox::{Item, Outbox},
};
use crate::{
    close::{CloseCode, CloseFrame, Finish},
    config::{Config, Role},
    error::{Error, ErrorKind},
    ext::Event,
    handshake::Opening,
    message::Message,
    protocol::{Closing, Decoded, Decoder, MAX_CONTROL_PAYLOAD, Origin, Outgoing, Violation},
};

/// The state of a connection, apart from input and output.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) role: Role,
    pub(super) config: Arc<Config>,
    pub(super) outgoing: Outgoing,
    pub(super) inbox: Inbox,
    pub(super) opening: Option<Box<Opening>>,
    decoder: Decoder,
    closing: Closing,
    outbox: Option<Arc<Outbox>>,
    /// The position of the last of the outbox's items that is not known to be written.
    taken: Option<u64>,
    pub(super) hook: Hook,
    /// How the connection ended for whoever gave it up; what comes later does not change it.
    given_up: Option<Finish>,
    /// The closing handshake moved on since [`take_news`](Core::take_news).
    news: bool,
}

/// Where a hook is. One that panics is never seen to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    Idle,
    Running,
}

/// What a step of decoding gave.
#[derive(Debug)]
pub(super) enum Decoding {
    Event(Event),
    /// A frame that nobody sees.
    Frame,
    /// More has to arrive first.
    Starved,
}

impl Core {
    pub(super) fn new(role: Role, config: Arc<Config>, read: &[u8]) -> Self {
        let mut decoder = Decoder::new(role);
        decoder.feed(read);
        Self {
            role,
            config,
            outgoing: Outgoing::new(role),
            inbox: Inbox::new(),
            opening: None,
            decoder,
            closing: Closing::Open,
            outbox: None,
            taken: None,
            hook: Hook::Idle,
            given_up: None,
            news: false,
        }
    }

    pub(super) fn closing(&self) -> &Closing {
        &self.closing
    }

    pub(super) fn is_open(&self) -> bool {
        self.closing.is_open() && self.given_up.is_none()
    }

    pub(super) fn finish(&self) -> Option<&Finish> {
        self.given_up.as_ref().or_else(|| self.closing.finish())
    }

    /// The error that the sink's user gets: none while open.
    pub(super) fn send_error(&self) -> Option<Error> {
        match &self.closing {
            Closing::Open => None,
            Closing::Sent(_) | Closing::Complete { .. } => Some(Error::closed()),
            Closing::Failing(finish) | Closing::Severed(finish) | Closing::Ended(finish) => {
                Some(finish.failure().unwrap_or_else(Error::closed))
            }
        }
    }

    // What goes out.

    pub(super) fn send(&mut self, message: Message, origin: Origin) {
        self.outgoing.message(message, self.config.fragment_size, origin);
    }

    /// Queues what a hook sends; beyond the hard limit the connection fails instead.
    pub(super) fn send_from_hook(&mut self, message: Message) {
        if !self.is_open() {
            return;
        }
        if self.outgoing.replies_len() > self.config.outbox_size.saturating_add(HARD_LIMIT) {
            let what = "hooks sent 16 MiB more than there is room for";
            self.fail(Error::new(ErrorKind::Hook, what));
        } else {
            self.send(message, Origin::Hook);
        }
    }

    pub(super) fn ping(&mut self, payload: Bytes, origin: Origin) -> Result<(), Error> {
        check_ping(&payload)?;
        if let Some(error) = self.send_error() {
            return Err(error);
        }
        self.outgoing.ping(payload, origin);
        Ok(())
    }

    /// Tells whether what reading made us send leaves no room for more of it.
    pub(super) fn replies_overflow(&self) -> bool {
        self.outgoing.replies_len() > self.config.outbox_size
    }

    // Handles.

    pub(super) fn outbox(&self) -> Option<&Arc<Outbox>> {
        self.outbox.as_ref()
    }

    /// The outbox for a new handle, made on first use.
    pub(super) fn share_outbox(&mut self) -> Arc<Outbox> {
        let outbox =
            self.outbox.get_or_insert_with(|| Arc::new(Outbox::new(self.config.outbox_size)));
        match self.given_up.as_ref().or_else(|| self.closing.finish()) {
            Some(finish) => outbox.end(finish.clone()),
            None if !self.closing.is_open() => outbox.seal(),
            None => {}
        }
        Arc::clone(outbox)
    }

    /// Queues what handles have asked for; returns whether that was anything.
    pub(super) fn take_from_outbox(&mut self) -> bool {
        let Some((items, position)) = self.outbox.as_ref().and_then(|outbox| outbox.take()) else {
            return false;
        };
        for item in items {
            match item {
                Item::Message(message) => self.send(message, Origin::Sink),
                Item::Ping(payload) => self.outgoing.ping(payload, Origin::Sink),
                // Always the last one.
                Item::Close(close) => self.begin_close(close),
            }
        }
        self.taken = Some(position);
        true
    }

    /// All that was queued has been written.
    pub(super) fn note_written(&mut self) {
        if let (Some(position), Some(outbox)) = (self.taken.take(), &self.outbox) {
            outbox.note_written(position);
        }
    }

    // What comes in.

    pub(super) fn feed(&mut self, data: &[u8]) {
        self.decoder.feed(data);
    }

    /// Decodes one frame and does what the protocol asks for.
    pub(super) fn decode(&mut self) -> Decoding {
        match self.decoder.decode(&self.config) {
            Ok(None) => return Decoding::Starved,
            Ok(Some(Decoded::Message(message))) => return Decoding::Event(Event::Message(message)),
            Ok(Some(Decoded::Ping(payload))) => {
                // RFC 6455, section 5.5.2; after our Close nothing may follow.
                if self.closing.is_open() {
                    self.outgoing.pong(payload.clone());
                }
                return Decoding::Event(Event::Ping(payload));
            }
            Ok(Some(Decoded::Pong(payload))) => return Decoding::Event(Event::Pong(payload)),
            Ok(Some(Decoded::Fragment)) => {}
            Ok(Some(Decoded::Close(close))) => self.receive_close(close),
            Err(violation) => self.fail_with(violation),
        }
        Decoding::Frame
    }

    // The end. Every change of `closing` goes through `change`.

    /// Begins the closing handshake, behind what was queued; later calls change nothing.
    pub(super) fn begin_close(&mut self, close: CloseFrame) {
        self.queue_last();
        let due = self.change(|closing| closing.begin(close));
        self.queue_close(due);
    }

    /// Fails the connection for a fault on our side.
    pub(super) fn fail(&mut self, error: Error) {
        self.fail_with(Violation { code: CloseCode::INTERNAL_ERROR, error });
    }

    pub(super) fn end_of_input(&mut self) {
        let interrupted = self.decoder.interrupted();
        self.change(|closing| closing.end_of_input(interrupted));
    }

    /// Nothing can be written any more.
    pub(super) fn sever(&mut self, error: Error) {
        self.outgoing.discard();
        self.change(|closing| closing.sever(error));
    }

    /// Nothing can be read or written any more.
    pub(super) fn end(&mut self, error: Option<Error>) {
        let all_written = self.outgoing.is_empty();
        self.change(|closing| closing.end(error, all_written));
    }

    pub(super) fn abort(&mut self) {
        self.change(Closing::abort);
    }

    /// Settles how the connection ended for the case that nobody drives it any more.
    pub(super) fn give_up(&mut self) -> Finish {
        if let Some(finish) = self.finish() {
            return finish.clone();
        }
        let code = if thread::panicking() || self.hook == Hook::Running {
            CloseCode::INTERNAL_ERROR
        } else {
            CloseCode::GOING_AWAY
        };
        let finish = self.closing.given_up(code);
        // What handles were promised to send still goes before the Close.
        self.queue_last();
        self.given_up = Some(finish.clone());
        if let Some(outbox) = &self.outbox {
            outbox.end(finish.clone());
        }
        finish
    }

    /// Tells whether the closing handshake moved on since the last time.
    pub(super) fn take_news(&mut self) -> bool {
        mem::take(&mut self.news)
    }

    fn receive_close(&mut self, close: CloseFrame) {
        self.queue_last();
        let due = self.change(|closing| closing.receive(close));
        self.queue_close(due);
        self.decoder.discard();
    }

    fn fail_with(&mut self, violation: Violation) {
        self.queue_last();
        let due = self.change(|closing| closing.fail(violation));
        self.queue_close(due);
    }

    /// A Close is about to be queued: what handles were promised to send goes before it.
    fn queue_last(&mut self) {
        if let (true, Some(outbox)) = (self.is_open(), self.outbox.clone()) {
            outbox.seal();
            self.take_from_outbox();
        }
    }

    fn queue_close(&mut self, close: Option<CloseFrame>) {
        if let Some(close) = close {
            self.outgoing.close(&close);
        }
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Closing) -> T) -> T {
        let settled = self.closing.settled().is_some();
        let result = change(&mut self.closing);
        self.news = true;
        if let (false, Some(finish)) = (settled, self.closing.settled()) {
            if let Some(error) = &finish.error {
                self.inbox.push(Event::Error(error.clone()));
            }
            self.decoder.discard();
        }
        match (self.closing.finish(), &self.outbox) {
            (Some(finish), outbox) => {
                tracing::debug!(%finish, "connection ended");
                self.outgoing.discard();
                if let Some(outbox) = outbox {
                    outbox.end(finish.clone());
                }
            }
            (None, Some(outbox)) if !self.closing.is_open() => outbox.seal(),
            _ => {}
        }
        result
    }
}

/// RFC 6455, section 5.5: a control frame's payload is at most 125 bytes.
pub(super) fn check_ping(payload: &[u8]) -> Result<(), Error> {
    if payload.len() <= MAX_CONTROL_PAYLOAD {
        return Ok(());
    }
    let len = payload.len();
    Err(Error::invalid_input(format!(
        "a ping of {len} bytes is over the limit of 125 (RFC 6455, section 5.5)"
    )))
}

/// How far beyond the high-water mark hooks may send.
const HARD_LIMIT: usize = 16 << 20;
