//! What a connection over a scripted transport shows of what it receives.

use std::{pin::Pin, task::Poll};

use wsweave::{Bytes, Connection, ConnectionExt, Duplex, Event, Message, Role};

use crate::support::{Frame, Script, Task, Wire};

/// All that is seen, in order, and how the connection ended, if it has.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Observed {
    pub(crate) seen: Vec<Seen>,
    pub(crate) finish: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Message(Message),
    Ping(Bytes),
    Pong(Bytes),
    Error(String),
}

impl Observed {
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.seen.iter().filter_map(|seen| match seen {
            Seen::Message(message) => Some(message),
            _ => None,
        })
    }
}

/// Polls `conn` until it waits for something from outside, or has ended; `echo`: it sends back each
/// message.
pub(crate) fn observe(conn: &mut Connection<Script>, echo: bool) -> Observed {
    let task = Task::new();
    let mut seen = Vec::new();
    while let Poll::Ready(Some(event)) =
        task.until_stalled(|cx| Pin::new(&mut *conn).poll_event(cx))
    {
        seen.push(match event {
            Event::Message(message) => {
                if let Some(text) = message.as_text() {
                    assert!(str::from_utf8(text.as_bytes()).is_ok(), "text that is none");
                }
                if echo {
                    Pin::new(&mut *conn).peer().send(message.clone());
                }
                Seen::Message(message)
            }
            Event::Ping(payload) => Seen::Ping(payload),
            Event::Pong(payload) => Seen::Pong(payload),
            Event::Error(error) => Seen::Error(error.to_string()),
            other => panic!("{other:?}"),
        });
    }
    Observed { seen, finish: conn.finish().map(|finish| format!("{finish:?}")) }
}

/// Checks what a connection in `role` has written by the rules of RFC 6455 for all senders: whole
/// frames, masked by a client, messages that do not mix, at most one Close and nothing behind it.
/// Returns the frames of data.
pub(crate) fn check_sent(wire: &Wire, role: Role) -> Vec<Frame> {
    let frames = wire.sent_by(role);
    let mut in_message = false;
    for (at, frame) in frames.iter().enumerate() {
        match frame.opcode {
            0 => assert!(in_message, "{frame:?} continues nothing"),
            1 | 2 => assert!(!in_message, "{frame:?} within a message"),
            8 => assert_eq!(at + 1, frames.len(), "frames behind a Close: {frames:?}"),
            9 | 10 => {}
            _ => panic!("{frame:?} has a reserved opcode"),
        }
        if frame.opcode < 8 {
            in_message = !frame.fin;
        } else {
            assert!(frame.fin && frame.rsv == 0 && frame.payload.len() <= 125, "{frame:?}");
        }
    }
    frames.into_iter().filter(|frame| frame.opcode < 8).collect()
}

/// Cuts `bytes` into pieces of these sizes, again and again; 0 is the whole rest.
pub(crate) fn cut(bytes: &[u8], sizes: [u8; 2]) -> Vec<&[u8]> {
    let sizes = sizes.map(|size| if size == 0 { usize::MAX } else { usize::from(size) });
    crate::support::compare::cut(bytes, &sizes)
}

/// What a connection may hold beside what its input comes to: the thread's read buffer, the script of
/// the transport, and so on.
pub(crate) const LITTLE: usize = 1 << 20;
