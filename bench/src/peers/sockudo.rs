//! sockudo-ws.

use futures::{Sink, SinkExt, Stream, StreamExt};
use sockudo_ws::{CompressedWebSocketStream, Config, Error, Message, WebSocketStream};

use super::{Got, Read, Write};
use crate::transport::{Payload, Wire};

/// Without the clock that it asks at every message.
pub(crate) fn tuned() -> Config {
    Config::builder().auto_ping(false).idle_timeout(0).build()
}

async fn read<S: Stream<Item = Result<Message, Error>> + Unpin>(stream: &mut S, got: &mut Got) {
    match stream.next().await {
        Some(Ok(Message::Text(bytes))) => got.see(&bytes, true),
        Some(Ok(Message::Binary(bytes))) => got.see(&bytes, false),
        other => super::unexpected(other),
    }
}

async fn feed<S: Sink<Message, Error = Error> + Unpin>(sink: &mut S, message: &Message) {
    sink.feed(message.clone()).await.expect("open");
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
                let bytes = payload.bytes.clone();
                if payload.text { Message::Text(bytes) } else { Message::Binary(bytes) }
            }

            #[inline]
            async fn feed(&mut self, message: &Message) {
                feed(self, message).await;
            }

            #[inline]
            async fn flush(&mut self) {
                SinkExt::flush(self).await.expect("open");
            }
        }
    )*};
}

both!(WebSocketStream<Wire>, CompressedWebSocketStream<Wire>);
