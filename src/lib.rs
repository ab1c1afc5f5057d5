//! One WebSocket connection that is a stream of messages in, a sink of messages out, and a place to
//! hang callbacks on: all three on the same value, at the same time.

mod close;
mod config;
mod connection;
mod error;
mod ext;
mod message;
mod protocol;
mod rt;

pub use bytes::Bytes;
pub use http;

pub use crate::{
    close::{CloseCode, CloseFrame, Finish, Initiator},
    config::{Config, Role, Sleep, Timer},
    connection::{Connection, Handle, Peer, Pipe, Socket, TrySendError},
    error::{Error, ErrorKind},
    ext::{
        Callbacks, CloseWith, ConnectionExt, Duplex, Event, HookResult, OnEach, OnEachAsync,
        OnEachText, OnError, OnFinish, OnNext, OnNextText, OnPing, OnPong, Registration, Results,
        Run, WithCallbacks,
    },
    message::{Message, Text},
};
