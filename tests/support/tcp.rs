//! Real sockets, for the tests whose subject they are.

use wsweave::{Config, Connection, Role};

use super::rt::{socket, tcp_streams};

/// A client and a server over loopback.
pub(crate) fn tcp_pair(config: &Config) -> [Connection; 2] {
    let [client, server] = tcp_streams().map(socket);
    [(client, Role::Client), (server, Role::Server)]
        .map(|(io, role)| Connection::from_raw(io, role, config.clone()))
}
