//! [`Registration`]: how to take a callback off.

use std::fmt;

use crate::ext::Callbacks;

/// One callback's place in a [`Callbacks`] registry.
///
/// Dropping it cancels nothing. It keeps neither the callback nor the connection alive.
///
/// # Examples
///
/// ```
/// use wsweave::{Connection, ConnectionExt};
///
/// let (conn, _peer) = Connection::pair();
/// let (_conn, callbacks) = conn.callbacks();
/// let registration = callbacks.on_each(|_, message| println!("{message:?}"));
/// registration.cancel();
/// registration.cancel(); // idempotent
/// ```
#[derive(Clone)]
pub struct Registration {
    callbacks: Callbacks,
    id: u64,
}

impl Registration {
    pub(super) fn new(callbacks: Callbacks, id: u64) -> Self {
        Self { callbacks, id }
    }

    /// Takes the callback off, at once: if a message is just passing the callbacks and has not
    /// reached this one, it never will.
    ///
    /// From another thread it does not wait for a running call. The callback is dropped here, or when
    /// its running call returns. Cancelling again, or after the end, does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let (_conn, callbacks) = conn.callbacks();
    /// callbacks.on_finish(|finish| println!("{finish}")).cancel();
    /// ```
    pub fn cancel(&self) {
        self.callbacks.cancel(self.id);
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("id", &self.id).finish_non_exhaustive()
    }
}
