//! One connection after another, with the same handles and the same ledger: what
//! [`Reconnect`](crate::Reconnect) needs of a connection.

use std::{
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures_io::{AsyncRead, AsyncWrite};

use super::{Connection, Half, Ledger, core::Core, inbox::Inbox, outbox::Take};
use crate::{
    config::{Config, Role},
    error::Error,
    ext::Event,
    message::Message,
    protocol::Origin,
    socket::Socket,
};

impl Connection {
    /// The place of one that is still to come: nothing is sent or received.
    pub(crate) fn absent(config: Arc<Config>, ledger: Ledger) -> Self {
        let mut conn = Self::from_parts(Socket::new(Absent), &[], Role::Client, config);
        conn.driver_mut().core.ledger = Some(Box::new(ledger));
        conn
    }

    /// Puts an absent one in the place of this one, which has ended.
    pub(crate) fn vacate(&mut self, config: Arc<Config>) {
        self.replace(Self::from_parts(Socket::new(Absent), &[], Role::Client, config));
        if let Some(ledger) = &mut self.driver_mut().core.ledger {
            ledger.disconnect();
        }
    }

    /// Puts `next` in the place of this one, which is absent.
    pub(crate) fn occupy(&mut self, next: Self) {
        self.replace(next);
        let driver = self.driver_mut();
        if let Some(ledger) = &mut driver.core.ledger {
            ledger.connect(driver.timers.timer().cloned());
        }
    }

    fn replace(&mut self, next: Self) {
        let mut last = mem::replace(self, next);
        let (old, new) = (&mut last.driver_mut().core, &mut self.driver_mut().core);
        new.outbox = old.outbox.take();
        new.ledger = old.ledger.take();
        if let Some(outbox) = &new.outbox {
            outbox.hand_over(new.open_for.clone());
        }
        new.inbox.widen(new.ledger.as_ref().map_or(0, |ledger| ledger.limit()));
        // Whoever waits comes back, to wait for the next one.
        old.wakers.wake_all();
        let waiting = mem::replace(&mut old.inbox, Inbox::new());
        new.inbox.inherit(waiting);
    }

    /// Waits beside the connection, for what is no part of it, or for a handle that asks for the end.
    pub(crate) fn poll_beside<T>(
        &mut self,
        half: Half,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.driver_mut().poll_half(half, cx, |driver, cx| {
            driver.core.listen_to_handles(cx.waker());
            poll(cx)
        })
    }

    /// The next message of a burst.
    pub(crate) fn next_arrived(&mut self) -> Option<Message> {
        self.driver_mut().next_arrived()
    }

    /// Takes out what went wrong, if nobody has heard of it.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        self.driver_mut().core.inbox.take_error()
    }

    /// What was read before and waits.
    pub(crate) fn take_waiting(&mut self) -> Option<Event> {
        self.driver_mut().take_from_inbox()
    }

    /// Drives the connection to its end without taking events.
    pub(crate) fn poll_over(&mut self, half: Half, cx: &mut Context<'_>) -> Poll<()> {
        self.driver_mut().poll_end(half, cx)
    }

    /// Whether no Close has been sent or received, nor anything else ended it.
    pub(crate) fn is_open(&self) -> bool {
        self.driver().core.closing().is_open()
    }

    /// Why it has failed, be it that there is nothing to send that over.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.driver().core.closing().settled()?.failure()
    }

    /// Whether nobody has it any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.driver().core.is_given_up()
    }

    /// Whether somebody has asked for the end.
    pub(crate) fn is_ending_for_good(&mut self) -> bool {
        self.driver_mut().core.heed_handles()
    }

    /// No other connection follows.
    pub(crate) fn end_for_good(&mut self) {
        self.driver_mut().core.end_for_good();
    }

    /// No other connection follows, and `error` is why if this one has not ended by itself. What may be
    /// lost, or was not sent, can be [taken](Self::take_lost).
    pub(crate) fn conclude(&mut self, error: Option<Error>) {
        self.driver_mut().core.conclude(error);
    }

    /// Whether something may be lost.
    pub(crate) fn has_lost(&self) -> bool {
        self.driver().core.ledger.as_ref().is_some_and(|ledger| ledger.has_lost())
    }

    /// What may be lost, in order.
    pub(crate) fn take_lost(&mut self) -> Vec<Message> {
        let core = &mut self.driver_mut().core;
        core.wakers.wake_all();
        core.ledger.as_mut().map_or_else(Vec::new, |ledger| ledger.take_lost())
    }
}

/// The ledger's part in sending; a connection that none follows has no ledger.
impl Core {
    /// Whether another connection takes over what cannot be sent on this one.
    #[inline]
    pub(super) fn lasts(&self) -> bool {
        self.ledger.as_ref().is_some_and(|ledger| !ledger.is_for_good())
    }

    /// No other connection follows: somebody has asked for the end.
    pub(super) fn end_for_good(&mut self) {
        if let Some(ledger) = &mut self.ledger {
            ledger.end_for_good();
        }
    }

    /// Whether there is something to send over, closing or not.
    pub(super) fn has_link(&self) -> bool {
        self.ledger.as_ref().is_none_or(|ledger| ledger.is_connected())
    }

    /// Whether there is room for what may be lost with the connection.
    #[inline]
    pub(super) fn has_window(&self) -> bool {
        self.ledger.as_ref().is_none_or(|ledger| ledger.has_room())
    }

    /// Whether the peer has to say first what has arrived.
    pub(super) fn awaits_answer(&self) -> bool {
        self.ledger.as_ref().is_some_and(|ledger| ledger.awaits_answer())
    }

    /// Sends what goes to the next connection if it may not have arrived when this one ends.
    #[cold]
    pub(super) fn send_on_record(&mut self, message: Message, origin: Origin) {
        let Some(ledger) = &mut self.ledger else { return };
        let sends = ledger.is_connected() && self.closing.is_open();
        ledger.keep(message.clone(), sends);
        if origin != Origin::Hook {
            // It waited for room, and is not to keep hooks, which cannot, from sending.
            ledger.stretch();
        }
        if sends {
            self.outgoing.message(message, self.config.fragment_size, origin);
            self.ask();
        }
    }

    /// Asks the peer what has arrived, if it is time for that.
    #[cold]
    pub(super) fn ask(&mut self) {
        let ledger = self.ledger.as_mut().filter(|_| self.closing.is_open());
        if let Some(payload) = ledger.and_then(|ledger| ledger.ask()) {
            // Other pongs than ours may make us ask: too many of them stop reading.
            self.outgoing.ping(payload, Origin::Protocol);
        }
    }

    /// When to ask next.
    #[inline]
    pub(super) fn asks_at(&self) -> Option<Instant> {
        self.ledger.as_ref()?.due()
    }

    /// A pong came: perhaps it says what has arrived.
    pub(super) fn note_pong(&mut self, payload: &[u8]) {
        let Some(ledger) = &mut self.ledger else { return };
        if ledger.pong(payload) {
            self.wakers.wake_all();
        }
        self.ask();
    }

    /// Where nothing drives the connection: does what a handle asks for to end it. Tells whether that,
    /// or somebody else, has ended it for good.
    pub(super) fn heed_handles(&mut self) -> bool {
        self.heed_abort();
        if self.is_asked_to_end() {
            self.end_for_good();
            self.take_from_outbox(Origin::Handle, Take::All);
        }
        !self.lasts()
    }
}

/// The transport of a connection that is not there.
struct Absent;

impl AsyncRead for Absent {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Absent {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
