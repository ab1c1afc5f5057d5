//! [`Duplex`]: what a connection and every hooked connection have in common.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::FusedStream;
use futures_sink::Sink;

use crate::{close::Finish, connection::Peer, error::Error, message::Message, stats::Stats};

/// A connection, or a connection with hooks: a stream and a sink of messages whose events hooks can
/// see.
///
/// Sealed: [`Connection`](crate::Connection), [`Reconnect`](crate::Reconnect) and the hooks of
/// [`ConnectionExt`](crate::ConnectionExt) implement it. Name it in a bound; call the methods of [`ConnectionExt`](crate::ConnectionExt).
///
/// # Examples
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use wsweave::{Connection, ConnectionExt, Duplex};
///
/// async fn echo_once<C: Duplex>(mut conn: C) -> Result<(), wsweave::Error> {
///     if let Some(message) = conn.next().await {
///         conn.send(message).await?;
///     }
///     conn.close().await
/// }
///
/// # async_std::task::block_on(async {
/// let (us, mut peer) = Connection::pair();
/// let talk = async {
///     peer.send("hello".into()).await.unwrap();
///     assert_eq!(peer.next().await, Some("hello".into()));
///     assert_eq!(peer.next().await, None);
/// };
/// let (echoed, ()) = futures::join!(echo_once(us.on_each(|_, _| ())), talk);
/// echoed.unwrap();
/// # });
/// ```
pub trait Duplex:
    FusedStream<Item = Message> + Sink<Message, Error = Error> + Unpin + sealed::Sealed
{
    /// What the connection runs over.
    type Transport;

    /// Polls for the next thing that hooks can see. `poll_next` is this without all but the messages.
    ///
    /// An [`Event::Error`] comes at most once, right before the end.
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>>;

    /// Drives the connection without taking an event: writes, answers control frames, reads on until
    /// one whole message waits. Ready when the connection has ended.
    fn poll_drive(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// The connection as a hook sees it.
    fn peer(self: Pin<&mut Self>) -> Peer<'_>;

    /// How the connection ended, if it has: see [`ConnectionExt::finish`](crate::ConnectionExt::finish).
    fn ending(&self) -> Option<&Finish>;

    /// What else is known of the connection: [`ConnectionExt`](crate::ConnectionExt) has a method for
    /// each.
    #[doc(hidden)]
    fn facts(&self) -> sealed::Facts<'_>;

    /// What has gone over the connection: see [`ConnectionExt::stats`](crate::ConnectionExt::stats).
    #[doc(hidden)]
    fn traffic(&self) -> Stats;

    /// Settles how the connection ended for the case that it is given up now, dropped or taken apart,
    /// and returns that: its own end if it has ended. Nothing changes it afterwards.
    fn give_up(self: Pin<&mut Self>) -> Finish;

    /// The transport: see [`ConnectionExt::get_ref`](crate::ConnectionExt::get_ref).
    fn transport(&self) -> &Self::Transport;

    /// The transport alone: see [`ConnectionExt::into_inner`](crate::ConnectionExt::into_inner).
    fn into_transport(self) -> Self::Transport
    where
        Self: Sized;
}

/// What hooks can see of a connection, in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(Message),
    /// A ping; its pong is queued already.
    Ping(Bytes),
    /// A pong, asked for or not.
    Pong(Bytes),
    /// What went wrong; the end follows.
    Error(Error),
}

pub(crate) mod sealed {
    use std::{fmt, sync::Arc, time::Duration};

    use crate::{
        compression::AgreedCompression,
        config::{Role, Timer},
        handshake::Opening,
    };

    #[allow(unnameable_types, reason = "that is what seals a trait")]
    pub trait Sealed {}

    /// What is known of a connection, for this crate alone.
    #[allow(unnameable_types, reason = "only this crate looks into it")]
    pub struct Facts<'a> {
        pub(crate) role: Role,
        pub(crate) opening: Option<&'a Opening>,
        pub(crate) compression: Option<AgreedCompression>,
        pub(crate) latency: Option<Duration>,
        pub(crate) timer: Option<&'a Arc<dyn Timer>>,
    }

    impl fmt::Debug for Facts<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Facts").field("role", &self.role).finish_non_exhaustive()
        }
    }
}
