//! [`Codec`], and [`WithCodec`]: a connection whose items are values.

use std::{
    error::Error as StdError,
    fmt,
    hash::Hash,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::{
    close::{CloseCode, CloseFrame, Finish},
    error::Error,
    ext::{Caller, Duplex, OnFinish, Results, WithCalls},
    message::Message,
};

/// How values travel in messages, for [`ConnectionExt::codec`](crate::ConnectionExt::codec).
///
/// One value a message. How large a message may be is the connection's to say:
/// [`Config::max_message_size`](crate::Config#structfield.max_message_size). What a message is made into
/// the codec bounds: its depth, a length that is merely announced.
///
/// A codec runs like a hook: a panic unwinds to whoever polls, and the connection then closes with 1011
/// as it is dropped.
///
/// # Examples
///
/// Numbers in text messages:
///
/// ```
/// use futures::{SinkExt, TryStreamExt};
/// use wsweave::{Codec, Connection, ConnectionExt, Message};
///
/// struct Numbers;
///
/// impl Codec for Numbers {
///     type In = u64;
///     type Out = u64;
///     type Error = &'static str;
///
///     fn encode(&mut self, number: u64) -> Result<Message, &'static str> {
///         Ok(number.to_string().into())
///     }
///
///     fn decode(&mut self, message: &Message) -> Result<u64, &'static str> {
///         let text = message.as_text().ok_or("not a text")?;
///         text.parse().map_err(|_| "not a number")
///     }
/// }
///
/// # async_std::task::block_on(async {
/// let (conn, peer) = Connection::pair();
/// let (mut conn, mut peer) = (conn.codec(Numbers), peer.codec(Numbers));
/// conn.send(7).await.unwrap();
/// assert_eq!(peer.try_next().await.unwrap(), Some(7));
/// # });
/// ```
pub trait Codec {
    /// What messages are decoded into.
    type In;
    /// What is encoded into messages.
    type Out;
    /// Why either may fail.
    type Error;

    /// Makes the message for a value.
    ///
    /// # Errors
    ///
    /// Nothing is sent then, and the next value may be.
    fn encode(&mut self, value: Self::Out) -> Result<Message, Self::Error>;

    /// Makes the value of a message.
    ///
    /// A binary payload is a [`Bytes`](crate::Bytes): clones and slices of it share its memory, so that a
    /// value can hold parts of the message without a copy.
    ///
    /// # Errors
    ///
    /// The stream's item is then a [`CodecError::Decode`] with the message, and the next one is decoded.
    fn decode(&mut self, message: &Message) -> Result<Self::In, Self::Error>;
}

pin_project! {
    /// A connection as a stream and a sink of values: see
    /// [`ConnectionExt::codec`](crate::ConnectionExt::codec).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use wsweave::{Connection, ConnectionExt, Json, Pipe, WithCodec};
    ///
    /// type Numbers = WithCodec<Connection<Pipe>, Json<u64, u64>>;
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Numbers = conn.json();
    /// # }
    /// ```
    #[must_use = "a connection does nothing unless polled"]
    pub struct WithCodec<C, D> {
        #[pin]
        inner: Results<C>,
        codec: D,
        // What to close with when a message cannot be decoded; `None` is: not at all.
        close: Option<CloseCode>,
    }
}

impl<C, D> WithCodec<C, D> {
    pub(super) fn new(inner: C, codec: D) -> Self {
        Self { inner: Results::new(inner), codec, close: None }
    }

    /// Closes the connection when a message cannot be decoded: usually with
    /// [`CloseCode::INVALID_PAYLOAD`], 1007.
    ///
    /// The item is still a [`CodecError::Decode`]. The stream then goes on to its end: what the peer has
    /// sent before it saw the Close is decoded, too. By default nothing is closed.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a code that must not be on the wire (RFC
    /// 6455, section 7.4).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "json")]
    /// # async_std::task::block_on(async {
    /// use futures::{SinkExt, StreamExt};
    /// use wsweave::{CloseCode, Connection, ConnectionExt};
    ///
    /// let (conn, mut peer) = Connection::pair();
    /// let mut conn = conn.json::<u64, u64>().close_on_invalid(CloseCode::INVALID_PAYLOAD)?;
    ///
    /// peer.send("seven".into()).await?;
    /// assert!(conn.next().await.unwrap().is_err());
    /// let (none, end) = futures::join!(conn.next(), peer.next());
    /// assert!(none.is_none() && end.is_none());
    /// assert_eq!(peer.finish().unwrap().code, CloseCode::INVALID_PAYLOAD);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub fn close_on_invalid(self, code: impl Into<CloseCode>) -> Result<Self, Error> {
        let CloseFrame { code, .. } = CloseFrame::sendable(code.into(), INVALID)?;
        Ok(Self { close: Some(code), ..self })
    }

    /// Matches answers to requests by their ids: returns the connection, from whose stream the answers
    /// that somebody waits for are taken, and a [`Caller`] for any task.
    ///
    /// **Nothing moves unless that stream is polled**: a call that is awaited where it should be polled
    /// waits for its timeout. See [`Caller`] for the rules.
    ///
    /// `request_id` tells the id of what is sent, `response_id` that of what arrives; `None` is one that
    /// is no request, or no response. The caller's requests are encoded by clones of the codec.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "json")]
    /// # async_std::task::block_on(async {
    /// use futures::{StreamExt, join};
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// // An id and a text; what has no id was not asked for.
    /// type Line = (Option<u64>, String);
    ///
    /// let (mut conn, peer) = Connection::pair();
    /// let handle = conn.handle();
    /// let conn = conn.json::<Line, Line>();
    /// let (mut conn, caller) = conn.calls(|request| request.0, |response| response.0);
    ///
    /// let serve = peer.on_each(|peer, message| {
    ///     peer.send(r#"[null, "news"]"#);
    ///     peer.send(message.as_text().unwrap_or_default().to_uppercase());
    /// });
    /// let ask = async {
    ///     let (one, two) =
    ///         join!(caller.call((Some(1), "one".into())), caller.call((Some(2), "two".into())));
    ///     assert_eq!(one.unwrap().1, "ONE");
    ///     assert_eq!(two.unwrap().1, "TWO");
    ///     handle.close_with(1000, "").unwrap();
    /// };
    /// let rest = async {
    ///     while let Some(line) = conn.next().await {
    ///         assert_eq!(line.unwrap(), (None, "news".into()));
    ///     }
    /// };
    /// join!(ask, rest, serve.run());
    /// # });
    /// ```
    pub fn calls<Id, F, G>(
        self,
        request_id: F,
        response_id: G,
    ) -> (WithCalls<C, D, Id, G>, Caller<D, Id>)
    where
        C: Duplex,
        D: Codec<In: Send + 'static> + Clone,
        Id: Clone + Eq + Hash + Send + 'static,
        F: Fn(&D::Out) -> Option<Id> + Send + Sync + 'static,
        G: FnMut(&D::In) -> Option<Id>,
    {
        WithCalls::new(self, request_id, response_id)
    }

    /// The connection below.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// assert!(conn.json::<u64, u64>().get_ref().finish().is_none());
    /// # }
    /// ```
    pub fn get_ref(&self) -> &C {
        self.inner.get_ref()
    }

    /// The connection below, to call what only a connection has.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use wsweave::{Connection, ConnectionExt};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let mut conn = conn.json::<u64, u64>();
    /// conn.get_mut().ping("are you there?").unwrap();
    /// # }
    /// ```
    pub fn get_mut(&mut self) -> &mut C {
        self.inner.get_mut()
    }

    /// Turns this back into the connection below. Nothing is lost.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use wsweave::{Connection, ConnectionExt, Pipe};
    ///
    /// let (conn, _peer) = Connection::pair();
    /// let _conn: Connection<Pipe> = conn.json::<u64, u64>().into_inner();
    /// # }
    /// ```
    pub fn into_inner(self) -> C {
        self.inner.into_inner()
    }

    /// Puts a hook on the end below, nearest to this.
    pub(super) fn on_finish<F: FnOnce(&Finish)>(self, hook: F) -> WithCodec<OnFinish<C, F>, D>
    where
        C: Duplex,
    {
        let Self { inner, codec, close } = self;
        WithCodec { inner: inner.map(|inner| OnFinish::new(inner, hook)), codec, close }
    }

    pub(super) fn codec(&self) -> &D {
        &self.codec
    }
}

impl<C: Duplex, D> WithCodec<C, D> {
    /// Runs code of the user's as a hook is run.
    pub(super) fn watch<T>(&mut self, code: impl FnOnce(&mut D) -> T) -> T {
        Pin::new(self.inner.get_mut()).peer().watch(|_| code(&mut self.codec))
    }
}

impl<C: Duplex, D: Codec> Stream for WithCodec<C, D> {
    type Item = Result<D::In, CodecError<D::Error>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let message = match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Poll::Ready(Some(Err(CodecError::Connection(error)))),
            None => return Poll::Ready(None),
        };
        Poll::Ready(Some(match this.watch(|codec| codec.decode(&message)) {
            Ok(value) => Ok(value),
            Err(error) => {
                if let Some(code) = this.close {
                    Pin::new(this.get_mut()).peer().close_with(code, INVALID);
                }
                Err(CodecError::Decode { message, error })
            }
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl<C: Duplex, D: Codec> FusedStream for WithCodec<C, D> {
    fn is_terminated(&self) -> bool {
        self.inner.is_terminated()
    }
}

impl<C: Duplex, D: Codec> Sink<D::Out> for WithCodec<C, D> {
    type Error = CodecError<D::Error>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.project().inner.poll_ready(cx).map_err(CodecError::Connection)
    }

    fn start_send(self: Pin<&mut Self>, value: D::Out) -> Result<(), Self::Error> {
        let this = self.get_mut();
        let message = this.watch(|codec| codec.encode(value)).map_err(CodecError::Encode)?;
        Pin::new(&mut this.inner).start_send(message).map_err(CodecError::Connection)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.project().inner.poll_flush(cx).map_err(CodecError::Connection)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.project().inner.poll_close(cx).map_err(CodecError::Connection)
    }
}

impl<C: fmt::Debug, D> fmt::Debug for WithCodec<C, D> {
    delegate_debug!(WithCodec, inner);
}

/// What goes wrong on a connection with a codec. One type for the stream and the sink, so that `forward`
/// takes both.
///
/// Only [`Connection`](Self::Connection) is about the connection, and from the stream it is the last
/// item.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "json")]
/// # async_std::task::block_on(async {
/// use futures::{SinkExt, StreamExt};
/// use wsweave::{CodecError, Connection, ConnectionExt};
///
/// let (conn, mut peer) = Connection::pair();
/// let mut conn = conn.json::<Vec<u64>, ()>();
/// for text in ["[1, 2", "[1, 2]"] {
///     peer.send(text.into()).await.unwrap();
/// }
/// peer.abort();
///
/// let mut log = Vec::new();
/// while let Some(item) = conn.next().await {
///     log.push(match item {
///         Ok(numbers) => format!("{numbers:?}"),
///         Err(CodecError::Decode { message, error }) => format!("{message:?}: {error}"),
///         Err(error) => format!("the end: {error}"),
///     });
/// }
/// assert_eq!(log[0], r#"Text("[1, 2"): EOF while parsing a list at line 1 column 5"#);
/// assert_eq!(log[1], "[1, 2]");
/// assert!(log[2].starts_with("the end"));
/// # });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CodecError<E> {
    /// A message that arrived cannot be decoded. The stream goes on.
    Decode {
        /// What arrived.
        message: Message,
        /// What the codec said.
        error: E,
    },
    /// A value cannot be encoded. Nothing else is lost, and the sink can be used on.
    Encode(E),
    /// The connection's own error.
    Connection(Error),
}

impl<E> CodecError<E> {
    /// The message, if one could not be decoded.
    ///
    /// ```
    /// use wsweave::CodecError;
    ///
    /// let error = CodecError::Decode { message: "x".into(), error: "not a number" };
    /// assert_eq!(error.into_message(), Some("x".into()));
    /// ```
    #[must_use]
    pub fn into_message(self) -> Option<Message> {
        match self {
            Self::Decode { message, .. } => Some(message),
            Self::Encode(_) | Self::Connection(_) => None,
        }
    }
}

/// One line, the cause included, without the message.
impl<E: fmt::Display> fmt::Display for CodecError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode { error, .. } => write!(f, "{INVALID}: {error}"),
            Self::Encode(error) => write!(f, "a value cannot be encoded: {error}"),
            Self::Connection(error) => error.fmt(f),
        }
    }
}

/// Whatever can be shown does for `E`, a boxed error or a text, too: `source` is the connection's error
/// alone.
impl<E: fmt::Debug + fmt::Display> StdError for CodecError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Decode { .. } | Self::Encode(_) => None,
            Self::Connection(error) => Some(error),
        }
    }
}

const INVALID: &str = "a message cannot be decoded";
