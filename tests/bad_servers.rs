//! Servers and proxies that misbehave: one error of the right kind, in time, whose text helps, and no
//! descriptor left behind. It is one test, so that nothing else opens any.

#![cfg(all(target_os = "linux", feature = "runtime"))]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use wsweave::{Client, Config, ErrorKind, Proxy};

use crate::support::{read_head, serve_one, switching, wait_for_end, within};

/// What a peer answers, what it does then, and the error that comes of it.
type Case = (&'static str, fn(&str) -> String, Then, ErrorKind, &'static str);

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Ends,
    Waits,
}
use Then::{Ends, Waits};

const AT_BOTH: &[Case] = &[
    ("silence", |_| String::new(), Waits, ErrorKind::Timeout, "took longer than 300ms"),
    ("an end", |_| String::new(), Ends, ErrorKind::Io, "before its handshake was complete"),
    ("half a head", half, Waits, ErrorKind::Timeout, "took longer than 300ms"),
    ("half a head", half, Ends, ErrorKind::Io, "before its handshake was complete"),
    ("garbage", |_| "SSH-2.0-X\r\n\r\n".into(), Waits, ErrorKind::Handshake, "not HTTP"),
    ("garbage", |_| "\u{15}\u{3}\u{3}".into(), Waits, ErrorKind::Timeout, "took longer"),
    ("100 KB", large, Waits, ErrorKind::LimitExceeded, "larger than 16384 bytes"),
    ("2,000 headers", many, Waits, ErrorKind::LimitExceeded, "more than 64 header fields"),
    ("endless lines", lines, Waits, ErrorKind::LimitExceeded, "larger than 16384 bytes"),
];

const AT_A_SERVER: &[Case] = &[
    ("a wrong Accept", wrong, Waits, ErrorKind::Handshake, "Sec-WebSocket-Accept"),
    ("a page", page, Waits, ErrorKind::Refused, "answered the handshake with 200 OK"),
];

const AT_A_PROXY: &[Case] = &[
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
    check(name, &client(addr), kind, text);
    peer.join().unwrap();
}

fn check(name: &str, client: &Client, kind: ErrorKind, text: &str) {
    // Only what shall take too long may do so on a busy machine.
    let limit = if kind == ErrorKind::Timeout { 300 } else { 30_000 };
    let config = Config::default().connect_timeout(Duration::from_millis(limit));
    let started = Instant::now();
    let error = within(client.clone().config(config).connect()).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10), "{name}: {error}");
    assert_eq!(error.kind(), kind, "{name}: {error}");
    assert!(error.to_string().contains(text), "{name}: {error}");
}

fn at(addr: SocketAddr) -> Client {
    Client::new(&format!("ws://{addr}/")).unwrap()
}

fn by(addr: SocketAddr) -> Client {
    let proxy = Proxy::new(&format!("http://{addr}")).unwrap();
    Client::new("ws://a.example/").unwrap().proxy(proxy)
}

fn dead_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn bad_peers_are_one_error_in_time_and_leave_no_descriptor_behind() {
    // What the runtime opens for itself it keeps.
    meet(AT_A_SERVER[0], at);
    let before = descriptors();
    let settled = |name: &str| assert_eq!(descriptors(), before, "{name}");

    for case in AT_BOTH.iter().chain(AT_A_SERVER) {
        meet(*case, at);
        settled(case.0);
    }
    for case in AT_BOTH.iter().chain(AT_A_PROXY) {
        meet(*case, by);
        settled(case.0);
    }
    check("a dead port", &at(dead_port()), ErrorKind::Io, "cannot connect to 127.0.0.1");
    check("a dead proxy", &by(dead_port()), ErrorKind::Io, "the proxy cannot be reached");
    let nobody = Client::new(&format!("ws://{}.example/", "a".repeat(64))).unwrap();
    check("a name of nobody", &nobody, ErrorKind::Io, "cannot connect to aaa");
    settled("dead ports");
}
