//! soketto.

use futures::{
    AsyncRead, AsyncWrite,
    io::{BufReader, BufWriter},
};
use soketto::{
    Data, Mode, Receiver, Sender,
    connection::Builder,
    extension::{Extension, deflate::Deflate},
};

use super::{Got, Read, Write};
use crate::transport::{Payload, Wire};

pub(crate) struct Soketto<S> {
    sender: Sender<S>,
    receiver: Receiver<S>,
    message: Vec<u8>,
}

pub(crate) fn connect<S: AsyncRead + AsyncWrite + Unpin>(io: S, mode: Mode) -> Soketto<S> {
    finish(Builder::new(io, mode))
}

/// It asks to be given buffers.
pub(crate) fn buffered(wire: Wire, mode: Mode) -> Soketto<BufReader<BufWriter<Wire>>> {
    connect(buffers(wire), mode)
}

/// A server, buffered, whose client has offered compression.
pub(crate) fn deflating(wire: Wire) -> Soketto<BufReader<BufWriter<Wire>>> {
    let mut deflate = Deflate::new(Mode::Server);
    deflate.configure(&[]).expect("no parameters are fine");
    let mut builder = Builder::new(buffers(wire), Mode::Server);
    builder.add_extensions([Box::new(deflate) as Box<dyn Extension + Send>]);
    finish(builder)
}

fn buffers(wire: Wire) -> BufReader<BufWriter<Wire>> {
    BufReader::with_capacity(8 << 10, BufWriter::with_capacity(64 << 10, wire))
}

fn finish<S: AsyncRead + AsyncWrite + Unpin>(builder: Builder<S>) -> Soketto<S> {
    let (sender, receiver) = builder.finish();
    Soketto { sender, receiver, message: Vec::new() }
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
