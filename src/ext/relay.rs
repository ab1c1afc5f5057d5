//! [`Relay`]: the messages of each of two connections go to the other.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    close::{CloseCode, CloseFrame, Finish, Initiator},
    config::Role,
    error::ErrorKind,
    ext::Duplex,
};

/// The future of [`ConnectionExt::relay`](crate::ConnectionExt::relay): passes the messages of each of two
/// connections on to the other, until both have ended; gives how.
///
/// **Backpressure.** A message is read from one side only when the other has room for it, so that no more
/// than the [outbox](crate::Config::outbox_size) of a side waits for its peer: TCP holds up the rest. Each
/// direction waits for itself. A side that is not read because the other is full is still driven: pings
/// that come before the message that waits are answered, timeouts are kept, and the messages for it go out.
///
/// **Writes** coalesce: what arrives together leaves together, when there is nothing more to read.
///
/// **Fairness.** The directions take turns of 1,024 messages, and a poll ends as it does for each connection
/// alone: a flood one way starves neither the other way nor other tasks.
///
/// **Hooks** on either connection run as ever, before a message is passed on. Pings and pongs are each
/// connection's own, and not passed on.
///
/// # The end
///
/// When one side ends, and all that it had sent is passed on, the other is closed:
///
/// - with the same code and reason, if it ends with a Close, be it the peer's or one that a hook or a
///   [`Handle`](crate::Handle) on this side sent: as soon as the peer's is there, whenever the end of TCP
///   comes. A Close without a code (1005; RFC 6455, section 7.1.5) goes on as one without a code.
/// - else with 1014, if the side that failed is one that this program had connected to, a proxy's
///   upstream: it vanished, fell silent, broke the protocol or passed a limit. In all other cases with
///   1011: a client vanished, a hook failed, somebody called [`abort`](crate::ConnectionExt::abort).
///
/// What still arrives on the other side passes its hooks and is dropped: there is nobody to send it to. That
/// closing handshake takes at most [`close_timeout`](crate::Config::close_timeout), as ever; without a
/// clock it waits for the peer.
///
/// # Cancel safety
///
/// Dropping the future drops both connections, each of which says goodbye with 1001 as a dropped
/// [`Connection`](crate::Connection) does. A message is in one of them at any time, never between: what was
/// passed on is written behind the drop, as far as such a drop can do that; what was not is lost.
///
/// # Examples
///
/// ```
/// use wsweave::{Connection, ConnectionExt, Pipe, Relay};
///
/// let (near, _client) = Connection::pair();
/// let (far, _server) = Connection::pair();
/// let _relay: Relay<Connection<Pipe>, Connection<Pipe>> = near.relay(far);
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Relay<A, B> {
    a: Side<A>,
    b: Side<B>,
}

impl<A, B> Relay<A, B> {
    pub(super) fn new(a: A, b: B) -> Self {
        Self { a: Side::new(a), b: Side::new(b) }
    }
}

impl<A: Duplex, B: Duplex> Future for Relay<A, B> {
    type Output = (Finish, Finish);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(Finish, Finish)> {
        let Self { a, b } = self.get_mut();
        // A direction that waits is left alone until the next poll: what lets it go on wakes this task.
        let (mut forth, mut back) = (Passing::More, Passing::More);
        while (forth, back) != (Passing::Waits, Passing::Waits) {
            if forth == Passing::More {
                forth = pass(a, b, cx);
            }
            if back == Passing::More {
                back = pass(b, a, cx);
            }
        }
        a.flush(cx);
        b.flush(cx);
        if a.ended && b.ended {
            return Poll::Ready((a.finish(), b.finish()));
        }
        Poll::Pending
    }
}

/// One of the connections.
#[derive(Debug)]
struct Side<C> {
    conn: C,
    outbox: Outbox,
    ended: bool,
}

/// What is known of the messages that a side was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outbox {
    Flushed,
    Queued,
    /// There are so many that it was written as far as that goes.
    Full,
}

/// What became of a direction's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    More,
    Waits,
}

impl<C> Side<C> {
    fn new(conn: C) -> Self {
        Self { conn, outbox: Outbox::Flushed, ended: false }
    }
}

impl<C: Duplex> Side<C> {
    fn conn(&mut self) -> Pin<&mut C> {
        Pin::new(&mut self.conn)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Recipient> {
        match self.conn().poll_ready(cx) {
            Poll::Pending => {
                self.outbox = Outbox::Full;
                Poll::Pending
            }
            Poll::Ready(Ok(())) => {
                if self.outbox == Outbox::Full {
                    self.outbox = Outbox::Queued;
                }
                Poll::Ready(Recipient::Open)
            }
            // How it ended is the business of its stream.
            Poll::Ready(Err(_)) => Poll::Ready(Recipient::Closed),
        }
    }

    /// Writes what was queued behind the last time that this side had nothing to read.
    fn flush(&mut self, cx: &mut Context<'_>) {
        if self.outbox == Outbox::Queued && self.conn().poll_flush(cx).is_ready() {
            self.outbox = Outbox::Flushed;
        }
    }

    /// How it ends, if both Closes have gone, and all that came before is passed on.
    fn closed(&mut self) -> Option<Finish> {
        // A hook may still hold a message.
        if self.conn.size_hint().0 > 0 { None } else { self.conn().peer().closed() }
    }

    fn finish(&mut self) -> Finish {
        // Now that it has ended, this is its own end.
        self.conn().give_up()
    }
}

/// Whether a side takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recipient {
    Open,
    Closed,
}

/// Passes on messages one way, and the end.
fn pass<F: Duplex, T: Duplex>(
    from: &mut Side<F>,
    to: &mut Side<T>,
    cx: &mut Context<'_>,
) -> Passing {
    for _ in 0..TURN {
        if from.ended {
            return Passing::Waits;
        }
        let Poll::Ready(recipient) = to.poll_ready(cx) else {
            // Not even an end matters before there is room for what came before it.
            let _: Poll<()> = from.conn().poll_drive(cx);
            return Passing::Waits;
        };
        match from.conn().poll_next(cx) {
            Poll::Ready(Some(message)) if recipient == Recipient::Open => {
                to.outbox = Outbox::Queued;
                // It may have been aborted meanwhile: then there is nobody to pass this on to.
                let _ = to.conn().start_send(message);
            }
            Poll::Ready(Some(_)) => {}
            Poll::Ready(None) => {
                from.ended = true;
                let finish = from.finish();
                pass_on_end(&finish, from, to);
            }
            Poll::Pending => {
                // A client waits for the end of TCP, which a peer that has closed may leave for later.
                if let Some(finish) = from.closed() {
                    pass_on_end(&finish, from, to);
                }
                return Passing::Waits;
            }
        }
    }
    Passing::More
}

/// Closes a side as the other ends, unless that has been done.
fn pass_on_end<F: Duplex, T: Duplex>(finish: &Finish, from: &Side<F>, to: &mut Side<T>) {
    to.conn().peer().pass_on(passed_on(finish, from.conn.facts().role));
}

/// What the peer of one connection is told when the other, on which we are `role`, has ended.
fn passed_on(finish: &Finish, role: Role) -> CloseFrame {
    let error = finish.error.as_ref().map(crate::Error::kind);
    // What a Close went before is no failure of what was said.
    let failed = error.is_some_and(|kind| !matches!(kind, ErrorKind::Io | ErrorKind::Timeout));
    if !failed && (finish.code.is_sendable() || finish.code == CloseCode::NO_STATUS) {
        return CloseFrame { code: finish.code, reason: finish.reason.clone() };
    }
    let by_us = error.map_or(finish.initiator == Initiator::Us, |kind| kind == ErrorKind::Hook);
    if role == Role::Client && !by_us {
        let reason = "the connection to the server behind this one failed".into();
        return CloseFrame { code: CloseCode::BAD_GATEWAY, reason };
    }
    let reason = "the other side's connection failed".into();
    CloseFrame { code: CloseCode::INTERNAL_ERROR, reason }
}

/// How many messages go one way before the other way has its turn.
const TURN: usize = 1_024;
