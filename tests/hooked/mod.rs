//! Polls connections by hand.

#![allow(dead_code, reason = "each test file uses its share")]

use std::{cell::RefCell, fmt::Display, rc::Rc};

use futures::{FutureExt, SinkExt, StreamExt};
use wsweave::{Connection, ConnectionExt, Duplex, Finish, Message, Pipe};

/// Polls once for a message, which has to be there.
pub fn next<C: Duplex>(conn: &mut C) -> Message {
    conn.next().now_or_never().expect("nothing is there").expect("the connection has ended")
}

/// Polls once, for nothing.
pub fn drive<C: Duplex>(conn: &mut C) {
    assert_eq!(conn.next().now_or_never(), None, "a message or the end was there");
}

/// Sends and flushes, which the pipe has room for.
pub fn send<C: Duplex>(conn: &mut C, message: impl Into<Message>) {
    conn.send(message.into()).now_or_never().expect("the pipe is full").expect("closed");
}

/// Lets the peer close with 1000, and both sides run to the end.
pub fn close_by_peer<C: Duplex>(conn: C, mut peer: Connection<Pipe>) -> Finish {
    futures::executor::block_on(async {
        let (finish, closed) = futures::join!(conn.run(), peer.close());
        closed.unwrap();
        finish
    })
}

/// Runs both sides to their ends, ours first in the answer.
pub fn run_both<C: Duplex, D: Duplex>(conn: C, peer: D) -> (Finish, Finish) {
    futures::executor::block_on(futures::future::join(conn.run(), peer.run()))
}

/// What happened, in order. Not `Send`, as hooks need not be.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub fn add(&self, line: impl Display) {
        self.0.borrow_mut().push(line.to_string());
    }

    pub fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// A message in a line of a log.
pub fn text(message: &Message) -> &str {
    message.as_text().unwrap_or("binary")
}
