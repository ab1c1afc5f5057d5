//! fastwebsockets.

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload as Data, Role, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, BufStream};

use super::{Got, Read, Write};
use crate::transport::{Payload, Wire};

/// Whole messages, as the documentation recommends to those who want such.
pub(crate) fn collector(wire: Wire) -> FragmentCollector<Wire> {
    FragmentCollector::new(WebSocket::after_handshake(wire, Role::Server))
}

/// Frames, not messages.
pub(crate) fn frames(wire: Wire, role: Role) -> WebSocket<Wire> {
    WebSocket::after_handshake(wire, role)
}

/// It keeps nothing for a later write; this does.
pub(crate) fn buffered(wire: Wire, role: Role) -> WebSocket<BufStream<Wire>> {
    let mut socket =
        WebSocket::after_handshake(BufStream::with_capacity(8 << 10, 64 << 10, wire), role);
    socket.set_writev(false);
    socket
}

fn see(frame: &Frame<'_>, got: &mut Got) {
    match frame.opcode {
        OpCode::Text | OpCode::Binary if frame.fin => {
            got.see(&frame.payload, frame.opcode == OpCode::Text);
        }
        opcode => super::unexpected(opcode as u8),
    }
}

impl Read for FragmentCollector<Wire> {
    #[inline]
    async fn read(&mut self, got: &mut Got) {
        see(&self.read_frame().await.expect("a message"), got);
    }
}

impl Read for WebSocket<Wire> {
    #[inline]
    async fn read(&mut self, got: &mut Got) {
        see(&self.read_frame().await.expect("a message"), got);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Write for WebSocket<S> {
    type Message = Payload;

    fn message(payload: &Payload) -> Payload {
        payload.clone()
    }

    #[inline]
    async fn feed(&mut self, message: &Payload) {
        // What a client masks is copied first.
        let data = Data::Borrowed(&message.bytes);
        let frame = if message.text { Frame::text(data) } else { Frame::binary(data) };
        self.write_frame(frame).await.expect("open");
    }

    #[inline]
    async fn flush(&mut self) {
        WebSocket::flush(self).await.expect("open");
    }
}
