//! tokio-websockets.

use futures::{SinkExt, StreamExt};
use tokio_websockets::{
    ClientBuilder, Config, Limits, Message, Payload as Shared, ServerBuilder, WebSocketStream,
};

use super::{Got, Read, Write};
use crate::transport::{Payload, Wire};

pub(crate) fn server(wire: Wire) -> WebSocketStream<Wire> {
    ServerBuilder::new().limits(Limits::unlimited()).serve(wire)
}

pub(crate) fn client(wire: Wire) -> WebSocketStream<Wire> {
    ClientBuilder::new().take_over(wire)
}

/// With one frame a message whatever its size (4 MiB is the default), and fewer writes.
pub(crate) fn tuned_server(wire: Wire) -> WebSocketStream<Wire> {
    ServerBuilder::new().config(tuned()).limits(Limits::unlimited()).serve(wire)
}

pub(crate) fn tuned_client(wire: Wire) -> WebSocketStream<Wire> {
    ClientBuilder::new().config(tuned()).take_over(wire)
}

fn tuned() -> Config {
    Config::default().flush_threshold(64 << 10)
}

impl Read for WebSocketStream<Wire> {
    #[inline]
    async fn read(&mut self, got: &mut Got) {
        match self.next().await {
            Some(Ok(message)) if message.is_text() || message.is_binary() => {
                got.see(message.as_payload(), message.is_text());
            }
            other => super::unexpected(other),
        }
    }
}

impl Write for WebSocketStream<Wire> {
    type Message = Message;

    fn message(payload: &Payload) -> Message {
        let shared = Shared::from(payload.bytes.clone());
        if payload.text { Message::text(shared) } else { Message::binary(shared) }
    }

    #[inline]
    async fn feed(&mut self, message: &Message) {
        SinkExt::feed(self, message.clone()).await.expect("open");
    }

    #[inline]
    async fn flush(&mut self) {
        SinkExt::flush(self).await.expect("open");
    }
}
