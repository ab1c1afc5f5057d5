//! Which public types are Send, Sync and Unpin, and which are not.

mod support;

use std::{fmt::Debug, rc::Rc};

use static_assertions::{assert_impl_all, assert_not_impl_any};
use wsweave::{
    AgreedCompression, Change, Changes, CloseCode, CloseFrame, Compression, Config, Connection,
    ConnectionExt, Drain, Error, ErrorKind, Event, Finish, Group, GroupConfig, Handle, Initiator,
    Lag, LagPolicy, MemberId, Membership, Message, Outage, Peer, Pipe, Reconnect, ReconnectPolicy,
    Role, Sleep, Socket, Status, Text, Timer, TrySendError, handshake::server::Upgrade,
};

/// A transport that may not leave its thread.
type Local = Rc<()>;

// What travels and how it ends.
assert_impl_all!(Message: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(Text: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(CloseCode: Send, Sync, Unpin, Copy, Debug);
assert_impl_all!(CloseFrame: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(Finish: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(Initiator: Send, Sync, Unpin, Copy, Debug);
assert_impl_all!(Error: Send, Sync, Unpin, Clone, Debug, std::error::Error);
assert_impl_all!(ErrorKind: Send, Sync, Unpin, Copy, Debug);
assert_impl_all!(Event: Send, Sync, Unpin, Clone, Debug);

// What a connection is made with.
assert_impl_all!(Config: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(Role: Send, Sync, Unpin, Copy, Debug);
assert_impl_all!(dyn Timer: Send, Sync);
assert_impl_all!(Sleep: Send, Unpin);
assert_not_impl_any!(Sleep: Sync);

assert_impl_all!(Compression: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(AgreedCompression: Send, Sync, Unpin, Copy, Debug);
assert_impl_all!(Upgrade: Send, Sync, Unpin, Debug);

// The connection follows its transport.
assert_impl_all!(Connection: Send, Unpin, Debug);
assert_impl_all!(Connection<Socket>: Send, Unpin);
assert_impl_all!(Connection<Pipe>: Send, Unpin, Debug);
assert_impl_all!(Connection<support::Script>: Send, Unpin, Debug);
assert_not_impl_any!(Connection<Local>: Send, Sync);
assert_impl_all!(Connection<Local>: Unpin);
assert_impl_all!(Socket: Send, Unpin, Debug);
assert_impl_all!(Pipe: Send, Unpin, Debug);

// One after the other.
assert_impl_all!(Reconnect: Send, Unpin, Debug);
assert_not_impl_any!(Reconnect: Sync);
assert_impl_all!(ReconnectPolicy: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(Outage: Send, Sync, Unpin, Clone, Debug, std::fmt::Display);
assert_impl_all!(Status: Send, Sync, Unpin, Clone, Debug);

// Who belongs together.
assert_impl_all!(Group: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(GroupConfig: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(Membership: Send, Sync, Unpin, Debug);
assert_impl_all!(MemberId: Send, Sync, Unpin, Copy, Debug);
assert_impl_all!(LagPolicy: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(Lag: Send, Sync, Unpin, Copy, Debug);
assert_impl_all!(Changes: Send, Sync, Unpin, Debug);
assert_impl_all!(Change: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(Drain: Send, Unpin, Debug);
assert_not_impl_any!(Drain: Sync);

// What others hold of it.
assert_impl_all!(Handle: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(TrySendError: Send, Sync, Unpin, Clone, Debug, std::error::Error);
assert_impl_all!(Peer<'static>: Unpin, Debug);
assert_not_impl_any!(Peer<'static>: Clone);

fn is_send(_: &impl Send) {}

#[test]
fn the_futures_of_handles_may_move_between_threads() {
    let (mut conn, _peer) = Connection::pair_with(support::quiet(), support::quiet());
    let handle = conn.handle();
    is_send(&handle.send("x"));
    is_send(&handle.closed());
}

#[test]
fn the_futures_of_connections_may_move_between_threads() {
    use futures::{SinkExt, StreamExt};

    let (mut conn, peer) = Connection::pair_with(support::quiet(), support::quiet());
    is_send(&conn.next());
    is_send(&conn.send("x".into()));
    is_send(&conn.close());
    is_send(&conn.close_with(1000, ""));
    is_send(&peer.run());
}
