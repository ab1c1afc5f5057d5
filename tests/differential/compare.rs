//! What both make of the same bytes, and where they are known to differ.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    mem,
    pin::Pin,
    task::Poll,
};

use async_tungstenite::tungstenite::{
    self, WebSocket,
    protocol::{self, WebSocketConfig, frame::CloseFrame},
};
use wsweave::{Config, Connection, ConnectionExt, Duplex, Event, Initiator, Role};

use crate::support::{Frame, Task, Wire};

/// Gives both the same `bytes`, cut into `pieces`; panics where they differ and must not.
pub(crate) fn assert_same(role: Role, bytes: &[u8], pieces: &[&[u8]]) {
    let (ours, theirs) = (ours(role, pieces), theirs(role, pieces));
    if EXCEPTIONS.iter().any(|applies| applies(bytes, &ours.end, &theirs.end)) {
        assert!(theirs.seen.starts_with(&ours.seen), "{ours:?} {theirs:?}");
        return;
    }
    assert_eq!(ours.seen, theirs.seen);
    match (&ours.end, &theirs.end) {
        (End::Refused(_), End::Refused(_)) => {}
        (ours, theirs) => assert_eq!(ours, theirs),
    }
}

/// What a receiver makes of a stream of bytes.
#[derive(Debug, PartialEq)]
struct Outcome {
    seen: Vec<Seen>,
    end: End,
}

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

#[derive(Debug, PartialEq)]
enum End {
    /// By the peer's Close: its code, if it has one, and its reason.
    Closed(Option<u16>, String),
    /// The peer broke a rule; tungstenite's rules are not ours word for word.
    Refused(String),
    /// The stream was over before a Close.
    Lost,
}

/// Where the two are known to differ. Up to there both see the same.
const EXCEPTIONS: [Exception; 3] =
    [takes_long_winded_lengths, judges_whole_frames_only, knows_no_bad_gateway];

type Exception = fn(&[u8], ours: &End, theirs: &End) -> bool;

/// tungstenite does not look whether a length is in its shortest form (RFC 6455, section 5.2).
fn takes_long_winded_lengths(bytes: &[u8], ours: &End, _: &End) -> bool {
    matches!(ours, End::Refused(_)) && Lengths(bytes).any(|length| !length.is_minimal)
}

/// tungstenite says nothing about a frame of which a part is missing, however wrong its first byte is.
/// To fail text at its first bad byte is good manners only (RFC 6455, section 8.1).
fn judges_whole_frames_only(bytes: &[u8], ours: &End, theirs: &End) -> bool {
    let ends_within_a_frame = Lengths(bytes).any(|length| !length.is_whole);
    matches!((ours, theirs), (End::Refused(_), End::Lost)) && ends_within_a_frame
}

/// Close code 1014 came into IANA's registry after RFC 6455; tungstenite takes it for a bad one.
fn knows_no_bad_gateway(_: &[u8], ours: &End, theirs: &End) -> bool {
    matches!((ours, theirs), (End::Closed(Some(1014), _), End::Refused(_)))
}

/// A Close with a code that must not be on the wire is handed out as one with code 1002 and these
/// words, not as an error. It is refused all the same.
fn is_refusal_in_disguise(close: &CloseFrame) -> bool {
    close.reason == "Protocol violation"
}

fn ours(role: Role, pieces: &[&[u8]]) -> Outcome {
    let limits = Config::default().max_frame_size(MAX_FRAME).max_message_size(MAX_MESSAGE);
    let (script, wire) = Wire::new();
    for piece in pieces {
        wire.give(piece);
    }
    wire.end();
    let config = limits.max_fragments(usize::MAX).no_timer();
    let mut conn = Connection::from_raw(script, role, config);
    let task = Task::new();
    let mut seen = Vec::new();
    loop {
        match task.until_stalled(|cx| Pin::new(&mut conn).poll_event(cx)) {
            Poll::Ready(Some(Event::Message(message))) => seen.push(match message.as_text() {
                Some(text) => Seen::Text(text.to_owned()),
                None => Seen::Binary(message.as_bytes().to_vec()),
            }),
            Poll::Ready(Some(Event::Ping(payload))) => seen.push(Seen::Ping(payload.to_vec())),
            Poll::Ready(Some(Event::Pong(payload))) => seen.push(Seen::Pong(payload.to_vec())),
            Poll::Ready(Some(_)) => {}
            Poll::Ready(None) => break,
            Poll::Pending => panic!("the end of TCP is the end"),
        }
    }
    let finish = conn.finish().unwrap();
    let end = match finish.initiator {
        Initiator::Us => {
            End::Refused(finish.error.as_ref().map(ToString::to_string).unwrap_or_default())
        }
        Initiator::Peer => {
            let code = Some(finish.code.0).filter(|&code| code != 1005);
            End::Closed(code, finish.reason.to_string())
        }
        _ => End::Lost,
    };
    Outcome { seen, end }
}

fn theirs(role: Role, pieces: &[&[u8]]) -> Outcome {
    let role = match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(1024)
        .max_frame_size(Some(MAX_FRAME))
        .max_message_size(Some(MAX_MESSAGE));
    let io = Pieces(pieces.iter().map(|piece| piece.to_vec()).collect());
    let mut socket = WebSocket::from_raw_socket(io, role, Some(config));
    let mut seen = Vec::new();
    let end = loop {
        seen.push(match socket.read() {
            Ok(tungstenite::Message::Text(text)) => Seen::Text(text.to_string()),
            Ok(tungstenite::Message::Binary(payload)) => Seen::Binary(payload.to_vec()),
            Ok(tungstenite::Message::Ping(payload)) => Seen::Ping(payload.to_vec()),
            Ok(tungstenite::Message::Pong(payload)) => Seen::Pong(payload.to_vec()),
            Ok(tungstenite::Message::Close(None)) => break End::Closed(None, String::new()),
            Ok(tungstenite::Message::Close(Some(close))) if is_refusal_in_disguise(&close) => {
                break End::Refused("a close code".into());
            }
            Ok(tungstenite::Message::Close(Some(close))) => {
                break End::Closed(Some(close.code.into()), close.reason.to_string());
            }
            Err(tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => break End::Lost,
            Err(error) => break End::Refused(error.to_string()),
            Ok(other @ tungstenite::Message::Frame(_)) => unreachable!("{other:?} is not read"),
        });
    };
    Outcome { seen, end }
}

/// Bytes that arrive piece by piece, then the end; what is written is lost.
struct Pieces(VecDeque<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut piece) = self.0.pop_front() else { return Ok(0) };
        let read = piece.as_slice().read(buffer)?;
        if read < piece.len() {
            self.0.push_front(piece.split_off(read));
        }
        Ok(read)
    }
}

impl Write for Pieces {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The frames' lengths, as far as there are headers.
struct Lengths<'a>(&'a [u8]);

struct Length {
    is_minimal: bool,
    is_whole: bool,
}

impl Iterator for Lengths<'_> {
    type Item = Length;

    fn next(&mut self) -> Option<Length> {
        let &[_, second, ref rest @ ..] = self.0 else {
            let is_whole = mem::take(&mut self.0).is_empty();
            return (!is_whole).then_some(Length { is_minimal: true, is_whole });
        };
        let (size, least) = match second & 0x7f {
            126 => (2, 126),
            127 => (8, 0x1_0000),
            _ => (0, 0),
        };
        let number = rest.get(..size).map(|bytes| match bytes {
            [] => u64::from(second & 0x7f),
            bytes => bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        });
        let masked = usize::from(second >> 7) * 4;
        let end = number
            .and_then(|number| usize::try_from(number).ok())
            .and_then(|number| number.checked_add(2 + size + masked));
        let behind = end.and_then(|end| self.0.get(end..));
        self.0 = behind.unwrap_or_default();
        let is_minimal = number.is_none_or(|number| number >= least);
        Some(Length { is_minimal, is_whole: behind.is_some() })
    }
}

/// Cuts `bytes` into pieces of `sizes`, again and again.
pub(crate) fn cut<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at(bytes.len().min(*size));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// How a frame is written, which is mostly as it should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    Proper,
    WronglyMasked,
    Length16,
    Length64,
    /// With this length, whatever the payload's is.
    Announcing(u64),
}

/// `frame` as the peer of a connection in `role` writes it.
pub(crate) fn write(role: Role, frame: Frame, manner: Manner) -> Vec<u8> {
    let key = (role == Role::Server).then_some([0x37, 0xfa, 0x21, 0x3d]);
    let other = if key.is_some() { None } else { Some([1, 2, 3, 4]) };
    let frame = frame.keyed(if matches!(manner, Manner::WronglyMasked) { other } else { key });
    let len = frame.payload.len() as u64;
    let header = match manner {
        Manner::Proper | Manner::WronglyMasked => return frame.encode(),
        Manner::Length16 => frame.header_with(126, &len.to_be_bytes()[6..]),
        Manner::Length64 => frame.header_with(127, &len.to_be_bytes()),
        Manner::Announcing(len) => frame.header_with(127, &len.to_be_bytes()),
    };
    let proper = frame.encode();
    let payload = &proper[proper.len() - frame.payload.len()..];
    [&header, payload].concat()
}

pub(crate) const MAX_FRAME: usize = 1_000;
pub(crate) const MAX_MESSAGE: usize = 1_500;
