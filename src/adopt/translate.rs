//! Between tungstenite's messages and errors, and ours.

use std::{io, sync::LazyLock};

use async_tungstenite::tungstenite::{
    Error as WsError, Message as WsMessage, error::ProtocolError,
    protocol::CloseFrame as WsCloseFrame,
};

use crate::{
    close::{CloseCode, CloseFrame},
    config::Config,
    error::{Error, ErrorKind},
    message::{Message, Text},
    protocol::{Buffer, Decoded, Decoder, Origin, Outgoing},
};

/// Makes a frame of a message that was received.
pub(super) fn encode(message: WsMessage, frames: &mut Outgoing) {
    let origin = Origin::Protocol;
    match message {
        WsMessage::Text(text) => {
            let text = Text::from_checked(text.into());
            frames.message(Message::Text(text), None, origin);
        }
        WsMessage::Binary(bytes) => frames.message(Message::Binary(bytes), None, origin),
        WsMessage::Ping(payload) => frames.ping(payload, origin),
        WsMessage::Pong(payload) => frames.pong(payload),
        WsMessage::Close(None) => frames.close(&CloseFrame::EMPTY),
        WsMessage::Close(Some(close)) => frames.close(&CloseFrame {
            code: CloseCode(close.code.into()),
            reason: Text::from_checked(close.reason.into()),
        }),
        // Only ever sent.
        WsMessage::Frame(_) => {}
    }
}

/// Takes in frames as they are written, when all before them are decoded; returns how much that was.
pub(super) fn feed(frames: &mut Decoder, data: &[u8]) -> usize {
    let mut buffer = Buffer::lend();
    let room = buffer.room();
    let len = data.len().min(room.len());
    room[..len].copy_from_slice(&data[..len]);
    frames.feed(buffer, len);
    len
}

/// The next message to send, if a whole one has been written.
pub(super) fn decode(frames: &mut Decoder) -> Result<Option<WsMessage>, Error> {
    loop {
        let message = match frames.decode(&NO_LIMITS).map_err(|violation| violation.error)? {
            Some(Decoded::Message(Message::Text(text))) => WsMessage::Text(text.as_str().into()),
            Some(Decoded::Message(Message::Binary(bytes))) => WsMessage::Binary(bytes),
            Some(Decoded::Ping(payload)) => WsMessage::Ping(payload),
            Some(Decoded::Close(close)) => WsMessage::Close(close_frame(&close)),
            // tungstenite has answered the ping.
            Some(Decoded::Pong(_) | Decoded::Fragment) => continue,
            None => return Ok(None),
        };
        return Ok(Some(message));
    }
}

fn close_frame(close: &CloseFrame) -> Option<WsCloseFrame> {
    (*close != CloseFrame::EMPTY)
        .then(|| WsCloseFrame { code: close.code.0.into(), reason: close.reason.as_str().into() })
}

/// Whether tungstenite says no more than that it is over: everything else is told by whether there
/// was a Close.
pub(super) fn is_end(error: &WsError) -> bool {
    use ProtocolError::{ResetWithoutClosingHandshake, SendAfterClosing};

    matches!(
        error,
        WsError::ConnectionClosed
            | WsError::AlreadyClosed
            | WsError::Protocol(ResetWithoutClosingHandshake | SendAfterClosing)
    )
}

/// What the transport's user gets for an error of tungstenite's.
pub(super) fn failed(error: WsError) -> io::Error {
    let kind = match error {
        WsError::Io(error) => return error,
        WsError::Protocol(_) => ErrorKind::Protocol,
        WsError::Utf8(_) => ErrorKind::InvalidUtf8,
        WsError::Capacity(_) => ErrorKind::LimitExceeded,
        _ => ErrorKind::Io,
    };
    Error::with_source(kind, "the adopted WebSocket failed", error).into()
}

/// The limits are for what the peer sends.
static NO_LIMITS: LazyLock<Config> = LazyLock::new(|| {
    Config::default()
        .max_message_size(usize::MAX)
        .max_frame_size(usize::MAX)
        .max_fragments(usize::MAX)
});
