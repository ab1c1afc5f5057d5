//! One connection under test: its wire, its clock and the task that polls it.

use std::{pin::Pin, task::Poll};

use futures::{SinkExt, StreamExt};
use wsweave::{Config, Connection, ConnectionExt, Duplex, Error, Finish, Message, Peer, Role};

use super::{Frame, ManualClock, Script, Task, Wire, deflate::deflating, rt::within};

/// Both roles, for the tests that every connection must pass.
pub(crate) const BOTH: [Role; 2] = [Role::Client, Role::Server];

/// A connection over a [`Wire`], polled by hand.
pub(crate) struct Rig<C = Connection<Script>> {
    pub(crate) conn: C,
    pub(crate) wire: Wire,
    pub(crate) clock: ManualClock,
    pub(crate) task: Task,
    pub(crate) role: Role,
}

impl Rig {
    pub(crate) fn new(role: Role) -> Self {
        Self::with(role, Config::default())
    }

    /// With `config`, but the test's clock.
    pub(crate) fn with(role: Role, config: Config) -> Self {
        let clock = ManualClock::new();
        let config = config.timer(clock.clone());
        let (script, wire) = Wire::new();
        let conn = Connection::from_raw(script, role, config);
        Self { conn, wire, clock, task: Task::new(), role }
    }

    /// With compression, of which the peer says `extension` in its part of the handshake.
    pub(crate) fn deflating(role: Role, config: Config, extension: &str) -> Self {
        let clock = ManualClock::new();
        let (conn, wire) = deflating(role, config.timer(clock.clone()), extension);
        Self { conn, wire, clock, task: Task::new(), role }
    }
}

impl Rig {
    /// The runtime finishes what a drop leaves.
    pub(crate) fn lingering(self) -> Self {
        self.weave(|conn| within(async { conn.linger_on_drop() }))
    }
}

impl<C> Rig<C> {
    /// The peer sends `frames`; one read brings them all.
    pub(crate) fn receive(&self, frames: impl IntoIterator<Item = Frame>) {
        self.wire.give(self.encode(frames));
    }

    /// `frames` as the peer sends them.
    pub(crate) fn encode(&self, frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
        frames.into_iter().flat_map(|frame| frame.to(self.role)).collect()
    }

    /// The frames written since the last call: whole ones, masked if the connection is a client.
    pub(crate) fn sent(&self) -> Vec<Frame> {
        self.wire.sent_by(self.role)
    }

    /// The Close frames among those.
    pub(crate) fn sent_codes(&self) -> Vec<Option<u16>> {
        let frames = self.sent().into_iter();
        frames.filter(|frame| frame.opcode == 8).map(|frame| frame.close_code()).collect()
    }
}

impl<C: Duplex + Unpin> Rig<C> {
    /// Puts hooks on.
    pub(crate) fn weave<D>(self, weave: impl FnOnce(C) -> D) -> Rig<D> {
        let Self { conn, wire, clock, task, role } = self;
        Rig { conn: weave(conn), wire, clock, task, role }
    }

    /// Polls the stream once.
    pub(crate) fn next(&mut self) -> Poll<Option<Message>> {
        self.task.next(&mut self.conn)
    }

    /// The next message that waits or has arrived, if there is one.
    pub(crate) fn message(&mut self) -> Option<Message> {
        let Self { conn, task, .. } = self;
        match task.until_stalled(|cx| conn.poll_next_unpin(cx)) {
            Poll::Ready(message) => message,
            Poll::Pending => None,
        }
    }

    /// Polls the stream until it waits for something from outside, or has ended.
    pub(crate) fn settle(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.message()).collect()
    }

    /// Queues `message` without flushing; there must be room.
    pub(crate) fn feed(&mut self, message: impl Into<Message>) {
        assert!(matches!(self.task.ready(&mut self.conn), Poll::Ready(Ok(()))));
        self.conn.start_send_unpin(message.into()).unwrap();
    }

    /// Polls `close()` until it is done or waits for something from outside.
    pub(crate) fn close(&mut self) -> Poll<Result<(), Error>> {
        let Self { conn, task, .. } = self;
        task.until_stalled(|cx| conn.poll_close_unpin(cx))
    }

    /// The connection as hooks see it.
    pub(crate) fn peer(&mut self) -> Peer<'_> {
        Pin::new(&mut self.conn).peer()
    }

    /// How the connection ended; it must have.
    pub(crate) fn finish(&self) -> Finish {
        self.conn.finish().expect("the connection has ended").clone()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.conn.finish().is_some()
    }
}

/// A configuration without any clock.
pub(crate) fn quiet() -> Config {
    Config::default().no_timer()
}
