//! This crate.

use futures::{AsyncRead, AsyncWrite, SinkExt, StreamExt};
use wsweave::{Config, Connection, ConnectionExt, Duplex, Message, Role, Text};

use super::{Got, Read, Write};
use crate::transport::{Payload, Wire};

/// A connection, with whatever hooks.
pub(crate) struct Wsweave<D>(pub(crate) D);

pub(crate) fn connect(wire: Wire, role: Role) -> Wsweave<Connection<Wire>> {
    Wsweave(Connection::from_raw(wire, role, Config::default()))
}

impl<D: Duplex + Unpin + 'static> Read for Wsweave<D> {
    #[inline]
    async fn read(&mut self, got: &mut Got) {
        match self.0.next().await {
            Some(message) => got.see(message.as_bytes(), message.is_text()),
            None => super::unexpected(self.0.finish()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Write for Wsweave<Connection<S>> {
    type Message = Message;

    fn message(payload: &Payload) -> Message {
        if payload.text {
            Text::try_from(payload.bytes.clone()).expect("valid UTF-8").into()
        } else {
            payload.bytes.clone().into()
        }
    }

    #[inline]
    async fn feed(&mut self, message: &Message) {
        self.0.feed(message.clone()).await.expect("open");
    }

    #[inline]
    async fn flush(&mut self) {
        self.0.flush().await.expect("open");
    }
}
