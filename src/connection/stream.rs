//! The stream half: messages in; and what hooks need of a connection.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};
use futures_io::{AsyncRead, AsyncWrite};

use super::{Connection, Peer, wakers::Half};
use crate::{
    close::Finish,
    ext::{
        Duplex, Event,
        delegate::poll_message,
        sealed::{Facts, Sealed},
    },
    message::Message,
    stats::Stats,
};

/// Messages, then `None`, once: [`finish`](crate::ConnectionExt::finish) says how it ended.
///
/// Cancel safe: a dropped `next()` loses nothing.
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for Connection<S> {
    type Item = Message;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        match self.driver_mut().next_arrived() {
            Some(message) => Poll::Ready(Some(message)),
            None => poll_message(self, cx),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FusedStream for Connection<S> {
    fn is_terminated(&self) -> bool {
        self.terminated
    }
}

impl<S> Sealed for Connection<S> {}

impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for Connection<S> {
    type Transport = S;

    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let this = self.get_mut();
        if let Some(message) = this.driver_mut().next_arrived() {
            return Poll::Ready(Some(Event::Message(message)));
        }
        let event = ready!(this.driver_mut().poll_event(cx));
        this.terminated = event.is_none();
        Poll::Ready(event)
    }

    fn poll_drive(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().driver_mut().poll_end(Half::Stream, cx)
    }

    fn peer(self: Pin<&mut Self>) -> Peer<'_> {
        Peer::new(&mut self.get_mut().driver_mut().core)
    }

    fn ending(&self) -> Option<&Finish> {
        self.driver().core.ending()
    }

    fn facts(&self) -> Facts<'_> {
        let driver = self.driver();
        Facts {
            role: driver.core.role,
            opening: driver.core.opening.as_deref(),
            compression: driver.core.compression,
            latency: driver.timers.latency(),
            timer: driver.timers.timer(),
        }
    }

    fn traffic(&self) -> Stats {
        self.driver().stats()
    }

    fn give_up(self: Pin<&mut Self>) -> Finish {
        self.get_mut().driver_mut().core.give_up()
    }

    fn transport(&self) -> &S {
        &self.driver().wire.io
    }

    fn into_transport(mut self) -> S {
        let mut driver = self.take_driver();
        driver.core.give_up();
        driver.wire.io
    }
}
