//! [`Callbacks`]: the registry.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, PoisonError},
};

use crate::{
    close::Finish,
    connection::Peer,
    error::Error,
    ext::{
        HookResult,
        callbacks::{
            lists::{
                EachCallback, ErrorCallback, FinishCallback, List, Lists, NextCallback, Stage,
            },
            registration::Registration,
        },
    },
    message::Message,
    sync::{Mutex, MutexGuard},
};

/// Registers callbacks on a running connection, from anywhere: from
/// [`ConnectionExt::callbacks`](crate::ConnectionExt::callbacks), and inside a callback from
/// [`Peer::callbacks`].
///
/// Clones share the registry. It does not keep the connection alive.
///
/// - A message passes the `on_next` callbacks first, then the `on_each` callbacks, each kind in the
///   order of registration, and then reaches the stream's consumer.
/// - What is registered during a message starts with the following one.
/// - A callback may register and cancel, itself included: no lock is held while one runs or is dropped.
/// - An `Err` from a callback fails the connection with 1011; the remaining callbacks still run. A
///   panic unwinds to whoever polls the connection; the callback that panicked is off.
/// - At the end the `on_finish` callbacks run one after another, on the thread that the connection ends
///   on; then no callback is left: one that holds a `Callbacks` makes no leak.
///
/// # Examples
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use wsweave::{Connection, ConnectionExt};
///
/// # async_std::task::block_on(async {
/// let (conn, mut peer) = Connection::pair();
/// let (conn, callbacks) = conn.callbacks();
/// callbacks.on_next(|peer, message| {
///     peer.send(format!("hello, {}", message.as_text().unwrap_or("you")));
///     let callbacks = peer.callbacks().unwrap();
///     callbacks.on_each(|peer, message| peer.send(message.clone()));
/// });
///
/// let talk = async {
///     peer.send("Ada".into()).await.unwrap();
///     assert_eq!(peer.next().await, Some("hello, Ada".into()));
///     peer.send("echo".into()).await.unwrap();
///     assert_eq!(peer.next().await, Some("echo".into()));
///     peer.close().await.unwrap();
/// };
/// let (finish, ()) = futures::join!(conn.run(), talk);
/// assert!(finish.clean);
/// # });
/// ```
#[derive(Clone, Default)]
pub struct Callbacks(Arc<Mutex<Lists>>);

impl Callbacks {
    /// Calls `callback` with every message from the following one on.
    ///
    /// After the end this does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let (_conn, callbacks) = conn.callbacks();
    /// callbacks.on_each(|peer, message| {
    ///     if message.as_text() == Some("enough") {
    ///         peer.unhook();
    ///     }
    /// });
    /// ```
    pub fn on_each<F, R>(&self, mut callback: F) -> Registration
    where
        F: FnMut(&mut Peer<'_>, &Message) -> R + Send + 'static,
        R: HookResult,
    {
        let callback: EachCallback =
            Box::new(move |peer, message| peer.run(|peer| callback(peer, message)));
        self.register(|lists| &mut lists.each, Some(callback))
    }

    /// Calls `callback` with the following message, once, before the callbacks of
    /// [`on_each`](Self::on_each).
    ///
    /// After the end this does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let (_conn, callbacks) = conn.callbacks();
    /// callbacks.on_next(|_, message| println!("the first: {message:?}"));
    /// ```
    pub fn on_next<F, R>(&self, callback: F) -> Registration
    where
        F: FnOnce(&mut Peer<'_>, &Message) -> R + Send + 'static,
        R: HookResult,
    {
        let callback: NextCallback = Box::new(move |peer, message| {
            peer.run(|peer| callback(peer, message));
        });
        self.register(|lists| &mut lists.next, callback)
    }

    /// Calls `callback` when something goes wrong, before any callback of
    /// [`on_finish`](Self::on_finish).
    ///
    /// That happens at most once. After it, this does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let (_conn, callbacks) = conn.callbacks();
    /// callbacks.on_error(|error| eprintln!("{error}"));
    /// ```
    pub fn on_error<F>(&self, callback: F) -> Registration
    where
        F: FnOnce(&Error) + Send + 'static,
    {
        let callback: ErrorCallback = Box::new(callback);
        self.register(|lists| &mut lists.error, callback)
    }

    /// Calls `callback` once, at the connection's end or at its drop; after the end, at once.
    ///
    /// While others run, for the end, it waits for its turn behind them: inside one of them, or on
    /// another thread, this returns before `callback` has run.
    ///
    /// # Panics
    ///
    /// If `callback` panics the remaining ones still run. The first panic then unwinds to whoever ran
    /// them: who polls or drops the connection, or, after the end, who registers.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{CloseCode, Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let (conn, callbacks) = conn.callbacks();
    /// drop(conn);
    /// callbacks.on_finish(|finish| assert_eq!(finish.code, CloseCode::GOING_AWAY));
    /// ```
    pub fn on_finish<F>(&self, callback: F) -> Registration
    where
        F: FnOnce(&Finish) + Send + 'static,
    {
        let callback: FinishCallback = Box::new(callback);
        self.register(|lists| &mut lists.finish, callback)
    }

    /// Runs the callbacks for a message.
    pub(super) fn message(&self, peer: &mut Peer<'_>, message: &Message) {
        // What is registered from here on starts with the following message.
        let upcoming = self.lock().upcoming;
        while let Some(callback) = self.take_first(|lists| &mut lists.next, upcoming) {
            callback(peer, message);
        }
        let (mut lists, mut at) = (self.lock(), 0);
        while let Some((id, place)) = lists.each.get_mut(at).filter(|(id, _)| *id < upcoming) {
            let Some(mut callback) = place.take() else {
                at += 1;
                continue;
            };
            drop(lists);
            if !callback(peer, message) {
                self.cancel(id);
            }
            lists = self.lock();
            at = lists.each.find(id, at);
            match lists.each.get_mut(at) {
                Some((found, place)) if found == id => {
                    *place = Some(callback);
                    at += 1;
                }
                _ => {
                    // It was cancelled. Dropping it may cancel others.
                    drop(lists);
                    drop(callback);
                    lists = self.lock();
                    at = lists.each.find(id, at);
                }
            }
        }
    }

    /// Runs the callbacks for an error.
    pub(super) fn error(&self, peer: &mut Peer<'_>, error: &Error) {
        let upcoming = self.lock().upcoming;
        while let Some(callback) = self.take_first(|lists| &mut lists.error, upcoming) {
            peer.run(|_| callback(error));
        }
    }

    /// Ends the registry: runs the callbacks for that, drops all others.
    pub(super) fn end(&self, finish: &Finish) {
        self.lock().stage = Stage::Settling;
        self.settle(finish);
    }

    /// Takes a callback off, wherever it is.
    pub(super) fn cancel(&self, id: u64) {
        let mut lists = self.lock();
        let cancelled = (
            lists.next.remove(id),
            lists.each.remove(id),
            lists.error.remove(id),
            lists.finish.remove(id),
        );
        drop(lists);
        drop(cancelled);
    }

    fn register<T>(&self, list: fn(&mut Lists) -> &mut List<T>, callback: T) -> Registration {
        let mut lists = self.lock();
        let id = lists.upcoming;
        lists.upcoming += 1;
        list(&mut lists).push(id, callback);
        let ended = lists.resume_settling();
        drop(lists);
        if let Some(finish) = ended {
            self.settle(&finish);
        }
        Registration::new(self.clone(), id)
    }

    /// Does what the end leaves to do, for the one who has made the stage `Settling`.
    fn settle(&self, finish: &Finish) {
        let mut first_panic = None;
        loop {
            let unsettled = self.lock().take_unsettled(finish);
            let Some(callback) = unsettled else { break };
            let ran = catch_unwind(AssertUnwindSafe(|| callback(finish)));
            first_panic = first_panic.or(ran.err());
        }
        if let Some(panic) = first_panic {
            resume_unwind(panic);
        }
    }

    /// Takes the first callback of a list if it was registered before number `upcoming`.
    fn take_first<T>(&self, list: fn(&mut Lists) -> &mut List<T>, upcoming: u64) -> Option<T> {
        list(&mut self.lock()).pop_first(upcoming)
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        // Nothing of a user's runs under the lock, so a panic cannot have left the lists half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}
