//! async-tungstenite and tokio-tungstenite: one engine, two ways of driving it.

use async_tungstenite::tungstenite::{
    Message,
    protocol::{Role, WebSocketConfig},
};
use futures::{SinkExt, Stream, StreamExt};

use super::{Got, Read, Write};
use crate::transport::{Payload, Wire};

pub(crate) type Async = async_tungstenite::WebSocketStream<Wire>;
pub(crate) type Tokio = tokio_tungstenite::WebSocketStream<Wire>;

pub(crate) async fn asynchronous(wire: Wire, role: Role, config: WebSocketConfig) -> Async {
    Async::from_raw_socket(wire, role, Some(config)).await
}

pub(crate) async fn tokio(wire: Wire, role: Role, config: WebSocketConfig) -> Tokio {
    Tokio::from_raw_socket(wire, role, Some(config)).await
}

/// With a small read buffer: the whole of it is cleared at every read.
pub(crate) fn tuned() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(8 << 10)
}

async fn read<S, E: std::fmt::Debug>(stream: &mut S, got: &mut Got)
where
    S: Stream<Item = Result<Message, E>> + Unpin,
{
    match stream.next().await {
        Some(Ok(Message::Text(text))) => got.see(text.as_bytes(), true),
        Some(Ok(Message::Binary(bytes))) => got.see(&bytes, false),
        other => super::unexpected(other),
    }
}

fn message(payload: &Payload) -> Message {
    if payload.text {
        Message::Text(payload.bytes.clone().try_into().expect("valid UTF-8"))
    } else {
        Message::Binary(payload.bytes.clone())
    }
}

macro_rules! both {
    ($($stream:ty),*) => {$(
        impl Read for $stream {
            #[inline]
            async fn read(&mut self, got: &mut Got) {
                read(self, got).await;
            }
        }

        impl Write for $stream {
            type Message = Message;

            fn message(payload: &Payload) -> Message {
                message(payload)
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
    )*};
}

both!(Async, Tokio);
