//! [`Reconnect`]: a connection that is made anew when it is lost.

use std::{fmt, future::Future, sync::Arc, time::Instant};

use super::{ReconnectPolicy, Status, series::Series};
use crate::{
    config::{Config, Sleep, Timer},
    connection::{Connection, Ledger, Peer},
    error::{BoxError, Error, ErrorKind},
    ext::HookResult,
    message::Message,
    net::Client,
    rt::{self, Boxed},
};

/// Any number of connections, one after the other, as one: a stream of messages in and a sink of messages
/// out that takes hooks as a [`Connection`](crate::Connection) does. [`Client::reconnect`] makes it.
///
/// **Nothing moves unless it is polled**: whoever polls it, or runs it, connects, waits and connects again.
/// Dropping it ends all of that; an open connection is then closed as
/// [that](crate::Connection#dropping) is.
///
/// # What is the same as with one connection
///
/// The stream ends once, when the [policy](ReconnectPolicy) gives up or somebody closes: then there is one
/// error for [`on_error`](crate::ConnectionExt::on_error), one end for
/// [`on_finish`](crate::ConnectionExt::on_finish), and [`finish`](crate::ConnectionExt::finish) is that of
/// the last connection or attempt. `close`, [`close_with`](crate::ConnectionExt::close_with),
/// [`abort`](crate::ConnectionExt::abort) and their like of peers and handles end it for good, also while
/// it waits; closed while there is no connection, it gives the error why there is none. A
/// [`Handle`](crate::Handle) stays valid: what it sends meanwhile waits for the next connection.
///
/// What is known of a connection, such as [`response`](crate::ConnectionExt::response), is that of the one
/// at hand, and nothing while there is none. The transport is then one on which nothing happens, and a
/// [`ping`](crate::ConnectionExt::ping) finds no room.
///
/// # What may be lost
///
/// Nothing is sent twice by itself, and nothing vanishes. While there is no connection the sink and the
/// handles wait. What had been accepted, and is not known to have arrived when a connection ends, is handed
/// to [`on_reconnect`](Self::on_reconnect), as is what hooks send when it is ending or gone. Written is not
/// arrived: a handle's flush that is under way then ends all the same.
///
/// A message is known to have arrived when the peer has answered a ping that was sent after it (RFC 6455,
/// section 5.5.3), or our Close. Such pings go out by themselves, see [`ReconnectPolicy::ask_interval`].
/// That is to say that the peer has read it; whether it has acted on it only an answer of its own can tell.
///
/// How much may be under way has a limit, see [`ReconnectPolicy::window`]: beyond it the sink and the
/// handles wait for the peer's answer, **and for somebody to take the messages before that answer**, once
/// more of them wait than the limit. A peer that leaves the ping unanswered meanwhile for
/// [`Config::write_timeout`](crate::Config::write_timeout) has failed.
///
/// What reaches the stream has been read from one connection, once; after an outage it is the peer that
/// may say things twice.
///
/// # Examples
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use wsweave::{Client, ConnectionExt, ReconnectPolicy};
///
/// # async_std::task::block_on(async {
/// let mut listener = wsweave::listen("127.0.0.1:0").await?;
/// let url = format!("ws://{}", listener.local_addr());
/// let serve = async_std::task::spawn(async move {
///     let first = listener.next().await.unwrap();
///     drop(first.into_inner()); // Without a word.
///     let mut second = listener.next().await.unwrap();
///     assert_eq!(second.next().await, Some("subscribe".into()));
///     second.send("news".into()).await.unwrap();
///     second.close().await.unwrap();
/// });
///
/// let mut conn = Client::new(&url)?
///     .reconnect(ReconnectPolicy::default())
///     .on_reconnect(|peer, lost, _attempt| {
///         peer.send("subscribe");
///         for message in lost.into_iter().filter(|m| m.as_text() != Some("subscribe")) {
///             peer.send(message);
///         }
///     });
/// assert_eq!(conn.next().await, Some("news".into()));
/// assert_eq!(conn.next().await, None);
/// assert_eq!(conn.finish().unwrap().code, 1000);
/// # serve.await;
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct Reconnect {
    /// The one at hand, the last one, or an absent one: hooks see no other.
    pub(super) conn: Connection,
    pub(super) state: State,
    pub(super) client: Client,
    pub(super) make_client: Option<MakeClient>,
    /// Of the absent ones.
    pub(super) vacant: Arc<Config>,
    /// Known from the first poll on, if it was not at hand before.
    pub(super) timer: Option<Arc<dyn Timer>>,
    pub(super) series: Series,
    pub(super) status: Status,
    pub(super) past: Past,
    /// Why there is no connection.
    pub(super) why: Option<Error>,
    /// What went wrong with the one at hand; told if that was the last one.
    pub(super) told: Option<Error>,
    pub(super) hook: Option<OnReconnect>,
    pub(super) on_status: Option<OnStatus>,
    /// The stream has given its `None`.
    pub(super) terminated: bool,
}

/// What is going on.
pub(super) enum State {
    /// An attempt is to begin.
    Due,
    Connecting(Boxed<'static, Result<Connection, super::Outage>>),
    Open {
        since: Instant,
    },
    Waiting(Sleep),
    Over,
}

/// Whether there has been a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    None,
    Connected,
}

type MakeClient = Box<dyn FnMut(Client, u32) -> Boxed<'static, Result<Client, Error>> + Send>;
/// Tells whether the hook stays.
type OnReconnect = Box<dyn FnMut(&mut Peer<'_>, Vec<Message>, u32) -> bool + Send>;
type OnStatus = Box<dyn FnMut(&Status) + Send>;

impl Client {
    /// Connects, and connects again whenever the connection is lost, as the policy says: a value that is
    /// one connection to its user. It connects when it is polled.
    ///
    /// Without a clock, see [`Config::timer`], it ends with an error of kind [`ErrorKind::Unsupported`].
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Client, ConnectionExt, ReconnectPolicy};
    ///
    /// # async_std::task::block_on(async {
    /// let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    /// let conn = Client::new(&format!("ws://{nobody}"))?
    ///     .reconnect(ReconnectPolicy::default().max_attempts(1)?)
    ///     .on_each(|_, message| println!("{message:?}"));
    /// let finish = conn.run().await;
    /// assert!(finish.error.unwrap().to_string().starts_with("cannot connect to 127.0.0.1"));
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub fn reconnect(self, policy: ReconnectPolicy) -> Reconnect {
        Reconnect::new(self, policy)
    }
}

impl Reconnect {
    fn new(client: Client, policy: ReconnectPolicy) -> Self {
        let timer = rt::timer(&client.config.clock);
        let vacant = Arc::new(Config::clone(&client.config).no_timer());
        let ledger = Ledger::new(policy.window, policy.ask_interval);
        Self {
            conn: Connection::absent(Arc::clone(&vacant), ledger),
            state: State::Due,
            client,
            make_client: None,
            vacant,
            timer,
            series: Series::new(policy),
            status: Status::Connecting { attempt: 1 },
            past: Past::None,
            why: None,
            told: None,
            hook: None,
            on_status: None,
            terminated: false,
        }
    }

    /// Calls `hook` with each new connection but the first, before anything else is sent on it: with the
    /// peer, with what may have been lost, in the order in which it was accepted, and with the number of the
    /// attempt that made the connection.
    ///
    /// Here the user subscribes again, and decides what to send again: what is not sent here is gone. A
    /// message may have arrived all the same, so whoever sends it again needs a peer that can tell, by a
    /// number in it say. Without this hook what may be lost waits for [`take_lost`](Self::take_lost), and
    /// when it fills the [window](ReconnectPolicy::window) nothing more is accepted.
    ///
    /// The last hook counts. An `Err` from it fails the connection with 1011, as that of any hook does;
    /// [`Peer::unhook`] takes it off.
    ///
    /// See [`Reconnect`] for an example.
    pub fn on_reconnect<F, R>(mut self, mut hook: F) -> Self
    where
        F: FnMut(&mut Peer<'_>, Vec<Message>, u32) -> R + Send + 'static,
        R: HookResult,
    {
        self.hook =
            Some(Box::new(move |peer, lost, attempt| peer.run(|peer| hook(peer, lost, attempt))));
        self
    }

    /// Calls `hook` with each new [`Status`], from the first attempt on. The last hook counts. It is not
    /// called on drop.
    ///
    /// See [`Status`] for an example.
    pub fn on_status(mut self, hook: impl FnMut(&Status) + Send + 'static) -> Self {
        self.on_status = Some(Box::new(hook));
        self
    }

    /// Has `make` make the client of each attempt, with a fresh token or for another host, say. It gets the
    /// client that this was made of, to change it, and the number of the attempt.
    ///
    /// The clock, how much waits to be sent, and how long `make` may take
    /// ([`Config::connect_timeout`]) stay those of the client that this was made of. Its failure is that of
    /// the attempt, and an [`Outage::NoClient`](super::Outage::NoClient); the last `make` counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Client, Error, ReconnectPolicy};
    ///
    /// async fn fresh_token() -> Result<String, Error> {
    ///     // …
    /// #   Ok("token".into())
    /// }
    ///
    /// let conn = Client::new("wss://example.com/feed")?
    ///     .reconnect(ReconnectPolicy::default())
    ///     .each_client(|client, _attempt| async move { client.bearer_auth(&fresh_token().await?) });
    /// # Ok::<_, Error>(())
    /// ```
    pub fn each_client<F, Fut, E>(mut self, mut make: F) -> Self
    where
        F: FnMut(Client, u32) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Client, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.make_client = Some(Box::new(move |client, attempt| {
            let making = make(client, attempt);
            Box::pin(async move {
                let failed =
                    |error| Error::with_source(ErrorKind::Hook, "no client could be made", error);
                making.await.map_err(failed)
            })
        }));
        self
    }

    /// How it stands.
    ///
    /// ```
    /// use wsweave::{Client, ReconnectPolicy, Status};
    /// let conn = Client::new("ws://example.com")?.reconnect(ReconnectPolicy::default());
    /// assert!(matches!(conn.status(), Status::Connecting { attempt: 1 }));
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Takes what may have been lost with the connections that have ended, in order, if no
    /// [`on_reconnect`](Self::on_reconnect) was handed it. After the end that includes what handles were
    /// promised to send and could not.
    ///
    /// ```
    /// use wsweave::{Client, ReconnectPolicy};
    /// let mut conn = Client::new("ws://example.com")?.reconnect(ReconnectPolicy::default());
    /// assert!(conn.take_lost().is_empty());
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    #[must_use = "what is taken is not handed to anybody else"]
    pub fn take_lost(&mut self) -> Vec<Message> {
        self.conn.take_lost()
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect").field("status", &self.status).finish_non_exhaustive()
    }
}
