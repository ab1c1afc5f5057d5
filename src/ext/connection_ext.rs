//! [`ConnectionExt`]: the methods of every connection, hooked or not.

use std::{future::Future, net::SocketAddr, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response};

#[cfg(feature = "json")]
use crate::ext::Json;
use crate::{
    close::{CloseCode, Finish},
    compression::AgreedCompression,
    connection::{Handle, Peer},
    error::Error,
    ext::{
        ByteStream, Callbacks, CloseWith, Codec, Duplex, HookResult, LimitRate, OnEach,
        OnEachAsync, OnEachText, OnError, OnFinish, OnNext, OnNextText, OnPing, OnPong, RateLimit,
        Relay, Results, Run, WithCallbacks, WithCodec,
    },
    message::Message,
    stats::Stats,
};

/// Hooks, and what else every connection can do under any number of them.
///
/// Put hooks on first, before `split` and before `StreamExt`'s adapters: each returns a connection, so
/// they stack. **They run while somebody polls the connection**, with `next()`, with
/// [`run`](Self::run) or in a pipe, and not otherwise.
///
/// - The hook nearest to the connection runs first; all of them run before the message reaches the
///   stream's consumer. What a hook sends is queued, in order, before that.
/// - A hook returns `()` or a `Result`: see [`HookResult`]. An `Err` fails the connection with 1011.
///   The message at hand still passes the remaining hooks and reaches the consumer; nothing after it
///   does.
/// - A panic in a hook unwinds to whoever polls; dropped then, the connection closes with 1011.
/// - On drop the hooks of [`on_finish`](Self::on_finish) run, the outermost first.
///
/// # Examples
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use wsweave::{Connection, ConnectionExt};
///
/// # async_std::task::block_on(async {
/// let (conn, mut peer) = Connection::pair();
/// let conn = conn
///     .on_next(|peer, hello| peer.send(format!("got {hello:?}")))
///     .on_each(|peer, message| peer.send(message.clone()))
///     .on_finish(|finish| println!("{finish}"));
///
/// let talk = async {
///     peer.send("hi".into()).await.unwrap();
///     assert_eq!(peer.next().await, Some("got Text(\"hi\")".into()));
///     assert_eq!(peer.next().await, Some("hi".into()));
///     peer.close().await.unwrap();
/// };
/// let (finish, ()) = futures::join!(conn.run(), talk);
/// assert!(finish.clean);
/// # });
/// ```
pub trait ConnectionExt: Duplex {
    /// Calls `hook` with every message.
    ///
    /// [`Peer::unhook`] takes it off.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let mut seen = 0;
    /// let mut conn = conn.on_each(move |peer, message| {
    ///     seen += 1;
    ///     peer.send(format!("{seen}: {} bytes", message.len()));
    /// });
    ///
    /// peer.send("hello".into()).await.unwrap();
    /// assert_eq!(conn.next().await, Some("hello".into()));
    /// conn.flush().await.unwrap();
    /// assert_eq!(peer.next().await, Some("1: 5 bytes".into()));
    /// # });
    /// ```
    ///
    /// A hook that fails ends the connection:
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{CloseCode, Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let conn = conn.on_each(|_, message| match message.as_text() {
    ///     Some(_) => Ok(()),
    ///     None => Err("text only"),
    /// });
    ///
    /// peer.send(b"\0".into()).await.unwrap();
    /// let (finish, end) = futures::join!(conn.run(), peer.next());
    /// assert_eq!(end, None);
    /// assert_eq!(finish.error.unwrap().to_string(), "a hook failed: text only");
    /// assert_eq!(peer.finish().unwrap().code, CloseCode::INTERNAL_ERROR);
    /// # });
    /// ```
    ///
    /// A connection without anyone to poll it runs no hook:
    ///
    /// ```compile_fail
    /// #![deny(unused_must_use)]
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// conn.on_each(|peer, message| peer.send(message.clone()));
    /// ```
    #[doc(alias = "each_message")]
    fn on_each<F, R>(self, hook: F) -> OnEach<Self, F>
    where
        Self: Sized,
        F: FnMut(&mut Peer<'_>, &Message) -> R,
        R: HookResult,
    {
        OnEach::new(self, hook)
    }

    /// Calls `hook` with the text of every text message.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{Connection, ConnectionExt, Message};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let mut texts = Vec::new();
    /// let mut conn = conn.on_each_text(|text: &str| texts.push(text.to_owned()));
    ///
    /// peer.send("a text".into()).await.unwrap();
    /// peer.send(b"bytes".into()).await.unwrap();
    /// assert!(conn.next().await.unwrap().is_text());
    /// assert!(conn.next().await.unwrap().is_binary());
    /// drop(conn);
    /// assert_eq!(texts, ["a text"]);
    /// # });
    /// ```
    #[doc(alias = "on_each_message")]
    fn on_each_text<F, R>(self, hook: F) -> OnEachText<Self, F>
    where
        Self: Sized,
        F: FnMut(&str) -> R,
        R: HookResult,
    {
        OnEachText::new(self, hook)
    }

    /// Calls `hook` with every message and awaits its future, one at a time, before the message goes
    /// on.
    ///
    /// So order and backpressure hold: there is one future, never a second. While it runs the
    /// connection is driven until one whole message waits behind it; control frames behind that
    /// message wait with it. What the hook sends through its [`Handle`] may wait for room; a handle
    /// never sends by itself, but here the connection is being polled.
    ///
    /// An `Err` fails the connection with 1011. The end of the connection does not cut a future short.
    ///
    /// # Cancel safety
    ///
    /// The future lives in the connection. Dropping `next()` half-way loses nothing: the next poll goes
    /// on with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let conn = conn.on_each_async(|handle, message| async move { handle.send(message).await });
    ///
    /// let talk = async {
    ///     peer.send("hello".into()).await.unwrap();
    ///     assert_eq!(peer.next().await, Some("hello".into()));
    ///     peer.close().await.unwrap();
    /// };
    /// let (finish, ()) = futures::join!(conn.run(), talk);
    /// assert!(finish.clean);
    /// # });
    /// ```
    fn on_each_async<F, Fut>(self, hook: F) -> OnEachAsync<Self, F, Fut>
    where
        Self: Sized,
        F: FnMut(Handle, Message) -> Fut,
        Fut: Future<Output: HookResult>,
    {
        OnEachAsync::new(self, hook)
    }

    /// Calls `hook` with the next message, once.
    ///
    /// Not Rx's `onNext`, which is [`on_each`](Self::on_each).
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let mut name = String::new();
    /// let mut conn = conn.on_next(|_, message| name += message.as_text().unwrap_or("nobody"));
    ///
    /// peer.send("Ada".into()).await.unwrap();
    /// peer.send("ignored".into()).await.unwrap();
    /// conn.next().await;
    /// conn.next().await;
    /// drop(conn);
    /// assert_eq!(name, "Ada");
    /// # });
    /// ```
    #[doc(alias = "next_message")]
    fn on_next<F, R>(self, hook: F) -> OnNext<Self, F>
    where
        Self: Sized,
        F: FnOnce(&mut Peer<'_>, &Message) -> R,
        R: HookResult,
    {
        OnNext::new(self, hook)
    }

    /// Calls `hook` with the text of the next text message, once.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let mut first = None;
    /// let mut conn = conn.on_next_text(|text: &str| first = Some(text.to_owned()));
    ///
    /// peer.send(b"bytes".into()).await.unwrap();
    /// peer.send("a text".into()).await.unwrap();
    /// conn.next().await;
    /// conn.next().await;
    /// drop(conn);
    /// assert_eq!(first.as_deref(), Some("a text"));
    /// # });
    /// ```
    #[doc(alias = "on_next_message")]
    fn on_next_text<F, R>(self, hook: F) -> OnNextText<Self, F>
    where
        Self: Sized,
        F: FnOnce(&str) -> R,
        R: HookResult,
    {
        OnNextText::new(self, hook)
    }

    /// Calls `hook` with the payload of every ping. Its pong is queued already: the hook only watches.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let mut conn = conn.on_ping(|peer, payload| peer.send(format!("pinged with {payload:?}")));
    ///
    /// peer.ping("beat").unwrap();
    /// peer.send("a message".into()).await.unwrap();
    /// conn.next().await;
    /// conn.flush().await.unwrap();
    /// assert_eq!(peer.next().await, Some("pinged with b\"beat\"".into()));
    /// # });
    /// ```
    fn on_ping<F, R>(self, hook: F) -> OnPing<Self, F>
    where
        Self: Sized,
        F: FnMut(&mut Peer<'_>, &Bytes) -> R,
        R: HookResult,
    {
        OnPing::new(self, hook)
    }

    /// Calls `hook` with the payload of every pong: the answers to [`ping`](Self::ping) and to the
    /// keepalive's pings, and what nobody asked for (RFC 6455, section 5.5.3).
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (mut conn, peer) = Connection::pair();
    /// conn.ping("are you there?").unwrap();
    /// let conn = conn.on_pong(|peer, payload| {
    ///     assert_eq!(payload, "are you there?");
    ///     peer.close_with(1000, "");
    /// });
    ///
    /// let (ours, theirs) = futures::join!(conn.run(), peer.run());
    /// assert!(ours.clean && theirs.clean);
    /// # });
    /// ```
    fn on_pong<F, R>(self, hook: F) -> OnPong<Self, F>
    where
        Self: Sized,
        F: FnMut(&mut Peer<'_>, &Bytes) -> R,
        R: HookResult,
    {
        OnPong::new(self, hook)
    }

    /// Calls `hook` with what went wrong, if something does.
    ///
    /// That is at most once, after the Close that answers it is queued and before any hook of
    /// [`on_finish`](Self::on_finish). `hook` is not called at a drop.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, ErrorKind};
    ///
    /// # async_std::task::block_on(async {
    /// let (mut conn, mut peer) = Connection::pair();
    /// let mut kind = None;
    /// let conn = conn.on_error(|error| kind = Some(error.kind()));
    ///
    /// peer.abort();
    /// drop(peer);
    /// conn.run().await;
    /// assert_eq!(kind, Some(ErrorKind::Io));
    /// # });
    /// ```
    #[doc(alias = "parse_error")]
    fn on_error<F>(self, hook: F) -> OnError<Self, F>
    where
        Self: Sized,
        F: FnOnce(&Error),
    {
        OnError::new(self, hook)
    }

    /// Calls `hook` with how the connection ended: exactly once, however it ends.
    ///
    /// That is at the `None` of the stream, after all messages; before it, when the connection is
    /// dropped or taken apart: with the connection's own [`Finish`] if it has one, else with initiator
    /// us, code 1001 (1011 after a panic) and `clean: false`. Put on after the stream's end, it is
    /// called at once.
    ///
    /// # Panics
    ///
    /// As in any drop, a panic of `hook` while another one unwinds aborts the program.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{CloseCode, Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let mut code = None;
    /// drop(conn.on_finish(|finish| code = Some(finish.code)));
    /// assert_eq!(code, Some(CloseCode::GOING_AWAY));
    /// ```
    #[doc(alias = "finish")]
    fn on_finish<F>(self, hook: F) -> OnFinish<Self, F>
    where
        Self: Sized,
        F: FnOnce(&Finish),
    {
        OnFinish::new(self, hook)
    }

    /// Splits off a registry, through which any thread adds and takes off callbacks at any time.
    ///
    /// The callbacks run in this layer: after the hooks below it, before those above. Each message
    /// takes a lock for each callback; the combinators take none.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let (conn, callbacks) = conn.callbacks();
    /// let running = async_std::task::spawn(conn.run());
    ///
    /// let echo = callbacks.on_each(|peer, message| peer.send(message.clone()));
    /// peer.send("hello".into()).await.unwrap();
    /// assert_eq!(peer.next().await, Some("hello".into()));
    ///
    /// echo.cancel();
    /// callbacks.on_next(|peer, _| peer.close_with(1000, "that will do"));
    /// peer.send("hello?".into()).await.unwrap();
    /// assert_eq!(peer.next().await, None);
    /// assert_eq!(running.await.reason, "that will do");
    /// # });
    /// ```
    fn callbacks(self) -> (WithCallbacks<Self>, Callbacks)
    where
        Self: Sized,
    {
        WithCallbacks::new(self)
    }

    /// Makes the items `Result<Message, Error>`: an unclean end is a last `Err`, and then `None`.
    ///
    /// For `TryStreamExt` and for pipes. The sink half stays, so it splits. Hooks go on before this.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::ready;
    /// use futures::{SinkExt, StreamExt, TryStreamExt};
    /// use wsweave::{Connection, ConnectionExt, ErrorKind};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let (sink, stream) = conn.results().split();
    /// let echo = stream.try_filter(|message| ready(message.is_text())).forward(sink);
    ///
    /// let talk = async {
    ///     peer.send("hello".into()).await.unwrap();
    ///     assert_eq!(peer.next().await, Some("hello".into()));
    ///     peer.abort();
    ///     drop(peer);
    /// };
    /// let (echoed, ()) = futures::join!(echo, talk);
    /// assert_eq!(echoed.unwrap_err().kind(), ErrorKind::Io);
    /// # });
    /// ```
    fn results(self) -> Results<Self>
    where
        Self: Sized,
    {
        Results::new(self)
    }

    /// Gives no more messages in a time than `limit` says: what comes faster waits, or fails the
    /// connection with 1008, as [`RateLimit`] says.
    ///
    /// While a message waits no other one is read, so that TCP holds up the peer. The connection is driven
    /// all the same: pings that come before the next message are answered, and writing, closing and
    /// timeouts go on. Once it closes, what was read passes without waiting. Pings and pongs do not count;
    /// nor does anything that is sent.
    ///
    /// Time is that of [`Config::timer`](crate::Config::timer). A connection without a clock fails with
    /// 1011 at its first message, so that no limit is silently none.
    ///
    /// It is a layer as hooks are. Those put on before it, nearer to the connection, see a message when it
    /// is read: one that waits, or goes over the limit, too. Those put on behind it see what it lets pass,
    /// when it does.
    ///
    /// # Cancel safety
    ///
    /// A dropped `next()` loses nothing: what waits is kept here.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{CloseCode, Connection, ConnectionExt, RateLimit};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let mut conn = conn.limit_rate(RateLimit::new().messages(2)?.or_close());
    /// for number in ["1", "2", "3"] {
    ///     peer.send(number.into()).await?;
    /// }
    /// assert_eq!(conn.next().await, Some("1".into()));
    /// assert_eq!(conn.next().await, Some("2".into()));
    /// assert_eq!(conn.next().await, None);
    /// assert_eq!(conn.finish().unwrap().code, CloseCode::POLICY_VIOLATION);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    fn limit_rate(self, limit: RateLimit) -> LimitRate<Self>
    where
        Self: Sized,
    {
        LimitRate::new(self, limit)
    }

    /// Makes a stream of bytes of it: `AsyncRead`, `AsyncBufRead` and `AsyncWrite` over binary messages.
    ///
    /// Where one message ends and the next begins means nothing. The peer's Close is the end of the
    /// bytes; closing sends ours and leaves the reading. A text is an error, or taken as its bytes.
    /// Hooks go on before this. See [`ByteStream`].
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, peer) = Connection::pair();
    /// let (mut bytes, mut peer) = (conn.into_bytes(), peer.into_bytes());
    /// bytes.write_all(b"two\nlines").await?;
    /// bytes.close().await?;
    ///
    /// let mut lines = (&mut peer).lines();
    /// assert_eq!(lines.next().await.unwrap()?, "two");
    /// assert_eq!(lines.next().await.unwrap()?, "lines");
    /// assert!(lines.next().await.is_none());
    /// # Ok::<_, std::io::Error>(()) }).unwrap();
    /// ```
    fn into_bytes(self) -> ByteStream<Self>
    where
        Self: Sized,
    {
        ByteStream::new(self)
    }

    /// Makes the items values, which `codec` makes of messages, and messages of: see [`Codec`].
    ///
    /// The stream's items are results. A message that cannot be decoded is an `Err` that carries it, and
    /// the stream goes on, unless [`close_on_invalid`](WithCodec::close_on_invalid) says otherwise; an
    /// unclean end is a last `Err`, and then `None`, as with [`results`](Self::results). The sink takes
    /// values. It splits. Hooks go on before this; they and handles know messages.
    ///
    /// # Examples
    ///
    /// Messages that are one byte:
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt, TryStreamExt};
    /// use wsweave::{Codec, CodecError, Connection, ConnectionExt, Message};
    ///
    /// struct Byte;
    ///
    /// impl Codec for Byte {
    ///     type In = u8;
    ///     type Out = u8;
    ///     type Error = String;
    ///
    ///     fn encode(&mut self, byte: u8) -> Result<Message, String> {
    ///         Ok(vec![byte].into())
    ///     }
    ///
    ///     fn decode(&mut self, message: &Message) -> Result<u8, String> {
    ///         match message.as_bytes() {
    ///             [byte] => Ok(*byte),
    ///             bytes => Err(format!("{} bytes", bytes.len())),
    ///         }
    ///     }
    /// }
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let mut conn = conn.codec(Byte);
    ///
    /// peer.send(b"\x07\x08".into()).await.unwrap();
    /// let CodecError::Decode { message, error } = conn.next().await.unwrap().unwrap_err() else {
    ///     unreachable!()
    /// };
    /// assert_eq!((message.as_bytes(), &*error), (&[7, 8][..], "2 bytes"));
    ///
    /// peer.send(b"\x07".into()).await.unwrap();
    /// assert_eq!(conn.try_next().await.unwrap(), Some(7));
    /// conn.send(9).await.unwrap();
    /// assert_eq!(peer.next().await, Some(b"\x09".into()));
    /// # });
    /// ```
    fn codec<D>(self, codec: D) -> WithCodec<Self, D>
    where
        Self: Sized,
        D: Codec,
    {
        WithCodec::new(self, codec)
    }

    /// Makes the items values in JSON: [`codec`](Self::codec) with [`Json`], whose rules these are.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt, TryStreamExt};
    /// use serde::{Deserialize, Serialize};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// #[derive(Serialize)]
    /// #[serde(tag = "type", rename_all = "lowercase")]
    /// enum Order {
    ///     Buy { units: u32 },
    ///     Cancel,
    /// }
    ///
    /// #[derive(Debug, Deserialize, PartialEq)]
    /// struct Price {
    ///     cents: u32,
    /// }
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let mut conn = conn.json::<Price, Order>();
    ///
    /// peer.send(r#"{"cents": 250}"#.into()).await.unwrap();
    /// assert_eq!(conn.try_next().await.unwrap(), Some(Price { cents: 250 }));
    /// conn.feed(Order::Buy { units: 3 }).await.unwrap();
    /// conn.send(Order::Cancel).await.unwrap();
    /// assert_eq!(peer.next().await, Some(r#"{"type":"buy","units":3}"#.into()));
    ///
    /// peer.send(r#"{"cents": "many"}"#.into()).await.unwrap();
    /// assert_eq!(
    ///     conn.try_next().await.unwrap_err().to_string(),
    ///     "a message cannot be decoded: \
    ///      invalid type: string \"many\", expected u32 at line 1 column 16",
    /// );
    /// # });
    /// ```
    #[cfg(feature = "json")]
    fn json<In, Out>(self) -> WithCodec<Self, Json<In, Out>>
    where
        Self: Sized,
        In: serde::de::DeserializeOwned,
        Out: serde::Serialize,
    {
        self.codec(Json::new())
    }

    /// Drives the connection to its end and tells how that came. Messages go to the hooks, and are
    /// dropped behind them.
    ///
    /// # Cancel safety
    ///
    /// The future owns the connection: dropping it drops the connection. A loop over `next()` keeps it.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::SinkExt;
    /// use wsweave::{Connection, ConnectionExt, Initiator};
    ///
    /// # async_std::task::block_on(async {
    /// let (conn, mut peer) = Connection::pair();
    /// let (finish, closed) = futures::join!(conn.run(), peer.close());
    /// closed.unwrap();
    /// assert_eq!(finish.initiator, Initiator::Peer);
    /// # });
    /// ```
    fn run(self) -> Run<Self>
    where
        Self: Sized,
    {
        Run::new(self)
    }

    /// Passes the messages of each of two connections on to the other, until both have ended.
    ///
    /// A message is read only when the other side has room for it; each direction waits for itself, and
    /// pings are answered on each side. When one side ends, the other is closed with the same code
    /// and reason, or with 1014 or 1011 if there was no Close. Hooks on either run as ever. The rest is at
    /// [`Relay`].
    ///
    /// # Errors
    ///
    /// None; look at the two [`Finish`]es, this connection's first.
    ///
    /// # Examples
    ///
    /// A proxy of one connection:
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{CloseCode, Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (mut client, near) = Connection::pair();
    /// let (far, mut server) = Connection::pair();
    /// let talk = async {
    ///     client.send("hello".into()).await.unwrap();
    ///     assert_eq!(server.next().await, Some("hello".into()));
    ///     server.send("welcome".into()).await.unwrap();
    ///     assert_eq!(client.next().await, Some("welcome".into()));
    ///     let closing = client.close_with(4000, "done");
    ///     assert!(matches!(futures::join!(closing, server.next()), (Ok(()), None)));
    /// };
    /// let (finishes, ()) = futures::join!(near.relay(far), talk);
    /// assert!(finishes.0.clean && finishes.1.clean);
    /// assert_eq!(server.finish().unwrap().code, CloseCode(4000));
    /// assert_eq!(server.finish().unwrap().reason, "done");
    /// # });
    /// ```
    fn relay<B: Duplex>(self, other: B) -> Relay<Self, B>
    where
        Self: Sized,
    {
        Relay::new(self, other)
    }

    /// Closes with a code and a reason: writes what is queued, sends Close once, and waits for the
    /// peer's Close and the end of TCP, at most
    /// [`close_timeout`](crate::Config#structfield.close_timeout).
    ///
    /// `SinkExt::close` is this with 1000 and no reason. Reasons are cut to 123 bytes, at a character's
    /// boundary. If the connection is closing already, the first code stays. Once it has ended cleanly
    /// this is `Ok`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a code that must not be on the wire (RFC
    /// 6455, section 7.4); nothing has happened then. Otherwise the error of an unclean end.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens before the first poll. From then on the Close is on its way, and dropping the
    /// future only stops the waiting: poll the connection, or close it again, to go on.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, ErrorKind};
    ///
    /// # async_std::task::block_on(async {
    /// let (mut conn, peer) = Connection::pair();
    /// let refused = conn.close_with(1006, "").await.unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    ///
    /// let (closed, seen) = futures::join!(conn.close_with(4000, "bye"), peer.run());
    /// closed.unwrap();
    /// assert_eq!(seen.to_string(), "closed by the peer with code 4000 (\"bye\")");
    /// # });
    /// ```
    fn close_with<'a>(
        &'a mut self,
        code: impl Into<CloseCode>,
        reason: &'a str,
    ) -> CloseWith<'a, Self> {
        CloseWith::new(self, code.into(), reason)
    }

    /// Queues a ping. Its pong comes to [`on_pong`](Self::on_pong).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a payload above 125 bytes (RFC 6455, section
    /// 5.5), [`Closed`](crate::ErrorKind::Closed) once the connection is closing.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, ErrorKind};
    ///
    /// let (mut conn, _peer) = Connection::pair();
    /// conn.ping("are you there?").unwrap();
    /// let refused = conn.ping(vec![0; 126]).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    /// ```
    fn ping(&mut self, payload: impl Into<Bytes>) -> Result<(), Error> {
        Pin::new(self).peer().try_ping(payload.into())
    }

    /// Ends the connection without a word: no Close, nothing that was queued.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (mut conn, _peer) = Connection::pair();
    /// conn.abort();
    /// assert_eq!(conn.next().await, None);
    /// assert!(!conn.finish().unwrap().clean);
    /// # });
    /// ```
    fn abort(&mut self) {
        Pin::new(self).peer().abort();
    }

    /// Makes a handle: the connection as other tasks and threads see it. Made on first use; a
    /// connection without one pays nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (mut conn, mut peer) = Connection::pair();
    /// let handle = conn.handle();
    /// let running = async_std::task::spawn(conn.run());
    /// handle.send("from elsewhere").await.unwrap();
    /// assert_eq!(peer.next().await, Some("from elsewhere".into()));
    ///
    /// handle.close_with(1000, "").unwrap();
    /// assert_eq!(peer.next().await, None);
    /// assert!(running.await.clean);
    /// # });
    /// ```
    fn handle(&mut self) -> Handle {
        Pin::new(self).peer().handle()
    }

    /// How the connection ended; `None` as long as it has not.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{CloseCode, Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (mut conn, mut peer) = Connection::pair();
    /// assert!(conn.finish().is_none());
    /// let (none, closed) = futures::join!(conn.next(), peer.close());
    /// assert!(none.is_none() && closed.is_ok());
    /// assert_eq!(conn.finish().unwrap().code, CloseCode::NORMAL);
    /// # });
    /// ```
    #[doc(alias("close_code", "close_reason", "close_error"))]
    fn finish(&self) -> Option<&Finish> {
        self.ending()
    }

    /// The subprotocol that both sides agreed on (RFC 6455, section 1.9).
    ///
    /// `None` without one, and for a connection whose handshake was done elsewhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use wsweave::{Accept, Client, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let mut listener = wsweave::listen("127.0.0.1:0")
    ///     .await?
    ///     .on_request(|request| Ok(Accept::new().choose_subprotocol(request, ["chat.v2", "chat"])));
    /// let client = Client::new(&format!("ws://{}", listener.local_addr()))?.subprotocol("chat")?;
    ///
    /// let (client, server) = futures::join!(client.connect(), listener.next());
    /// assert_eq!(client?.subprotocol(), Some("chat"));
    /// assert_eq!(server.unwrap().subprotocol(), Some("chat"));
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    fn subprotocol(&self) -> Option<&str> {
        self.facts().opening?.subprotocol()
    }

    /// What both sides agreed on about compression (RFC 7692, section 7.1); `None` if messages go plain.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Compression, Config, Connection, ConnectionExt};
    ///
    /// let compressed = || Config::default().compression(Compression::default());
    /// let (client, server) = Connection::pair_with(compressed(), compressed());
    /// assert_eq!(client.compression().unwrap().server_max_window_bits, 15);
    /// assert_eq!(client.compression(), server.on_each(|_, _| ()).compression());
    ///
    /// let (client, _server) = Connection::pair_with(compressed(), Config::default());
    /// assert_eq!(client.compression(), None);
    /// ```
    fn compression(&self) -> Option<AgreedCompression> {
        self.facts().compression
    }

    /// The client's request, at a server: its path, query and headers. It is parsed anew at each call.
    ///
    /// `None` at a client, after [`forget_head`](Self::forget_head), and for a connection whose
    /// handshake was done elsewhere, or by a framework with
    /// [`upgrade`](crate::handshake::server::upgrade): that has the request.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use wsweave::ConnectionExt;
    ///
    /// # async_std::task::block_on(async {
    /// let mut listener = wsweave::listen("127.0.0.1:0").await?;
    /// let url = format!("ws://{}/room?id=7", listener.local_addr());
    ///
    /// let (client, server) = futures::join!(wsweave::connect(&url), listener.next());
    /// let request = server.unwrap().request().unwrap();
    /// assert_eq!(request.uri().path(), "/room");
    /// assert_eq!(request.uri().query(), Some("id=7"));
    /// assert!(client?.request().is_none());
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    fn request(&self) -> Option<Request<()>> {
        self.facts().opening?.parse_request()
    }

    /// The address at the other end of TCP: at a client the one of the server's that answered, at a server
    /// the client's, or that of a proxy in front of it.
    ///
    /// `None` through a client's proxy, for a Unix socket, and for a connection over a transport that was
    /// made elsewhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use wsweave::ConnectionExt;
    ///
    /// # async_std::task::block_on(async {
    /// let mut server = wsweave::listen("127.0.0.1:0").await?;
    /// let url = format!("ws://{}", server.local_addr());
    ///
    /// let (_client, conn) = futures::join!(wsweave::connect(&url), server.next());
    /// assert!(conn.unwrap().peer_addr().unwrap().ip().is_loopback());
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    fn peer_addr(&self) -> Option<SocketAddr> {
        self.facts().opening?.peer_addr
    }

    /// The server's answer, at a client: its headers. It is parsed anew at each call.
    ///
    /// `None` at a server, after [`forget_head`](Self::forget_head), and for a connection whose
    /// handshake was done elsewhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use wsweave::{Accept, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let mut listener = wsweave::listen("127.0.0.1:0")
    ///     .await?
    ///     .on_request(|_| Ok(Accept::new().header("Server", "loom")?));
    /// let url = format!("ws://{}", listener.local_addr());
    ///
    /// let (client, _server) = futures::join!(wsweave::connect(&url), listener.next());
    /// assert_eq!(client?.response().unwrap().headers()["server"], "loom");
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    fn response(&self) -> Option<Response<()>> {
        self.facts().opening?.parse_response()
    }

    /// Frees the memory of [`request`](Self::request) and [`response`](Self::response), for servers
    /// that hold many idle connections. The subprotocol stays.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use wsweave::ConnectionExt;
    ///
    /// # async_std::task::block_on(async {
    /// let mut listener = wsweave::listen("127.0.0.1:0").await?;
    /// let url = format!("ws://{}", listener.local_addr());
    ///
    /// let (_client, server) = futures::join!(wsweave::connect(&url), listener.next());
    /// let mut server = server.unwrap();
    /// server.forget_head();
    /// assert!(server.request().is_none());
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    fn forget_head(&mut self) {
        Pin::new(self).peer().forget_head();
    }

    /// What has gone over the connection so far: messages, frames and bytes each way, what waits to be
    /// written, for how long it has been open. It stays when the connection has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::SinkExt;
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// # async_std::task::block_on(async {
    /// let (mut conn, _peer) = Connection::pair();
    /// conn.feed("waits".into()).await?;
    /// assert_eq!((conn.stats().queued, conn.stats().sent.wire), (11, 0));
    /// conn.flush().await?;
    /// assert_eq!((conn.stats().queued, conn.stats().sent.wire), (0, 11));
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    fn stats(&self) -> Stats {
        self.traffic()
    }

    /// The round trip that keepalive has measured last: the time from a ping, sent into silence, to
    /// its pong. `None` while there is no measurement.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// assert_eq!(conn.latency(), None);
    /// ```
    fn latency(&self) -> Option<Duration> {
        self.facts().latency
    }

    /// The transport, to look at: its addresses, say.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, Pipe};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let conn = conn.on_each(|_, _| ());
    /// let _pipe: &Pipe = conn.get_ref();
    /// ```
    fn get_ref(&self) -> &Self::Transport {
        self.transport()
    }

    /// Gives the connection up and returns its transport. No Close is sent; what was queued, or read
    /// and not yet delivered, is lost. The hooks of [`on_finish`](Self::on_finish) run first, as in a
    /// drop.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsweave::{Connection, ConnectionExt, Pipe};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let mut line = String::new();
    /// let conn = conn.on_finish(|finish| line = finish.to_string());
    /// let _pipe: Pipe = conn.into_inner();
    /// assert_eq!(line, "closed by us with code 1001, unclean");
    /// ```
    fn into_inner(self) -> Self::Transport
    where
        Self: Sized,
    {
        self.into_transport()
    }
}

impl<C: Duplex + ?Sized> ConnectionExt for C {}
