//! [`Core`]: the connection without its transport: what hooks can reach.

use std::{collections::VecDeque, mem, sync::Arc, task::Waker, time::Duration};

use bytes::Bytes;

use super::{
    inbox::Inbox,
    ledger::Ledger,
    log::Log,
    outbox::{Item, Outbox, Take},
    wakers::Wakers,
};
use crate::{
    close::{CloseFrame, Finish},
    compression::AgreedCompression,
    config::{Config, Role},
    error::{Error, ErrorKind},
    ext::Event,
    handshake::Opening,
    message::Message,
    protocol::{
        Buffer, Closing, Decoded, Decoder, Deflater, Inflater, MAX_CONTROL_PAYLOAD, Origin,
        Outgoing, Published, Violation,
    },
    stats::{OpenFor, Stats, Traffic},
};

/// The state of a connection, apart from input and output.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) role: Role,
    pub(super) config: Arc<Config>,
    pub(super) outgoing: Outgoing,
    pub(super) inbox: Inbox,
    pub(super) wakers: Wakers,
    pub(super) opening: Option<Box<Opening>>,
    pub(super) compression: Option<AgreedCompression>,
    pub(super) decoder: Decoder,
    /// A Close, or a broken rule, that has not been dealt with.
    pub(super) last: Option<Result<CloseFrame, Violation>>,
    pub(super) closing: Closing,
    pub(super) outbox: Option<Arc<Outbox>>,
    /// Of a connection that another one may follow.
    pub(super) ledger: Option<Box<Ledger>>,
    /// What was taken from the outbox and is not written: up to which item, and up to where in
    /// `outgoing`.
    pub(super) taken: VecDeque<(u64, u64)>,
    pub(super) hook: Hook,
    pub(super) log: Log,
    pub(super) received: Traffic,
    pub(super) open_for: OpenFor,
    pub(super) reader: Reader,
    /// Whether a message, or a part of one, has come or gone since that was last asked.
    stirred: bool,
    /// How the connection ended for whoever gave it up; what comes later does not change it.
    pub(super) given_up: Option<Finish>,
}

/// Where a hook is. One that panics is never seen to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    Idle,
    Running,
}

/// Whether somebody takes the messages that arrive while we are closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Nobody has polled the stream half since the Close was queued.
    Absent,
    /// Somebody has, or has said that they will.
    Present,
}

/// What a step of decoding gave.
#[derive(Debug)]
pub(super) enum Decoding {
    Event(Event),
    /// A frame that nobody sees.
    Frame,
    /// The last frame to be decoded: [`Core::settle`] does what it asks for.
    Last,
    /// More has to arrive first.
    Starved,
}

impl Core {
    pub(super) fn new(role: Role, config: Arc<Config>, read: &[u8], open_for: OpenFor) -> Self {
        Self {
            role,
            config,
            outgoing: Outgoing::new(role),
            inbox: Inbox::new(),
            wakers: Wakers::default(),
            opening: None,
            compression: None,
            decoder: Decoder::new(role, read),
            last: None,
            closing: Closing::Open,
            outbox: None,
            ledger: None,
            taken: VecDeque::new(),
            hook: Hook::Idle,
            log: Log::new(role),
            received: Traffic { wire: read.len() as u64, ..Traffic::default() },
            open_for,
            reader: Reader::Absent,
            stirred: false,
            given_up: None,
        }
    }

    /// Compresses as both sides have agreed.
    pub(super) fn compress(&mut self, agreed: AgreedCompression) {
        let (client, server) = (agreed.window(Role::Client), agreed.window(Role::Server));
        let (ours, theirs) = match self.role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        self.compression = Some(agreed);
        let settings = self.config.compression.clone().unwrap_or_default();
        self.outgoing.deflate_with(Deflater::new(settings, ours));
        self.decoder.inflate_with(Inflater::new(theirs));
    }

    pub(super) fn closing(&self) -> &Closing {
        &self.closing
    }

    /// Whether anything more is accepted for sending.
    pub(super) fn accepts(&self) -> bool {
        self.closing.is_open() && self.given_up.is_none()
    }

    /// Whether there is room for a message.
    pub(super) fn has_room(&self) -> bool {
        self.outgoing.len() < self.outbox_size() && self.has_window()
    }

    /// Whether it is closing, be it that a handle has asked for that and it is not yet done.
    pub(super) fn is_closing(&self) -> bool {
        !self.accepts() || self.is_asked_to_end()
    }

    /// Whether a handle has asked for the end, or nothing more is accepted of them.
    pub(super) fn is_asked_to_end(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| !outbox.is_open())
    }

    /// Whether what handles have sent is to be taken now: it waits for a connection, and for room for what
    /// may be lost with that. A Close among it waits for neither.
    #[inline]
    pub(super) fn heeds_outbox(&self) -> bool {
        self.has_link() && self.has_window() || self.is_asked_to_end()
    }

    /// Whether nobody has the connection any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.is_some()
    }

    /// How the connection ended, as far as its user is concerned.
    pub(super) fn ending(&self) -> Option<&Finish> {
        self.given_up.as_ref().or_else(|| self.closing.finish())
    }

    /// The high-water mark of what waits to be sent: something has to fit.
    #[inline]
    pub(super) fn outbox_size(&self) -> usize {
        self.config.outbox_size.max(1)
    }

    /// The error that the sink's user gets: none while open.
    #[inline]
    pub(super) fn send_error(&self) -> Option<Error> {
        if self.closing.is_open() { None } else { self.end_error() }
    }

    fn end_error(&self) -> Option<Error> {
        match &self.closing {
            Closing::Open => None,
            Closing::Sent(_) | Closing::Complete { .. } => Some(Error::closed()),
            Closing::Failing(finish) | Closing::Severed(finish) | Closing::Ended(finish) => {
                Some(finish.failure().unwrap_or_else(Error::closed))
            }
        }
    }

    /// Tells whether a message, or a part of one, has come or gone since the last call.
    pub(super) fn take_stir(&mut self) -> bool {
        mem::take(&mut self.stirred)
    }

    /// How many bytes have been inflated since the last call.
    pub(super) fn take_inflated(&mut self) -> usize {
        self.decoder.take_inflated()
    }

    pub(super) fn send(&mut self, message: Message, origin: Origin) {
        self.stirred = true;
        self.log.queued(&message);
        if self.ledger.is_some() {
            return self.send_on_record(message, origin);
        }
        self.outgoing.message(message, self.config.fragment_size, origin);
    }

    /// Sends what a group has published, in a frame that its members share. It is no fault of a hook whose
    /// message goes behind it.
    fn send_published(&mut self, published: &Published, origin: Origin) {
        let origin = if origin == Origin::Hook { Origin::Group } else { origin };
        if self.ledger.is_some() {
            return self.send(published.message().clone(), origin);
        }
        self.stirred = true;
        self.log.queued(published.message());
        self.outgoing.published(published, self.config.fragment_size, origin);
    }

    /// Queues what a hook sends; beyond the hard limit the connection fails instead.
    pub(super) fn send_from_hook(&mut self, message: Message) {
        if self.hook_may_send() {
            self.send(message, Origin::Hook);
        }
    }

    pub(super) fn ping_from_hook(&mut self, payload: Bytes) {
        if let Err(error) = check_ping(&payload) {
            self.fail(error);
        } else if self.hook_may_send() && self.has_link() {
            self.outgoing.ping(payload, Origin::Hook);
        }
    }

    pub(super) fn ping(&mut self, payload: Bytes) -> Result<(), Error> {
        check_ping(&payload)?;
        if let Some(error) = self.send_error() {
            return Err(error);
        }
        if !self.has_link() {
            return Err(Error::new(ErrorKind::Full, "there is no connection to ping over"));
        }
        if self.outgoing.len() >= self.outbox_size() {
            return Err(Error::new(ErrorKind::Full, "there is no room for a ping"));
        }
        self.outgoing.ping(payload, Origin::Sink);
        Ok(())
    }

    pub(super) fn keepalive(&mut self, payload: [u8; 8]) {
        self.outgoing.ping(Bytes::copy_from_slice(&payload), Origin::Protocol);
    }

    /// Tells whether what reading made us send leaves no room for more of it.
    #[inline]
    pub(super) fn replies_overflow(&self) -> bool {
        let most = self.outbox_size();
        self.outgoing.replies_len() > most || self.outgoing.backlog_len() > most
    }

    fn hook_may_send(&mut self) -> bool {
        let (unsettled, window) = match &self.ledger {
            Some(ledger) => (ledger.size(), ledger.window()),
            None => (0, 0),
        };
        let replies = self.outgoing.replies_len().saturating_sub(self.outbox_size().max(window));
        if replies.max(unsettled.saturating_sub(window)) > HARD_LIMIT {
            let what = "hooks sent 16 MiB more than there is room for";
            self.fail(Error::new(ErrorKind::Hook, what));
            return false;
        }
        self.accepts_from_hook()
    }

    /// Whether what a hook sends is sent, or goes to the next connection.
    pub(super) fn accepts_from_hook(&self) -> bool {
        self.accepts() || self.lasts()
    }

    /// Has `waker` woken when a handle asks for something, and does what cannot wait of that.
    #[inline]
    pub(super) fn listen_to_handles(&mut self, waker: &Waker) {
        if let Some(outbox) = &self.outbox {
            outbox.register(waker);
        }
        self.heed_abort();
    }

    /// Ends the connection if a handle has asked for that.
    #[inline]
    pub(super) fn heed_abort(&mut self) {
        if self.is_aborted() && self.closing.finish().is_none() {
            self.abort();
        }
    }

    /// Whether a handle has asked for the end.
    #[inline]
    pub(super) fn is_aborted(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.is_aborted())
    }

    /// The outbox for a new handle, made on first use.
    pub(super) fn share_outbox(&mut self) -> Arc<Outbox> {
        if self.outbox.is_none() {
            // Whoever waits has not registered with it.
            self.wakers.wake_all();
        }
        let limit = self.outbox_size();
        let outbox =
            self.outbox.get_or_insert_with(|| Arc::new(Outbox::new(limit, self.open_for.clone())));
        let outbox = Arc::clone(outbox);
        match self.ending() {
            _ if self.lasts() => {}
            Some(finish) => outbox.end(finish.clone()),
            None if !self.closing.is_open() => outbox.seal(),
            None => {}
        }
        outbox
    }

    /// What has gone over the connection, without what only the timers know, and handles have queued.
    pub(super) fn stats(&self) -> Stats {
        Stats {
            received: self.received,
            sent: self.outgoing.sent(),
            queued: self.outgoing.len(),
            ..Stats::default()
        }
    }

    /// Tells handles what has gone over the connection.
    pub(super) fn note_stats(&self, latency: Option<Duration>) {
        if let Some(outbox) = &self.outbox {
            outbox.note_stats(Stats { latency, ..self.stats() });
        }
    }

    /// Queues what handles have asked for, and what groups have published; returns whether that was anything.
    #[inline]
    pub(super) fn take_from_outbox(&mut self, origin: Origin, how_much: Take) -> bool {
        let outbox = self.outbox.as_ref().filter(|_| self.closing.is_open());
        let taken = outbox.and_then(|outbox| outbox.take(how_much));
        let Some((items, position, _retired)) = taken else {
            return false;
        };
        for item in items {
            match item {
                Item::Message(message) => self.send(message, origin),
                Item::Published(published) => self.send_published(&published, origin),
                Item::Ping(payload) if self.has_link() => self.outgoing.ping(payload, origin),
                Item::Ping(_) | Item::Tickets(..) => {}
                // Always the last one.
                Item::Close(close) => {
                    self.end_for_good();
                    self.begin_close(close);
                }
            }
        }
        self.taken.push_back((position, self.outgoing.end()));
        // It may have been nothing to write.
        self.note_written();
        true
    }

    /// Whether handles or groups ask for what cannot wait for room.
    pub(super) fn is_urgent(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.is_urgent())
    }

    /// Tells handles what has been written.
    #[inline]
    pub(super) fn note_written(&mut self) {
        let mut written = None;
        while let Some(&(position, end)) = self.taken.front() {
            if end > self.outgoing.written() {
                break;
            }
            written = Some(position);
            self.taken.pop_front();
        }
        if let (Some(position), Some(outbox)) = (written, &self.outbox) {
            outbox.note_written(position);
        }
    }

    /// Takes in `len` bytes that were read into `buffer`.
    pub(super) fn feed(&mut self, buffer: Buffer, len: usize) {
        self.stirred |= self.decoder.in_frame();
        self.decoder.feed(buffer, len);
    }

    /// Whether all that has arrived is decoded and dealt with.
    #[inline]
    pub(super) fn is_starved(&self) -> bool {
        self.last.is_none() && self.decoder.is_starved()
    }

    /// Whether nothing is going on: what was read has been taken, and no end is near.
    #[inline]
    pub(super) fn is_calm(&self) -> bool {
        self.closing.is_open()
            && self.last.is_none()
            && self.given_up.is_none()
            && self.inbox.is_empty()
            && !self.replies_overflow()
            && !self.is_aborted()
    }

    /// The next message, if it is there in one frame.
    #[inline]
    pub(super) fn next_message(&mut self) -> Option<Message> {
        let message = self.decoder.next_message(&self.config)?;
        self.stirred = true;
        self.received.frames += 1;
        self.note_received(&message);
        Some(message)
    }

    #[inline]
    fn note_received(&mut self, message: &Message) {
        self.received.message(message.len());
        self.log.received(message);
    }

    /// Decodes one frame and does what the protocol asks for.
    pub(super) fn decode(&mut self) -> Decoding {
        if self.last.is_some() {
            return Decoding::Last;
        }
        let decoded = self.decoder.decode(&self.config);
        self.received.frames += u64::from(matches!(decoded, Ok(Some(_))));
        match decoded {
            Ok(None) => return Decoding::Starved,
            Ok(Some(Decoded::Message(message))) => {
                self.stirred = true;
                self.note_received(&message);
                return Decoding::Event(Event::Message(message));
            }
            Ok(Some(Decoded::Ping(payload))) => {
                // RFC 6455, section 5.5.2; after our Close nothing may follow.
                if self.closing.is_open() {
                    self.outgoing.pong(payload.clone());
                }
                return Decoding::Event(Event::Ping(payload));
            }
            Ok(Some(Decoded::Pong(payload))) => return Decoding::Event(Event::Pong(payload)),
            Ok(Some(Decoded::Fragment)) => {
                self.stirred = true;
                return Decoding::Frame;
            }
            Ok(Some(Decoded::Close(close))) => self.last = Some(Ok(close)),
            Err(violation) => self.last = Some(Err(violation)),
        }
        Decoding::Last
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
