//! Hosts of several addresses, over loopback.

#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{
    io::Write,
    net::{IpAddr, TcpListener},
    thread,
};

use wsweave::{Client, ConnectionExt, ErrorKind, connect};

use crate::support::{read_head, switching, within};

/// A server that listens at one address, and the port.
fn listen_at(ip: &str) -> Option<u16> {
    let listener = TcpListener::bind((ip, 0)).ok()?;
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let answer = switching(&read_head(&mut stream));
        stream.write_all(answer.as_bytes()).unwrap();
    });
    Some(port)
}

#[test]
fn a_host_is_reached_by_the_family_that_answers() {
    for ip in ["127.0.0.1", "::1"] {
        // Not every machine has IPv6, nor a `localhost` of both families.
        let known: Vec<_> =
            std::net::ToSocketAddrs::to_socket_addrs("localhost:1").unwrap().collect();
        let ip_addr: IpAddr = ip.parse().unwrap();
        let Some(port) = listen_at(ip).filter(|_| known.iter().any(|addr| addr.ip() == ip_addr))
        else {
            continue;
        };
        let conn = within(connect(&format!("ws://localhost:{port}/"))).unwrap();
        assert_eq!(conn.peer_addr(), Some((ip_addr, port).into()));
    }
}

#[test]
fn a_host_that_answers_nowhere_is_one_error_that_names_it() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = within(connect(&format!("ws://localhost:{port}/"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot connect to localhost port {port}: ")), "{text}");
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn a_name_that_nobody_can_have_is_not_found() {
    // A label has 63 bytes at most (RFC 1035), so that no resolver is asked.
    let host = format!("{}.example", "a".repeat(64));
    let client = Client::new(&format!("ws://{host}/")).unwrap();
    let error = within(client.connect()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(
        error.to_string().starts_with(&format!("cannot connect to {host} port 80: ")),
        "{error}"
    );
}
