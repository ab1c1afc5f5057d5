//! yawc.

use futures::SinkExt;
use yawc::{Frame, OpCode, Options, Role, WebSocket};

use super::{Got, Read, Write};
use crate::transport::{Payload, Wire};

/// With UTF-8 checked, as RFC 6455 has it, and room for the largest message.
pub(crate) fn options() -> Options {
    Options::default().with_utf8().with_limits(16 << 20, 32 << 20)
}

/// As its authors tune it for their own figures.
pub(crate) fn tuned() -> Options {
    options().with_read_buffer_capacity(128 << 10).with_backpressure_boundary(64 << 10)
}

pub(crate) fn connect(wire: Wire, role: Role, options: Options) -> WebSocket<Wire> {
    WebSocket::from_stream(wire, role, options).expect("no extension")
}

impl Read for WebSocket<Wire> {
    #[inline]
    async fn read(&mut self, got: &mut Got) {
        let frame = self.next_frame().await.expect("a message");
        match frame.opcode() {
            OpCode::Text => got.see(frame.payload(), true),
            OpCode::Binary => got.see(frame.payload(), false),
            other => super::unexpected(other),
        }
    }
}

impl Write for WebSocket<Wire> {
    type Message = Frame;

    fn message(payload: &Payload) -> Frame {
        let bytes = payload.bytes.clone();
        if payload.text { Frame::text(bytes) } else { Frame::binary(bytes) }
    }

    #[inline]
    async fn feed(&mut self, message: &Frame) {
        SinkExt::feed(self, message.clone()).await.expect("open");
    }

    #[inline]
    async fn flush(&mut self) {
        SinkExt::flush(self).await.expect("open");
    }
}
