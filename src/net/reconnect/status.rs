//! [`Status`]: how it stands with a reconnecting client.

use std::time::Instant;

use super::Outage;
use crate::error::Error;

/// How it stands with a [`Reconnect`](crate::Reconnect).
///
/// # Examples
///
/// ```
/// use wsweave::{Client, ReconnectPolicy, Status};
///
/// let conn = Client::new("ws://example.com/feed")?
///     .reconnect(ReconnectPolicy::default())
///     .on_status(|status| match status {
///         Status::Waiting { outage, .. } => eprintln!("offline: {outage}"),
///         Status::GaveUp(error) => eprintln!("offline for good: {error}"),
///         status => eprintln!("{status:?}"),
///     });
/// assert!(matches!(conn.status(), Status::Connecting { attempt: 1 }));
/// # Ok::<_, wsweave::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Status {
    /// An attempt is under way, or begins with the next poll.
    Connecting {
        /// Its number in a row: see [`ReconnectPolicy::max_attempts`](crate::ReconnectPolicy::max_attempts).
        attempt: u32,
    },
    /// There is a connection.
    Open,
    /// The next attempt waits.
    #[non_exhaustive]
    Waiting {
        /// When it begins, by the clock of the client's [`Config`](crate::Config::timer).
        until: Instant,
        /// What it waits after.
        outage: Outage,
    },
    /// It is over: the policy allows no more attempts, and this was the last error.
    GaveUp(Error),
    /// It is over: closed on our side, or cleanly by the peer with a code that does not ask for more.
    Closed,
}
