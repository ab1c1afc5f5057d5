//! A codec for the tests, and connections that it is on.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::task::Poll;

use futures::Stream;
use wsweave::{Codec, CodecError, Message};

use crate::support::Rig;

/// A text with or without an id, written `7:text` or `text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) Option<u32>, pub(crate) String);

pub(crate) fn line(text: &str) -> Line {
    Line(None, text.into())
}

pub(crate) fn numbered(id: u32, text: &str) -> Line {
    Line(Some(id), text.into())
}

/// Lines in text messages. `!` can neither be encoded nor decoded, and `!!` makes it panic.
#[derive(Clone, Debug)]
pub(crate) struct Lines;

impl Codec for Lines {
    type In = Line;
    type Out = Line;
    type Error = &'static str;

    fn encode(&mut self, line: Line) -> Result<Message, &'static str> {
        let Line(id, text) = checked(line)?;
        Ok(id.map_or_else(|| text.clone(), |id| format!("{id}:{text}")).into())
    }

    fn decode(&mut self, message: &Message) -> Result<Line, &'static str> {
        let text = message.as_text().ok_or("binary")?;
        let line =
            text.split_once(':').and_then(|(id, text)| Some(numbered(id.parse().ok()?, text)));
        checked(line.unwrap_or_else(|| Line(None, text.into())))
    }
}

fn checked(line: Line) -> Result<Line, &'static str> {
    assert_ne!(line.1, "!!", "the codec panics");
    if line.1 == "!" { Err("a bang") } else { Ok(line) }
}

/// An item in a line of a log: the value, what could not be decoded, or how it ended.
pub(crate) fn show<E>(item: Result<Line, CodecError<E>>) -> String {
    match item {
        Ok(Line(Some(id), text)) => format!("{id}:{text}"),
        Ok(Line(None, text)) => text,
        Err(CodecError::Decode { message, .. }) => format!("undecoded {message:?}"),
        Err(CodecError::Connection(error)) => format!("{:?}", error.kind()),
        Err(_) => unreachable!("nothing is encoded in a stream"),
    }
}

/// Polls the stream until it waits for something from outside, or has ended.
pub(crate) fn settle<C, E>(rig: &mut Rig<C>) -> Vec<String>
where
    C: Stream<Item = Result<Line, CodecError<E>>> + Unpin,
{
    let mut items = Vec::new();
    while let Poll::Ready(Some(item)) = next(rig) {
        items.push(show(item));
    }
    items
}

/// Polls the stream as an executor does, for its next item.
pub(crate) fn next<C: Stream + Unpin>(rig: &mut Rig<C>) -> Poll<Option<C::Item>> {
    let Rig { conn, task, .. } = rig;
    task.until_stalled(|cx| std::pin::Pin::new(&mut *conn).poll_next(cx))
}
