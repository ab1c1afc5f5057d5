//! Servers and proxies that speak HTTP, or what they take for it.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use wsweave::{Client, ErrorKind, Proxy};

use crate::{
    Holdings, check,
    support::{read_head, serve_one, switching, wait_for_end},
};

/// What a peer answers, what it does then, and the error that comes of it.
type Case = (&'static str, fn(&str) -> String, Then, ErrorKind, &'static str);

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Ends,
    Waits,
}
use Then::{Ends, Waits};

const AT_BOTH: &[Case] = &[
    ("half a head", half, Waits, ErrorKind::Timeout, "took longer than 300ms"),
    ("half a head", half, Ends, ErrorKind::Io, "before its handshake was complete"),
    ("garbage", |_| "SSH-2.0-X\r\n\r\n".into(), Waits, ErrorKind::Handshake, "not HTTP"),
    ("TLS", |_| "\u{15}\u{3}\u{3}".into(), Waits, ErrorKind::Handshake, "speaks TLS at this port"),
    ("100 KB", large, Waits, ErrorKind::LimitExceeded, "larger than 16384 bytes"),
    ("2,000 headers", many, Waits, ErrorKind::LimitExceeded, "more than 64 header fields"),
    ("endless lines", lines, Waits, ErrorKind::LimitExceeded, "larger than 16384 bytes"),
];

const SILENCE: Case =
    ("silence", |_| String::new(), Waits, ErrorKind::Timeout, "waiting for the server's answer");

const AT_A_SERVER: &[Case] = &[
    SILENCE,
    ("an end", |_| String::new(), Ends, ErrorKind::Io, "use wss://"),
    ("a wrong Accept", wrong, Waits, ErrorKind::Handshake, "Sec-WebSocket-Accept"),
    ("a page", page, Waits, ErrorKind::Refused, "answered the handshake with 200 OK"),
];

const AT_A_PROXY: &[Case] = &[
    ("silence", |_| String::new(), Waits, ErrorKind::Timeout, "waiting for the proxy's answer"),
    ("an end", |_| String::new(), Ends, ErrorKind::Io, "before its handshake was complete"),
    ("a 407", login, Waits, ErrorKind::Refused, "wants a user and a password"),
    ("a 403", forbidden, Waits, ErrorKind::Refused, "refused the way to a.example:80 with 403"),
];

fn half(_: &str) -> String {
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso".into()
}

fn large(_: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000))
}

fn many(_: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(2_000))
}

fn lines(_: &str) -> String {
    "\r\n".repeat(100_000)
}

fn wrong(request: &str) -> String {
    switching(request).replace("Accept: ", "Accept: x")
}

fn page(_: &str) -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".into()
}

fn login(_: &str) -> String {
    "HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n".into()
}

fn forbidden(_: &str) -> String {
    "HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n".into()
}

pub(crate) fn meet_all(before: &Holdings) {
    for case in AT_BOTH.iter().chain(AT_A_SERVER) {
        meet(*case, at);
        before.assert_left(case.0);
    }
    for case in AT_BOTH.iter().chain(AT_A_PROXY) {
        meet(*case, by);
        before.assert_left(case.0);
    }
}

pub(crate) fn meet_silence() {
    meet(SILENCE, at);
}

/// Connects with the client that is made for the peer's address.
fn meet((name, answer, then, kind, text): Case, client: impl FnOnce(SocketAddr) -> Client) {
    let (addr, peer) = serve_one(move |mut stream: TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = read_head(&mut stream);
        // The client does not wait for the rest of an answer that is too long.
        let _ = stream.write_all(answer(&request).as_bytes());
        if then == Waits {
            wait_for_end(&mut stream);
        }
    });
    check(name, client(addr), kind, text);
    peer.join().unwrap();
}

/// A client of that server.
pub(crate) fn at(addr: SocketAddr) -> Client {
    Client::new(&format!("ws://{addr}/")).unwrap()
}

/// A client of another server, by that proxy.
pub(crate) fn by(addr: SocketAddr) -> Client {
    let proxy = Proxy::new(&format!("http://{addr}")).unwrap();
    Client::new("ws://a.example/").unwrap().proxy(proxy)
}
