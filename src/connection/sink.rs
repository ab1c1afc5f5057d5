//! The sink half: messages out.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};
use futures_sink::Sink;

use super::Connection;
use crate::{close::CloseFrame, error::Error, message::Message, protocol::Origin};

/// `feed` queues, and writes only beyond 64 KiB; `send` queues and writes; `close` goes through the
/// closing handshake with code 1000 and waits for its end.
///
/// Waiting does not stop reading, so that two peers that both push do not lock each other up, as long
/// as somebody takes the messages that arrive: one that nobody takes is where reading stops, until we
/// are closing. Then messages wait for a reader up to 64 KiB, or one of any size, and what is too much
/// is dropped if nobody reads. After an unclean end all of these give its error.
impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for Connection<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().driver_mut().poll_room(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let core = &mut self.get_mut().driver_mut().core;
        // It goes to the next connection, if another one follows.
        let error = if core.lasts() { None } else { core.send_error() };
        if let Some(error) = error {
            return Err(error);
        }
        core.send(message, Origin::Sink);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().driver_mut().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().driver_mut().poll_close(CloseFrame::NORMAL, cx)
    }
}
