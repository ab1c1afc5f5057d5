//! soketto.

use futures::{
    AsyncRead, AsyncWrite,
    io::{BufReader, BufWriter},
};
use soketto::{Data, Mode, Receiver, Sender, connection::Builder};

use super::{Got, Read, Write};
use crate::transport::{Payload, Wire};

pub(crate) struct Soketto<S> {
    sender: Sender<S>,
    receiver: Receiver<S>,
    message: Vec<u8>,
}

pub(crate) fn connect<S: AsyncRead + AsyncWrite + Unpin>(io: S, mode: Mode) -> Soketto<S> {
    let (sender, receiver) = Builder::new(io, mode).finish();
    Soketto { sender, receiver, message: Vec::new() }
}

/// It asks to be given buffers.
pub(crate) fn buffered(wire: Wire, mode: Mode) -> Soketto<BufReader<BufWriter<Wire>>> {
    connect(BufReader::with_capacity(8 << 10, BufWriter::with_capacity(64 << 10, wire)), mode)
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Read for Soketto<S> {
    #[inline]
    async fn read(&mut self, got: &mut Got) {
        self.message.clear();
        match self.receiver.receive_data(&mut self.message).await {
            // It says that its user must check the text.
            Ok(Data::Text(_)) => {
                assert!(simdutf8::basic::from_utf8(&self.message).is_ok(), "invalid UTF-8");
                got.see(&self.message, true);
            }
            Ok(Data::Binary(_)) => got.see(&self.message, false),
            Err(error) => super::unexpected(error),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Write for Soketto<S> {
    type Message = Payload;

    fn message(payload: &Payload) -> Payload {
        payload.clone()
    }

    #[inline]
    async fn feed(&mut self, message: &Payload) {
        let sent = if message.text {
            let text = std::str::from_utf8(&message.bytes).expect("valid UTF-8");
            self.sender.send_text(text).await
        } else {
            self.sender.send_binary(&message.bytes).await
        };
        sent.expect("open");
    }

    #[inline]
    async fn flush(&mut self) {
        self.sender.flush().await.expect("open");
    }
}
