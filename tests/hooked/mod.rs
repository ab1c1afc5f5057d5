//! Polls connections by hand.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fmt::Display,
    mem,
    sync::{Arc, Mutex},
};

use futures::{FutureExt, SinkExt, StreamExt};
use wsweave::{Connection, ConnectionExt, Duplex, Finish, Message, Peer, Pipe};

/// Polls once for a message, which has to be there.
pub(crate) fn next<C: Duplex>(conn: &mut C) -> Message {
    conn.next().now_or_never().expect("nothing is there").expect("the connection has ended")
}

/// Polls once for a message that the other side sends now.
pub(crate) fn pass<C: Duplex, D: Duplex>(conn: &mut C, peer: &mut D) {
    send(peer, "a message");
    next(conn);
}

/// Polls once, for nothing.
pub(crate) fn drive<C: Duplex>(conn: &mut C) {
    assert_eq!(conn.next().now_or_never(), None, "a message or the end was there");
}

/// Sends and flushes, which the pipe has room for.
pub(crate) fn send<C: Duplex>(conn: &mut C, message: impl Into<Message>) {
    conn.send(message.into()).now_or_never().expect("the pipe is full").expect("closed");
}

/// Lets the peer close with 1000, and both sides run to the end.
pub(crate) fn close_by_peer<C: Duplex>(conn: C, mut peer: Connection<Pipe>) -> Finish {
    futures::executor::block_on(async {
        let (finish, closed) = futures::join!(conn.run(), peer.close());
        closed.unwrap();
        finish
    })
}

/// Runs both sides to their ends, ours first in the answer.
pub(crate) fn run_both<C: Duplex, D: Duplex>(conn: C, peer: D) -> (Finish, Finish) {
    futures::executor::block_on(futures::future::join(conn.run(), peer.run()))
}

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: impl Display) {
        self.0.lock().unwrap().push(line.to_string());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        mem::take(&mut self.0.lock().unwrap())
    }

    /// A hook that adds one line.
    pub(crate) fn line(&self, line: &'static str) -> impl FnMut(&mut Peer<'_>, &Message) + 'static {
        let log = self.clone();
        move |_, _| log.add(line)
    }
}

/// A message in a line of a log.
pub(crate) fn text(message: &Message) -> &str {
    message.as_text().unwrap_or("binary")
}
