//! [`Reconnect`] as a stream, as a sink and as what takes hooks.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;

use super::{Reconnect, value::State};
use crate::{
    close::Finish,
    connection::{Half, Peer},
    error::Error,
    ext::{
        Duplex, Event,
        sealed::{Facts, Sealed},
    },
    message::Message,
    socket::Socket,
    stats::Stats,
};

/// Messages, then `None`, once, when it has given up or was closed.
///
/// Cancel safe: a dropped `next()` loses nothing, and an attempt to connect that is under way goes on with
/// the next poll.
impl Stream for Reconnect {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        if let State::Open { .. } = self.state {
            if let Some(message) = self.conn.next_arrived() {
                return Poll::Ready(Some(message));
            }
        }
        loop {
            match ready!(self.as_mut().poll_event(cx)) {
                Some(Event::Message(message)) => return Poll::Ready(Some(message)),
                Some(_) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

impl FusedStream for Reconnect {
    fn is_terminated(&self) -> bool {
        self.terminated
    }
}

/// As that of a connection, except that it waits while there is none: for room, and with a flush if
/// something may have been lost, so that it has been handed to
/// [`on_reconnect`](Reconnect::on_reconnect) by then. Errors come once it is over.
///
/// A dropped `send()` may have been accepted: then the message is sent, or handed over.
impl Sink<Message> for Reconnect {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        loop {
            ready!(this.poll_connected(Half::Sink, cx));
            if this.conn.is_open() || this.conn.is_ending_for_good() {
                let room = ready!(Pin::new(&mut this.conn).poll_ready(cx));
                if room.is_ok() || this.conn.is_ending_for_good() {
                    this.ended();
                    return Poll::Ready(room);
                }
            }
            ready!(this.poll_ended(Half::Sink, cx));
        }
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Pin::new(&mut self.get_mut().conn).start_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        loop {
            if !this.is_open() && !this.is_over() && !this.conn.has_lost() {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_connected(Half::Sink, cx));
            let flushed = ready!(Pin::new(&mut this.conn).poll_flush(cx));
            if flushed.is_ok() && this.conn.is_open() || this.conn.is_ending_for_good() {
                this.ended();
                return Poll::Ready(flushed);
            }
            ready!(this.poll_ended(Half::Sink, cx));
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        this.conn.end_for_good();
        if !this.is_open() && !this.is_over() {
            this.close_unconnected();
        }
        let closed = ready!(Pin::new(&mut this.conn).poll_close(cx));
        this.ended();
        Poll::Ready(closed)
    }
}

impl Sealed for Reconnect {}

impl Duplex for Reconnect {
    type Transport = Socket;

    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let this = self.get_mut();
        loop {
            if !this.is_open() {
                if let Some(event) = this.conn.take_waiting() {
                    if let Event::Error(error) = event {
                        this.told = Some(error);
                        continue;
                    }
                    return Poll::Ready(Some(event));
                }
            }
            ready!(this.poll_connected(Half::Stream, cx));
            match ready!(Pin::new(&mut this.conn).poll_event(cx)) {
                // It is one of many, unless it turns out to be the last.
                Some(Event::Error(error)) => this.told = Some(error),
                Some(event) => return Poll::Ready(Some(event)),
                None if this.is_open() => this.ended(),
                None => {
                    let error = this.told.take().map(Event::Error);
                    this.terminated = error.is_none();
                    return Poll::Ready(error);
                }
            }
        }
    }

    fn poll_drive(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            ready!(this.poll_connected(Half::Stream, cx));
            if this.is_over() {
                return Poll::Ready(());
            }
            ready!(this.poll_ended(Half::Stream, cx));
        }
    }

    fn peer(self: Pin<&mut Self>) -> Peer<'_> {
        Pin::new(&mut self.get_mut().conn).peer()
    }

    fn ending(&self) -> Option<&Finish> {
        self.conn.ending().filter(|_| self.is_over() || self.conn.is_given_up())
    }

    fn facts(&self) -> Facts<'_> {
        Facts { timer: self.timer.as_ref(), ..self.conn.facts() }
    }

    fn traffic(&self) -> Stats {
        self.conn.traffic()
    }

    fn give_up(self: Pin<&mut Self>) -> Finish {
        Pin::new(&mut self.get_mut().conn).give_up()
    }

    fn transport(&self) -> &Socket {
        self.conn.transport()
    }

    fn into_transport(self) -> Socket {
        self.conn.into_transport()
    }
}

impl Reconnect {
    /// Whether there is a connection, be it about to end.
    fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}
