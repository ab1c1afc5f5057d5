//! Hooks for WebSocket streams made elsewhere, and everything else of a [`Connection`]: [`adopt()`]
//! takes any stream and sink of tungstenite's messages.
//!
//! That is the `WebSocketStream` of async-tungstenite (with its feature `futures-03-sink`) or of
//! tokio-tungstenite, of the same [`tungstenite`] each, or what was made of one with the adapters of
//! `futures`.

mod adopted;
mod translate;

pub use async_tungstenite::tungstenite;
use async_tungstenite::tungstenite::{Error, Message};
use futures_core::Stream;
use futures_sink::Sink;

pub use self::adopted::Adopted;
use crate::{
    config::{Config, Role},
    connection::Connection,
};

/// Makes a connection of a WebSocket that tungstenite drives, at whichever end: client or server.
///
/// Everything works as on any [`Connection`]: hooks, handles, keepalive, timeouts, the closing
/// handshake, [`linger_on_drop`](Connection::linger_on_drop). What tungstenite does by itself it keeps
/// doing:
///
/// - It makes the frames. Of the limits of `config` on what is received
///   [`max_message_size`](Config::max_message_size) alone counts, behind those of tungstenite's own
///   configuration; [`fragment_size`](Config::fragment_size) has no effect.
/// - It answers pings.
/// - It answers the peer's Close as soon as that is read. What is queued then because the peer takes
///   nothing is dropped.
/// - It sends no Close when the peer breaks a rule: the connection ends, unclean, with an error whose
///   [`source`](std::error::Error::source) is tungstenite's.
/// - It leaves TCP open until it is dropped. Drop the connection soon after its end: the peer may be
///   waiting for that.
///
/// So that what was read can be answered before a Close that may be next, the task is polled once more
/// between any two messages.
///
/// # Examples
///
/// The echo server of async-tungstenite's examples, and a hook in it:
///
/// ```
/// # use futures::SinkExt;
/// use futures::{StreamExt, TryStreamExt, future::ready};
/// use wsweave::{Config, ConnectionExt};
///
/// # async_std::task::block_on(async {
/// # let listener = async_std::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let url = format!("ws://{}", listener.local_addr()?);
/// # let serve = async {
/// # let (stream, _) = listener.accept().await?;
/// let ws = async_tungstenite::accept_async(stream).await?;
/// let ws = wsweave::adopt(ws, Config::default())
///     .on_each(|_, message| println!("{message:?}"))
///     .results();
/// let (sink, stream) = ws.split();
/// stream.try_filter(|message| ready(message.is_text())).forward(sink).await?;
/// # Ok::<_, Box<dyn std::error::Error>>(()) };
/// # let ask = async {
/// #     let mut client = wsweave::connect(&url).await?;
/// #     client.send("hello".into()).await?;
/// #     assert_eq!(client.next().await, Some("hello".into()));
/// #     client.close().await?;
/// #     Ok(())
/// # };
/// # futures::try_join!(serve, ask)?;
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub fn adopt<T>(ws: T, config: Config) -> Connection<Adopted<T>>
where
    T: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    let config = Config { max_frame_size: usize::MAX, fragment_size: None, ..config };
    // At either end tungstenite's stream ends when all is done, and that is what a client waits for.
    Connection::from_raw(Adopted::new(ws), Role::Client, config).without_masks()
}
