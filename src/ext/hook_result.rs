//! [`HookResult`]: what a hook may return.

use crate::error::{BoxError, Error};

/// What a hook may return: `()`, or a `Result<(), E>` with any error type.
///
/// An `Err` fails the connection with close code 1011, and [`Finish`](crate::Finish) carries the error.
/// Two kinds of `Err` change nothing of how the connection ends:
///
/// - [`Closed`](crate::ErrorKind::Closed) from this crate, once the connection is closing. A hook that
///   passes on, with `?`, that its [`Handle`](crate::Handle) was too late to send has not failed.
/// - Any other one after the connection has ended, as in a future of
///   [`on_each_async`](crate::ConnectionExt::on_each_async) that outlives it. It reaches
///   [`on_error`](crate::ConnectionExt::on_error), but `Finish` was settled before.
///
/// Sealed.
///
/// # Examples
///
/// A closure that uses `?` names its type; one that diverges says `-> ()`:
///
/// ```
/// use wsweave::{Connection, ConnectionExt};
///
/// let (conn, _peer) = Connection::pair();
/// let conn = conn
///     .on_each(|peer, message| -> Result<(), std::num::ParseIntError> {
///         let number: u64 = message.as_text().unwrap_or_default().parse()?;
///         peer.send((number + 1).to_string());
///         Ok(())
///     })
///     .on_next(|_, message| -> () { panic!("unexpected {message:?}") });
/// ```
///
/// An `async` block cannot name its type. Its last expression does, and an `async` closure can:
///
/// ```
/// use wsweave::{Connection, ConnectionExt, Error};
///
/// let (conn, _peer) = Connection::pair();
/// let conn = conn
///     .on_each_async(|handle, message| async move {
///         handle.send(message).await?;
///         Ok::<_, Error>(())
///     })
///     .on_each_async(async |_, message| -> () { panic!("unexpected {message:?}") });
/// ```
pub trait HookResult: sealed::Sealed {
    #[doc(hidden)]
    fn into_result(self) -> Result<(), Error>;
}

impl HookResult for () {
    fn into_result(self) -> Result<(), Error> {
        Ok(())
    }
}

impl<E: Into<BoxError>> HookResult for Result<(), E> {
    fn into_result(self) -> Result<(), Error> {
        self.map_err(|error| Error::hook(error.into()))
    }
}

mod sealed {
    #[allow(unnameable_types, reason = "that is what seals a trait")]
    pub trait Sealed {}
    impl Sealed for () {}
    impl<E> Sealed for Result<(), E> {}
}
