//! web-socket.

use tokio::io::{AsyncRead, AsyncWrite, BufStream};
use web_socket::{DataType, Event, MessageType, WebSocket};

use super::{Got, Read, Write};
use crate::transport::{Payload, Wire};

/// It reads header and payload one by one, and asks to be given a buffer.
pub(crate) fn server(wire: Wire) -> WebSocket<BufStream<Wire>> {
    WebSocket::server(buffered(wire))
}

pub(crate) fn client(wire: Wire) -> WebSocket<BufStream<Wire>> {
    WebSocket::client(buffered(wire))
}

fn buffered(wire: Wire) -> BufStream<Wire> {
    BufStream::with_capacity(8 << 10, 64 << 10, wire)
}

impl Read for WebSocket<BufStream<Wire>> {
    #[inline]
    async fn read(&mut self, got: &mut Got) {
        match self.recv_event().await {
            Ok(Event::Data { ty: DataType::Complete(MessageType::Text), data }) => {
                // It does not do that.
                assert!(simdutf8::basic::from_utf8(&data).is_ok(), "invalid UTF-8");
                got.see(&data, true);
            }
            Ok(Event::Data { ty: DataType::Complete(MessageType::Binary), data }) => {
                got.see(&data, false);
            }
            other => super::unexpected(other),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Write for WebSocket<S> {
    type Message = Payload;

    fn message(payload: &Payload) -> Payload {
        payload.clone()
    }

    #[inline]
    async fn feed(&mut self, message: &Payload) {
        let sent = if message.text {
            self.send(std::str::from_utf8(&message.bytes).expect("valid UTF-8")).await
        } else {
            self.send(&*message.bytes).await
        };
        sent.expect("open");
    }

    #[inline]
    async fn flush(&mut self) {
        self.flash().await.expect("open");
    }
}
