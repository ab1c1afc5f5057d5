//! One WebSocket connection that is a stream of messages in, a sink of messages out, and a place to
//! hang callbacks on: all three on the same value, at the same time.
//!
//! # Three styles
//!
//! A loop:
//!
//! ```no_run
//! use futures::StreamExt;
//! use wsweave::ConnectionExt;
//!
//! # async_std::task::block_on(async {
//! let mut conn = wsweave::connect("ws://example.com/feed").await?;
//! while let Some(message) = conn.next().await {
//!     println!("{message:?}");
//! }
//! println!("{}", conn.finish().unwrap());
//! # Ok::<_, wsweave::Error>(()) }).unwrap();
//! ```
//!
//! A pipe of futures combinators:
//!
//! ```no_run
//! # use wsweave::ConnectionExt;
//! use std::future::ready;
//!
//! use futures::{StreamExt, TryStreamExt};
//!
//! # async_std::task::block_on(async {
//! # let conn = wsweave::connect("ws://example.com/feed").await?;
//! let (sink, stream) = conn.results().split();
//! stream.try_filter(|message| ready(message.is_text())).forward(sink).await?;
//! # Ok::<_, wsweave::Error>(()) }).unwrap();
//! ```
//!
//! Callbacks:
//!
//! ```no_run
//! use wsweave::ConnectionExt;
//!
//! # async_std::task::block_on(async {
//! # let conn = wsweave::connect("ws://example.com/feed").await?;
//! let finish = conn
//!     .on_next(|peer, hello| peer.send(format!("got {hello:?}"))) // once
//!     .on_each(|peer, message| peer.send(message.clone())) // every message
//!     .on_finish(|finish| println!("{finish}")) // exactly once
//!     .run()
//!     .await;
//! # Ok::<_, wsweave::Error>(()) }).unwrap();
//! ```
//!
//! # Where connections come from
//!
//! - [`connect`], and [`Client`] with all its settings; [`listen`], and [`Server`].
//! - [`Client::reconnect`]: any number of connections, one after the other, as one value.
//! - [`Client::connect_over`] and [`Acceptor::accept`] do the opening handshake over any transport.
//! - In a framework that speaks HTTP, [`handshake::server::upgrade`]; over a transport on which the
//!   handshake was done, [`Connection::from_raw`].
//! - A socket of async-tungstenite or tokio-tungstenite gets hooks from [`adopt`](mod@adopt).
//!
//! # Values instead of messages
//!
//! [`codec`](ConnectionExt::codec) makes a stream and a sink of values, as a [`Codec`] of yours puts them
//! into messages; `json`, with the feature of that name, of what serde knows. On top,
//! [`calls`](WithCodec::calls) matches answers to requests.
//!
//! # What to know first
//!
//! - **Nothing moves unless it is polled**: pings are answered, queued messages written and timeouts
//!   kept only while something polls the connection. Writes of hooks and of `feed` coalesce, and go out
//!   when reading would block at the latest; `send` means written. See [`Connection`].
//! - **Hooks go on first**, before `split` and before the adapters of `StreamExt`. The one nearest to
//!   the connection runs first. See [`ConnectionExt`].
//! - **The stream ends with `None`, once**; [`finish`](ConnectionExt::finish) then says how. See
//!   [`Finish`].
//!
//! # Features
//!
//! - `async-std` (on by default), `smol`, `tokio`: a runtime each, for [`connect`] and [`listen`], as a
//!   clock for timeouts and keepalive, and for background work after a drop. With several, it is tokio
//!   inside of a tokio runtime, else async-std, else smol; a connection stays with the one that it was
//!   made on, whoever polls or drops it. A runtime of tokio needs both drivers (`enable_all`): without
//!   that of IO `connect` and `listen` give an error; without that of time, and when the runtime is shut
//!   down, its clock stands still.
//! - Without any of them everything works that needs no clock, name look-up or listener:
//!   [`Client::connect_over`], [`Acceptor::accept`], [`Connection::from_raw`], the hooks;
//!   [`Config::timer`] brings a clock of your own. `connect` and `listen` then give an error of kind
//!   [`ErrorKind::Unsupported`].
//! - `tls`, on by default: `wss://` and servers with TLS, by rustls, which is then re-exported. Without
//!   it `wss://` is an error of that kind, too.
//! - `env-proxy`, on by default: [`Client::connect`] asks the environment for a proxy.
//! - `json`: `ConnectionExt::json`, messages as values of any types that serde knows, by `serde_json`.

pub mod adopt;
mod close;
mod compression;
mod config;
mod connection;
mod error;
mod ext;
mod group;
pub mod handshake;
mod message;
mod net;
mod protocol;
mod rt;
mod socket;
mod stats;
mod sync;
mod timeout;
mod wake;

pub use bytes::Bytes;
#[cfg(feature = "tls")]
pub use futures_rustls::rustls;
pub use http;

#[cfg(feature = "json")]
pub use crate::ext::{Json, JsonError};
#[cfg(feature = "tls")]
pub use crate::net::{ClientTls, ServerTls};
pub use crate::{
    adopt::adopt,
    close::{CloseCode, CloseFrame, Finish, Initiator},
    compression::{AgreedCompression, Compression},
    config::{Config, Role, Sleep, Timer},
    connection::{Connection, Handle, Peer, Pipe, TrySendError},
    error::{Error, ErrorKind},
    ext::{
        ByteStream, CallError, Callbacks, Caller, CloseWith, Codec, CodecError, ConnectionExt,
        Duplex, Event, HookResult, LimitRate, OnEach, OnEachAsync, OnEachText, OnError, OnFinish,
        OnNext, OnNextText, OnPing, OnPong, RateLimit, Registration, Relay, Results, Run,
        WithCallbacks, WithCalls, WithCodec,
    },
    group::{Change, Changes, Drain, Group, GroupConfig, Lag, LagPolicy, MemberId, Membership},
    handshake::answer::{Accept, Refusal},
    message::{Message, Text},
    net::{
        Acceptor, Client, Origins, Outage, Proxy, Reconnect, ReconnectPolicy, Server, ServerHandle,
        Shutdown, Status, connect, listen,
    },
    rt::Listening,
    socket::Socket,
    stats::{Stats, Traffic},
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
