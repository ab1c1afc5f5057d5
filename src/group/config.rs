//! [`GroupConfig`]: the limits of a group, and its clock.

use std::{fmt, sync::Arc};

use crate::config::{Clock, Timer};

/// The limits of a [`Group`](crate::Group), and its clock.
///
/// # Examples
///
/// ```
/// use wsweave::{Group, GroupConfig};
///
/// let group = Group::with_config(GroupConfig::default().max_memberships(10_000));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct GroupConfig {
    /// The longest name of a topic, in bytes. 255.
    pub max_topic_len: usize,
    /// How many memberships a connection can have, in all groups together. 1,000. Those that were left
    /// count until what they wait for is written, and their drop has returned.
    pub max_memberships: usize,
    /// How many bytes of what is published may wait for a connection, for its memberships in all groups
    /// together; they count as for [`LagPolicy::max_bytes`](crate::LagPolicy::max_bytes). 16 MiB. Beyond that a
    /// membership's policy does what it does beyond its own bound. It never drops what waits for another
    /// membership: where that leaves no room, it drops the new message, or closes the connection if it is
    /// [`disconnect`](crate::LagPolicy::disconnect).
    pub max_waiting: usize,
    /// How many [changes](crate::Group::changes) wait for one who does not read them. 1,024.
    pub max_changes: usize,
    pub(super) clock: Clock,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            max_topic_len: 255,
            max_memberships: 1_000,
            max_waiting: 16 << 20,
            max_changes: 1_024,
            clock: Clock::Ambient,
        }
    }
}

impl GroupConfig {
    /// Sets [`max_topic_len`](#structfield.max_topic_len).
    ///
    /// ```
    /// assert_eq!(wsweave::GroupConfig::default().max_topic_len(64).max_topic_len, 64);
    /// ```
    #[must_use]
    pub fn max_topic_len(mut self, bytes: usize) -> Self {
        self.max_topic_len = bytes;
        self
    }

    /// Sets [`max_memberships`](#structfield.max_memberships).
    ///
    /// ```
    /// assert_eq!(wsweave::GroupConfig::default().max_memberships(8).max_memberships, 8);
    /// ```
    #[must_use]
    pub fn max_memberships(mut self, memberships: usize) -> Self {
        self.max_memberships = memberships;
        self
    }

    /// Sets [`max_waiting`](#structfield.max_waiting).
    ///
    /// ```
    /// assert_eq!(wsweave::GroupConfig::default().max_waiting(1 << 20).max_waiting, 1 << 20);
    /// ```
    #[must_use]
    pub fn max_waiting(mut self, bytes: usize) -> Self {
        self.max_waiting = bytes;
        self
    }

    /// Sets [`max_changes`](#structfield.max_changes).
    ///
    /// ```
    /// assert_eq!(wsweave::GroupConfig::default().max_changes(64).max_changes, 64);
    /// ```
    #[must_use]
    pub fn max_changes(mut self, changes: usize) -> Self {
        self.max_changes = changes;
        self
    }

    /// Sets the clock of [`drain`](crate::Group::drain). The default is that of the runtime around the
    /// caller.
    ///
    /// See [`Timer`] for an example.
    #[must_use]
    pub fn timer(mut self, timer: impl Timer) -> Self {
        self.clock = Clock::Given(Arc::new(timer));
        self
    }
}

impl fmt::Debug for GroupConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupConfig")
            .field("max_topic_len", &self.max_topic_len)
            .field("max_memberships", &self.max_memberships)
            .field("max_waiting", &self.max_waiting)
            .field("max_changes", &self.max_changes)
            .finish_non_exhaustive()
    }
}
