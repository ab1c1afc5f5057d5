//! [`OnFinish`]: a hook on the end of the connection.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::{
    close::Finish,
    connection::Peer,
    error::Error,
    ext::{
        Duplex, Event,
        sealed::{Facts, Sealed},
    },
    message::Message,
    stats::Stats,
};

pin_project! {
    /// A connection with a hook on its end: see [`ConnectionExt::on_finish`](crate::ConnectionExt::on_finish).
    ///
    /// # Examples
    ///
    /// A named function makes a type that can be written down:
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, Finish, OnFinish, Pipe};
    ///
    /// type Logged = OnFinish<Connection<Pipe>, fn(&Finish)>;
    ///
    /// fn log(finish: &Finish) {
    ///     println!("{finish}");
    /// }
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Logged = conn.on_finish(log);
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct OnFinish<C: Duplex, F: FnOnce(&Finish)> {
        // `None` only inside `into_transport`: nothing can be moved out of a type that has a drop.
        #[pin]
        inner: Option<C>,
        // `None` once it has run.
        hook: Option<F>,
    }

    impl<C: Duplex, F: FnOnce(&Finish)> PinnedDrop for OnFinish<C, F> {
        fn drop(this: Pin<&mut Self>) {
            this.fire();
        }
    }
}

impl<C: Duplex, F: FnOnce(&Finish)> OnFinish<C, F> {
    pub(super) fn new(inner: C, hook: F) -> Self {
        let ended = inner.is_terminated();
        let mut this = Self { inner: Some(inner), hook: Some(hook) };
        if ended {
            Pin::new(&mut this).fire();
        }
        this
    }

    /// Runs the hook, if it has not run yet.
    fn fire(self: Pin<&mut Self>) {
        let this = self.project();
        if let (Some(inner), Some(hook)) = (this.inner.as_pin_mut(), this.hook.take()) {
            hook(&inner.give_up());
        }
    }

    pub(super) fn inner(&self) -> &C {
        self.inner.as_ref().expect(PRESENT)
    }

    pub(super) fn inner_mut(self: Pin<&mut Self>) -> Pin<&mut C> {
        self.project().inner.as_pin_mut().expect(PRESENT)
    }
}

impl<C: Duplex, F: FnOnce(&Finish)> Stream for OnFinish<C, F> {
    type Item = Message;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let message = self.as_mut().inner_mut().poll_next(cx);
        if let Poll::Ready(None) = message {
            self.fire();
        }
        message
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner().size_hint()
    }
}

impl<C: Duplex, F: FnOnce(&Finish)> FusedStream for OnFinish<C, F> {
    fn is_terminated(&self) -> bool {
        self.inner().is_terminated()
    }
}

impl<C: Duplex, F: FnOnce(&Finish)> Sink<Message> for OnFinish<C, F> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner_mut().poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.inner_mut().start_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner_mut().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner_mut().poll_close(cx)
    }
}

impl<C: Duplex, F: FnOnce(&Finish)> Sealed for OnFinish<C, F> {}

impl<C: Duplex, F: FnOnce(&Finish)> Duplex for OnFinish<C, F> {
    type Transport = C::Transport;

    #[inline]
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let event = self.as_mut().inner_mut().poll_event(cx);
        if let Poll::Ready(None) = event {
            self.fire();
        }
        event
    }

    fn poll_drive(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.inner_mut().poll_drive(cx)
    }

    fn peer(self: Pin<&mut Self>) -> Peer<'_> {
        self.inner_mut().peer()
    }

    fn ending(&self) -> Option<&Finish> {
        self.inner().ending()
    }

    fn facts(&self) -> Facts<'_> {
        self.inner().facts()
    }

    fn traffic(&self) -> Stats {
        self.inner().traffic()
    }

    fn give_up(self: Pin<&mut Self>) -> Finish {
        self.inner_mut().give_up()
    }

    fn transport(&self) -> &Self::Transport {
        self.inner().transport()
    }

    fn into_transport(mut self) -> Self::Transport {
        Pin::new(&mut self).fire();
        self.inner.take().expect(PRESENT).into_transport()
    }
}

impl<C: Duplex + fmt::Debug, F: FnOnce(&Finish)> fmt::Debug for OnFinish<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnFinish").field("inner", self.inner()).finish_non_exhaustive()
    }
}

const PRESENT: &str = "only `into_transport`, which consumes the layer, takes the one below";
