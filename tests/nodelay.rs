//! Small messages leave at once: Nagle's algorithm is off. It is asked of the sockets themselves, of all
//! that this process has open.

#![cfg(all(target_os = "linux", feature = "runtime"))]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{
    fs,
    net::{SocketAddr, TcpStream},
};

use futures::{StreamExt, join};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use wsweave::{Client, ConnectionExt};

use crate::support::within;

/// Whether Nagle's algorithm is off in the one socket with these addresses.
fn is_nodelay(local: SocketAddr, peer: SocketAddr) -> bool {
    let myself = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let names = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name());
    let descriptors = names.map(|name| name.to_str().unwrap().parse().unwrap());
    let mut sockets = descriptors
        .filter_map(|fd| pidfd_getfd(&myself, fd, PidfdGetfdFlags::empty()).ok())
        .map(TcpStream::from);
    let found = sockets.find(|socket| {
        socket.local_addr().is_ok_and(|addr| addr == local)
            && socket.peer_addr().is_ok_and(|addr| addr == peer)
    });
    found.unwrap().nodelay().unwrap()
}

#[test]
fn nagles_algorithm_is_off_unless_a_client_wants_it() {
    within(async {
        let mut server = wsweave::listen("127.0.0.1:0").await.unwrap();
        let addr = server.local_addr();
        let client = Client::new(&format!("ws://{addr}/")).unwrap();
        for (client, expected) in [(client.clone(), true), (client.nodelay(false), false)] {
            let (conn, accepted) = join!(client.connect(), server.next());
            let (_conn, accepted) = (conn.unwrap(), accepted.unwrap());
            let client_addr = accepted.peer_addr().unwrap();
            assert_eq!(is_nodelay(client_addr, addr), expected);
            assert!(is_nodelay(addr, client_addr));
        }
    });
}
