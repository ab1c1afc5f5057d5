//! [`Status`]: whether there is a broker.

use std::time::Instant;

use crate::error::Error;

/// Whether there is a connection to the broker: see [`Backplane::status`](crate::Backplane::status).
///
/// # Examples
///
/// ```no_run
/// use wsweave_backplane::Status;
///
/// # fn example(backplane: &wsweave_backplane::Backplane) {
/// if let Status::Disconnected { since, error } = backplane.status() {
///     println!("alone for {:?}: {error}", since.elapsed());
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Status {
    /// The connection is there; the topics are being subscribed.
    Connecting,
    /// The connection is there, and the topics of the local members are subscribed.
    Connected,
    /// The connection is lost, and tried again and again.
    Disconnected {
        /// When it was lost.
        since: Instant,
        /// Why it was, or why the last attempt has failed.
        error: Error,
    },
    /// The backplane was closed.
    Closed,
}
