//! [`CloseWith`]: the closing handshake, with a code and a reason.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{close::CloseCode, error::Error, ext::Duplex};

/// The future of [`ConnectionExt::close_with`](crate::ConnectionExt::close_with).
///
/// # Examples
///
/// ```
/// use wsweave::{CloseCode, CloseWith, Connection, ConnectionExt, Pipe};
///
/// let (mut conn, _peer) = Connection::pair();
/// let _closing: CloseWith<'_, Connection<Pipe>> = conn.close_with(CloseCode::NORMAL, "bye");
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct CloseWith<'a, C: ?Sized> {
    conn: &'a mut C,
    code: CloseCode,
    reason: &'a str,
}

impl<'a, C: ?Sized> CloseWith<'a, C> {
    pub(super) fn new(conn: &'a mut C, code: CloseCode, reason: &'a str) -> Self {
        Self { conn, code, reason }
    }
}

impl<C: Duplex + ?Sized> Future for CloseWith<'_, C> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Self { conn, code, reason } = &mut *self;
        // Closing is idempotent: at every poll but the first this only checks the code.
        Pin::new(&mut **conn).peer().begin_close(*code, reason)?;
        Pin::new(&mut **conn).poll_close(cx)
    }
}
