//! wtx, with the generator of its examples, which is not a cryptographic one.

use futures::{AsyncReadExt, AsyncWriteExt};
use wtx::{
    collection::Vector,
    rng::{SeedableRng, Xorshift64},
    stream::{StreamReader, StreamWriter},
    web_socket::{Frame, OpCode, WebSocketBuffer, WebSocketOwned, WebSocketPayloadOrigin},
};

use super::{Got, Read, Write};
use crate::transport::{Payload, Wire};

pub(crate) struct Wtx<const IS_CLIENT: bool> {
    socket: WebSocketOwned<(), Xorshift64, Stream, IS_CLIENT>,
    buffer: Vector<u8>,
    /// It masks in place: a client's payload is copied first.
    outgoing: Vec<u8>,
}

pub(crate) fn connect<const IS_CLIENT: bool>(wire: Wire) -> Wtx<IS_CLIENT> {
    let random = Xorshift64::from_simple_seed().expect("a seed");
    let socket = WebSocketOwned::new((), false, random, Stream(wire), WebSocketBuffer::new());
    Wtx { socket, buffer: Vector::new(), outgoing: Vec::new() }
}

impl<const IS_CLIENT: bool> Read for Wtx<IS_CLIENT> {
    #[inline]
    async fn read(&mut self, got: &mut Got) {
        let Self { socket, buffer, .. } = self;
        match socket.read_frame(buffer, WebSocketPayloadOrigin::Adaptive).await {
            Ok(frame) if matches!(frame.op_code(), OpCode::Text | OpCode::Binary) => {
                got.see(frame.payload(), frame.op_code() == OpCode::Text);
            }
            Ok(frame) => super::unexpected(frame.op_code()),
            Err(error) => super::unexpected(error),
        }
    }
}

impl<const IS_CLIENT: bool> Write for Wtx<IS_CLIENT> {
    type Message = Payload;

    fn message(payload: &Payload) -> Payload {
        payload.clone()
    }

    #[inline]
    async fn feed(&mut self, message: &Payload) {
        self.outgoing.clear();
        self.outgoing.extend_from_slice(&message.bytes);
        let kind = if message.text { OpCode::Text } else { OpCode::Binary };
        let mut frame = Frame::new_fin(kind, &mut self.outgoing[..]);
        self.socket.write_frame(&mut frame).await.expect("open");
    }

    /// It keeps nothing.
    async fn flush(&mut self) {}
}

/// As its traits have it.
pub(crate) struct Stream(Wire);

impl StreamReader for Stream {
    #[inline]
    async fn read(&mut self, bytes: &mut [u8]) -> wtx::Result<usize> {
        Ok(self.0.read(bytes).await?)
    }
}

impl StreamWriter for Stream {
    #[inline]
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        Ok(self.0.write_all(bytes).await?)
    }

    #[inline]
    async fn write_all_vectored(&mut self, bytes: &[&[u8]]) -> wtx::Result<()> {
        let slices: Vec<_> = bytes.iter().map(|slice| std::io::IoSlice::new(slice)).collect();
        let written = self.0.write_vectored(&slices).await?;
        assert_eq!(
            written,
            bytes.iter().map(|slice| slice.len()).sum(),
            "the wire takes all of a write"
        );
        Ok(())
    }
}
