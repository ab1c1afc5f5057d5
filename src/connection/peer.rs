//! [`Peer`]: the connection as a hook sees it.

use std::mem;

use bytes::Bytes;

use super::{
    core::{Core, Hook, Reader},
    handle::Handle,
    outbox::Take,
    wakers::Half,
};
use crate::{
    close::{CloseCode, CloseFrame, Finish},
    error::Error,
    ext::{Callbacks, HookResult},
    message::Message,
    protocol::{Closing, Origin, Violation},
};

/// The connection as a hook sees it.
///
/// What a hook sends is queued, in order, before the message that it was called for is delivered; it
/// goes out in one write with what else is queued, when reading would block at the latest. Nothing
/// here waits, locks or allocates beyond the queue.
///
/// # Examples
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use wsweave::{Connection, ConnectionExt, Message, Peer};
///
/// fn echo(peer: &mut Peer<'_>, message: &Message) {
///     peer.send(message.clone());
/// }
///
/// # async_std::task::block_on(async {
/// let (us, mut peer) = Connection::pair();
/// let echoing = us.on_each(echo).run();
/// let talk = async {
///     peer.send("hello".into()).await?;
///     assert_eq!(peer.next().await, Some("hello".into()));
///     peer.close().await
/// };
/// let (finish, talked) = futures::join!(echoing, talk);
/// assert!(finish.clean && talked.is_ok());
/// # });
/// ```
#[derive(Debug)]
pub struct Peer<'a> {
    core: &'a mut Core,
    callbacks: Option<&'a Callbacks>,
    unhook: bool,
}

impl<'a> Peer<'a> {
    pub(super) fn new(core: &'a mut Core) -> Self {
        Self { core, callbacks: None, unhook: false }
    }

    /// Queues a message.
    ///
    /// Once the connection is closing the message is dropped: [`is_open`](Self::is_open) tells. It
    /// cannot wait, so it may pass the outbox's high-water mark; no further message is read until
    /// there is room again. A hook that sends 16 MiB beyond the mark fails the connection with 1011.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// let (conn, _peer) = Connection::pair();
    /// let conn = conn.on_next(|peer, _| peer.send("welcome"));
    /// ```
    pub fn send(&mut self, message: impl Into<Message>) {
        self.core.send_from_hook(message.into());
    }

    /// Queues a ping (RFC 6455, section 5.5.2).
    ///
    /// A payload beyond 125 bytes counts as the hook's `Err`. Once the connection is closing nothing
    /// happens.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// let (conn, _peer) = Connection::pair();
    /// let conn = conn.on_each(|peer, _| peer.ping("still there?"));
    /// ```
    pub fn ping(&mut self, payload: impl Into<Bytes>) {
        self.core.ping_from_hook(payload.into());
    }

    /// Begins the closing handshake (RFC 6455, section 7.1.2), behind what is queued.
    ///
    /// The remaining hooks still run, and so do all for the messages that arrive before the peer's
    /// Close. A second close changes nothing. The reason is cut to 123 bytes at a character's
    /// boundary; a code that must not be on the wire counts as the hook's `Err`.
    ///
    /// ```
    /// # use wsweave::{CloseCode, Connection, ConnectionExt};
    /// let (conn, _peer) = Connection::pair();
    /// let conn = conn.on_each(|peer, message| {
    ///     if message.is_binary() {
    ///         peer.close_with(CloseCode::UNSUPPORTED_DATA, "text only");
    ///     }
    /// });
    /// ```
    pub fn close_with(&mut self, code: impl Into<CloseCode>, reason: &str) {
        if let Err(error) = self.begin_close(code.into(), reason) {
            self.fail(error);
        }
    }

    /// Ends the connection without a word to the peer.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// let (conn, _peer) = Connection::pair();
    /// let conn = conn.on_next(|peer, _| peer.abort());
    /// ```
    pub fn abort(&mut self) {
        self.core.end_for_good();
        self.core.abort();
    }

    /// Tells whether messages can still be sent.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// let (conn, _peer) = Connection::pair();
    /// let conn = conn.on_each(|peer, _| {
    ///     peer.abort();
    ///     assert!(!peer.is_open());
    /// });
    /// ```
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.core.accepts_from_hook()
    }

    /// A [`Handle`] for other tasks and threads, made on first use.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// let (conn, _peer) = Connection::pair();
    /// let mut handles = Vec::new();
    /// let conn = conn.on_next(move |peer, _| handles.push(peer.handle()));
    /// ```
    #[must_use]
    pub fn handle(&mut self) -> Handle {
        Handle::new(self.core.share_outbox())
    }

    /// The subprotocol that the opening handshake agreed on.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// let (conn, _peer) = Connection::pair();
    /// let conn = conn.on_each(|peer, _| assert_eq!(peer.subprotocol(), None));
    /// ```
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.core.opening.as_ref()?.subprotocol()
    }

    /// Takes off the hook that is running: it is not called again.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// let (conn, _peer) = Connection::pair();
    /// let conn = conn.on_each(|peer, message| {
    ///     if message.as_text() == Some("login") {
    ///         peer.unhook();
    ///     }
    /// });
    /// ```
    pub fn unhook(&mut self) {
        self.unhook = true;
    }

    /// The registry of the connection, if it was made with
    /// [`callbacks`](crate::ConnectionExt::callbacks) nearer to the connection than the hook.
    ///
    /// ```
    /// # use wsweave::{Connection, ConnectionExt};
    /// let (conn, _peer) = Connection::pair();
    /// let (conn, callbacks) = conn.callbacks();
    /// callbacks.on_next(|peer, _| {
    ///     let callbacks = peer.callbacks().expect("this is one");
    ///     callbacks.on_each(|peer, message| peer.send(message.clone()));
    /// });
    /// ```
    #[must_use]
    pub fn callbacks(&self) -> Option<Callbacks> {
        self.callbacks.cloned()
    }

    /// The peer of a connection with a registry.
    pub(crate) fn with_callbacks(self, callbacks: &'a Callbacks) -> Self {
        Self { callbacks: Some(callbacks), ..self }
    }

    /// Runs a hook: an `Err` from it fails the connection. Returns whether the hook stays.
    pub(crate) fn run<R: HookResult>(&mut self, hook: impl FnOnce(&mut Self) -> R) -> bool {
        match self.watch(hook).into_result() {
            // The hook tried to send while the connection was closing: no failure of its own.
            Err(error) if error.is_caused_by_closing() && self.core.is_closing() => {}
            Err(error) => self.fail(error),
            Ok(()) => {}
        }
        !mem::take(&mut self.unhook)
    }

    /// Runs code of the user's: a panic in it is known to the drop.
    pub(crate) fn watch<T>(&mut self, code: impl FnOnce(&mut Self) -> T) -> T {
        let before = mem::replace(&mut self.core.hook, Hook::Running);
        let output = code(self);
        self.core.hook = before;
        output
    }

    /// Queues what handles have sent, as replies to what was read: too many of them stop reading.
    pub(crate) fn queue_from_handles(&mut self) {
        if self.core.heeds_outbox() {
            self.core.take_from_outbox(Origin::Hook, Take::Handles);
        }
    }

    /// Fails the connection with 1011.
    pub(crate) fn fail(&mut self, error: Error) {
        self.core.fail(error);
    }

    /// Fails the connection with 1008.
    pub(crate) fn forbid(&mut self, error: Error) {
        self.core.fail_for(Violation { code: CloseCode::POLICY_VIOLATION, error });
    }

    pub(crate) fn begin_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.pass_on(CloseFrame::sendable(code, reason)?);
        Ok(())
    }

    /// Begins the closing handshake with the Close of another connection, be it an empty one.
    pub(crate) fn pass_on(&mut self, close: CloseFrame) {
        self.core.end_for_good();
        if self.is_open() {
            self.core.begin_close(close);
        }
    }

    /// Begins the closing handshake for one who goes on reading: a flush waits for the Close, too, and
    /// what arrives before the peer's waits to be read, however much it is.
    pub(crate) fn end_sending(&mut self) {
        self.pass_on(CloseFrame::NORMAL);
        self.core.outgoing.flush_all();
        self.core.reader = Reader::Present;
    }

    /// How the connection ends, once there are the Closes of both sides and all that came before is taken:
    /// what is left is to write ours, if that is not yet clean, and the end of TCP.
    pub(crate) fn closed(&self) -> Option<Finish> {
        let core = &self.core;
        let closed = matches!(core.closing, Closing::Complete { .. })
            && !core.lasts()
            && !core.inbox.holds_message();
        closed.then(|| core.closing.given_up(CloseCode::NORMAL, core.outgoing.is_empty()))
    }

    /// Wakes whoever waits for a message: when there is none, they write what is queued.
    pub(crate) fn wake_reader(&mut self) {
        self.core.wakers.wake_other(Half::Sink);
    }

    pub(crate) fn try_ping(&mut self, payload: Bytes) -> Result<(), Error> {
        self.core.ping(payload)
    }

    pub(crate) fn forget_head(&mut self) {
        if let Some(opening) = &mut self.core.opening {
            opening.forget_head();
        }
    }
}
