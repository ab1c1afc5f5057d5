//! Nobody is there.

use std::{
    iter,
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use wsweave::{Client, ErrorKind};

use crate::{
    Holdings, check,
    http::{at, by},
};

pub(crate) fn meet_all(before: &Holdings) {
    check("a dead port", at(dead_port()), ErrorKind::Io, "cannot connect to 127.0.0.1");
    check("a dead proxy", by(dead_port()), ErrorKind::Io, "the proxy cannot be reached");
    // A label has 63 bytes at most (RFC 1035), so that no resolver is asked.
    let nobody = Client::new(&format!("ws://{}.example/", "a".repeat(64))).unwrap();
    check("a name of nobody", nobody, ErrorKind::Io, "cannot connect to aaa");
    before.assert_left("dead ports");

    let full = FullListener::new();
    let text = "took longer than 300ms, waiting for TCP";
    check("a port that answers nothing", at(full.addr), ErrorKind::Timeout, text);
    drop(full);
    before.assert_left("a port that answers nothing");
}

fn dead_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A listener whose queue is full, so that TCP leaves further clients without an answer.
struct FullListener {
    addr: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl FullListener {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let next = || TcpStream::connect_timeout(&addr, Duration::from_millis(100)).ok();
        Self { addr, _queue: iter::from_fn(next).collect(), _listener: listener }
    }
}
