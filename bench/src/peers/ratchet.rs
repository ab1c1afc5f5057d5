//! ratchet.

use bytes::BytesMut;
use ratchet_rs::{Message, NoExt, PayloadType, Role, WebSocket, WebSocketConfig};

use super::{Got, Read, Write};
use crate::transport::{Payload, Wire};

pub(crate) struct Ratchet {
    socket: WebSocket<Wire, NoExt>,
    message: BytesMut,
}

pub(crate) fn connect(wire: Wire, role: Role) -> Ratchet {
    let config = WebSocketConfig::default();
    let socket = WebSocket::from_upgraded(config, wire, Some(NoExt), BytesMut::new(), role);
    Ratchet { socket, message: BytesMut::new() }
}

impl Read for Ratchet {
    #[inline]
    async fn read(&mut self, got: &mut Got) {
        self.message.clear();
        match self.socket.read(&mut self.message).await {
            Ok(Message::Text) => got.see(&self.message, true),
            Ok(Message::Binary) => got.see(&self.message, false),
            other => super::unexpected(other),
        }
    }
}

impl Write for Ratchet {
    type Message = Payload;

    fn message(payload: &Payload) -> Payload {
        payload.clone()
    }

    #[inline]
    async fn feed(&mut self, message: &Payload) {
        let kind = if message.text { PayloadType::Text } else { PayloadType::Binary };
        self.socket.write(&message.bytes, kind).await.expect("open");
    }

    #[inline]
    async fn flush(&mut self) {
        self.socket.flush().await.expect("open");
    }
}
