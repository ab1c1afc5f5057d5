//! What is the same in every layer: each macro fills an `impl` block, and `delegate_layer!` writes
//! whole ones, by passing on to the layer below, which is the pinned field `$inner`.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::{
    ext::{Duplex, Event},
    message::Message,
};

/// Polls for the next message: for the events in between, `poll_event` has done all there is to do.
pub(crate) fn poll_message<C: Duplex>(
    mut conn: Pin<&mut C>,
    cx: &mut Context<'_>,
) -> Poll<Option<Message>> {
    loop {
        match ready!(conn.as_mut().poll_event(cx)) {
            Some(Event::Message(message)) => return Poll::Ready(Some(message)),
            Some(_) => {}
            None => return Poll::Ready(None),
        }
    }
}

/// A layer that has a hook `F` on the messages of the field `inner` and leaves the rest as it is, but for
/// its method `hook`, which is run on each: `[..]` and `where` are the generics and bounds of that, but for
/// `C`'s.
///
/// Its stream is that of the layer below, and not made of events: to move a message from one to the
/// other has the processor wait for what it has just stored.
macro_rules! delegate_message_layer {
    (impl[$($generic:ident),+] $layer:ident<C, F> where $($bounds:tt)+) => {
        impl<$($generic),+> futures_core::Stream for $layer<C, F>
        where
            C: $crate::Duplex,
            $($bounds)+
        {
            type Item = $crate::Message;

            #[inline]
            fn poll_next(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                let message = self.as_mut().project().inner.poll_next(cx);
                if let std::task::Poll::Ready(Some(message)) = &message {
                    self.hook(message);
                }
                message
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.inner.size_hint()
            }
        }

        impl<$($generic),+> $crate::Duplex for $layer<C, F>
        where
            C: $crate::Duplex,
            $($bounds)+
        {
            delegate_duplex!(inner);
            delegate_peer!(inner);

            #[inline]
            fn poll_event(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<$crate::Event>> {
                let event = self.as_mut().project().inner.poll_event(cx);
                if let std::task::Poll::Ready(Some($crate::Event::Message(message))) = &event {
                    self.hook(message);
                }
                event
            }
        }

        delegate_halves! { impl[$($generic),+] $layer<C, F> where $($bounds)+ }
    };
}

/// All but the `Duplex` of a layer that has a hook `F` on other events of the field `inner` and leaves the
/// rest as it is.
macro_rules! delegate_layer {
    (impl[$($generic:ident),+] $layer:ident<C, F> where $($bounds:tt)+) => {
        impl<$($generic),+> futures_core::Stream for $layer<C, F>
        where
            C: $crate::Duplex,
            $($bounds)+
        {
            delegate_stream!(inner);
        }

        delegate_halves! { impl[$($generic),+] $layer<C, F> where $($bounds)+ }
    };
}

/// What layers with a hook `F` have in common.
macro_rules! delegate_halves {
    (impl[$($generic:ident),+] $layer:ident<C, F> where $($bounds:tt)+) => {
        impl<$($generic),+> futures_core::FusedStream for $layer<C, F>
        where
            C: $crate::Duplex,
            $($bounds)+
        {
            delegate_fused_stream!(inner);
        }

        impl<C: futures_sink::Sink<$crate::Message>, F> futures_sink::Sink<$crate::Message>
            for $layer<C, F>
        {
            delegate_sink!(inner);
        }

        impl<C, F> $crate::ext::sealed::Sealed for $layer<C, F> {}

        impl<C: std::fmt::Debug, F> std::fmt::Debug for $layer<C, F> {
            delegate_debug!($layer, inner);
        }
    };
}

/// A `Stream` made of a layer's own `poll_event`.
macro_rules! delegate_stream {
    ($inner:ident) => {
        type Item = $crate::Message;

        fn poll_next(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            $crate::ext::delegate::poll_message(self, cx)
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            self.$inner.size_hint()
        }
    };
}

/// A `FusedStream` that ends with the layer below.
macro_rules! delegate_fused_stream {
    ($inner:ident) => {
        fn is_terminated(&self) -> bool {
            self.$inner.is_terminated()
        }
    };
}

/// The sink half, untouched.
macro_rules! delegate_sink {
    ($inner:ident) => {
        type Error = C::Error;

        fn poll_ready(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            self.project().$inner.poll_ready(cx)
        }

        fn start_send(
            self: std::pin::Pin<&mut Self>,
            message: $crate::Message,
        ) -> Result<(), Self::Error> {
            self.project().$inner.start_send(message)
        }

        fn poll_flush(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            self.project().$inner.poll_flush(cx)
        }

        fn poll_close(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            self.project().$inner.poll_close(cx)
        }
    };
}

/// A `Duplex` but for `poll_event` and `peer`.
macro_rules! delegate_duplex {
    ($inner:ident) => {
        type Transport = C::Transport;

        fn poll_drive(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<()> {
            self.project().$inner.poll_drive(cx)
        }

        fn ending(&self) -> Option<&$crate::Finish> {
            self.$inner.ending()
        }

        fn facts(&self) -> $crate::ext::sealed::Facts<'_> {
            self.$inner.facts()
        }

        fn traffic(&self) -> $crate::Stats {
            self.$inner.traffic()
        }

        fn give_up(self: std::pin::Pin<&mut Self>) -> $crate::Finish {
            self.project().$inner.give_up()
        }

        fn transport(&self) -> &Self::Transport {
            self.$inner.transport()
        }

        fn into_transport(self) -> Self::Transport {
            self.$inner.into_transport()
        }
    };
}

/// The peer of a `Duplex`, as the layer below sees it.
macro_rules! delegate_peer {
    ($inner:ident) => {
        fn peer(self: std::pin::Pin<&mut Self>) -> $crate::Peer<'_> {
            self.project().$inner.peer()
        }
    };
}

/// A `Debug` that shows the layers below and leaves out the hook, which has nothing to show.
macro_rules! delegate_debug {
    ($layer:ident, $inner:ident) => {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct(stringify!($layer))
                .field(stringify!($inner), &self.$inner)
                .finish_non_exhaustive()
        }
    };
}
