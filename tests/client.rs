//! What a client can be told, and what becomes of servers that misbehave.

#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{
    io::{Read, Write},
    pin::pin,
    time::Duration,
};

use futures::{
    StreamExt,
    channel::oneshot,
    future::{Either, select},
};
use wsweave::{Client, Config, ConnectionExt, ErrorKind};
#[cfg(not(feature = "tls"))]
use {std::net::TcpListener, wsweave::Proxy};

use crate::support::{answering, header, read_head, serve_one, switching, wait_for_end, within};

fn client(url: &str) -> Client {
    Client::new(url).unwrap()
}

/// What a server is asked by this client.
fn request(client: &Client) -> String {
    let (addr, asked) = answering(switching);
    let _conn = within(client.connect_to("127.0.0.1", addr.port())).unwrap();
    asked.recv().unwrap()
}

#[test]
fn another_host_and_port_can_be_reached_while_the_host_header_stays() {
    for host in ["127.0.0.1", "localhost", "LOCALHOST"] {
        let (addr, asked) = answering(switching);
        let conn = within(client("ws://chat.example:81/room").connect_to(host, addr.port()));
        assert_eq!(conn.unwrap().peer_addr(), Some(addr));
        let request = asked.recv().unwrap();
        assert_eq!(header(&request, "host"), Some("chat.example:81"));
        assert!(request.starts_with("GET /room HTTP/1.1\r\n"));
    }
}

#[test]
fn what_is_no_host_or_port_cannot_be_connected_to() {
    let client = client("ws://chat.example/");
    for (host, port) in
        [("", 80), ("a b", 80), ("a\r\nX: y", 80), ("[::1", 80), ("a:80", 80), ("a", 0)]
    {
        let error = within(client.connect_to(host, port)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{host:?} {port}");
    }
}

#[cfg(unix)]
#[test]
fn a_unix_socket_can_be_reached_while_the_host_header_stays() {
    use std::{os::unix::net::UnixListener, thread};

    let path = std::env::temp_dir().join(format!("wsweave-client-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = read_head(&mut stream);
        stream.write_all(switching(&request).as_bytes()).unwrap();
        request
    });
    let conn = within(client("ws://chat.example/room").connect_unix(&path)).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(conn.peer_addr(), None);
    let request = server.join().unwrap();
    assert_eq!(header(&request, "host"), Some("chat.example"));
    assert!(request.starts_with("GET /room HTTP/1.1\r\n"));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_that_is_not_there_is_named() {
    let error = within(client("ws://a.example/").connect_unix("/nowhere.sock")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with("cannot connect to /nowhere.sock: "), "{error}");
}

#[test]
fn http_urls_are_websocket_urls() {
    let request = request(&client("http://chat.example/room?id=7"));
    assert!(request.starts_with("GET /room?id=7 HTTP/1.1\r\n"));
    assert_eq!(header(&request, "host"), Some("chat.example"));
}

#[test]
fn basic_authorization_is_sent() {
    let with_user = client("ws://nobody@a.example/").basic_auth("Aladdin", "open sesame").unwrap();
    let request = request(&with_user);
    assert_eq!(header(&request, "authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    assert_eq!(request.to_lowercase().matches("authorization").count(), 1);
    assert!(!format!("{with_user:?}").contains("QWxh"));

    let error = client("ws://a.example/").basic_auth("a:b", "c").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_bearer_token_is_sent() {
    let client = client("ws://a.example/").bearer_auth("mF_9.B5f-4.1JqM~+/==").unwrap();
    let request = request(&client);
    assert_eq!(header(&request, "authorization"), Some("Bearer mF_9.B5f-4.1JqM~+/=="));
    assert!(!format!("{client:?}").contains("mF_9"));

    for token in ["", "=", "two words", "a=b", "a\r\nX: y", "ä"] {
        let error = client.clone().bearer_auth(token).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{token}");
    }
}

#[test]
fn an_origin_is_sent_once() {
    let client = client("ws://a.example/").origin("http://b.example").unwrap();
    let client = client.origin("https://a.example:8443").unwrap();
    let request = request(&client);
    assert_eq!(header(&request, "origin"), Some("https://a.example:8443"));
    assert_eq!(request.to_lowercase().matches("origin:").count(), 1);
}

#[test]
fn what_is_no_origin_is_an_error_when_built() {
    for origin in [
        "",
        "null",
        "a.example",
        "https://a.example/",
        "https://a.example/page",
        "https://A.example",
        "https://a.example:443",
        "https://user@a.example",
        "https://bücher.example",
        "https://a.example\r\nX: y",
        "data:text",
    ] {
        let error = client("ws://a.example/").origin(origin).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{origin}");
        assert!(error.to_string().contains("https://example.com"), "{error}");
    }
}

#[test]
fn the_configuration_holds_for_the_connection() {
    let (addr, _) = serve_one(|mut stream| {
        let answer = switching(&read_head(&mut stream));
        stream.write_all(&[answer.as_bytes(), b"\x81\x05Hello"].concat()).unwrap();
        wait_for_end(&mut stream);
    });
    let client = client(&format!("ws://{addr}/")).config(Config::default().max_message_size(4));
    let mut conn = within(client.connect()).unwrap();
    assert_eq!(within(conn.next()), None);
    let error = conn.finish().unwrap().error.as_ref().unwrap();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[test]
fn dropping_the_attempt_ends_it() {
    let (asked, was_asked) = oneshot::channel();
    let (addr, server) = serve_one(move |mut stream| {
        asked.send(read_head(&mut stream)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.read(&mut [0]).unwrap()
    });
    let client = client(&format!("ws://{addr}/"));
    within(async {
        match select(pin!(client.connect()), was_asked).await {
            Either::Left((result, _)) => panic!("{result:?} without an answer"),
            Either::Right((request, _)) => assert!(request.unwrap().starts_with("GET / ")),
        }
    });
    assert_eq!(server.join().unwrap(), 0);
}

#[cfg(not(feature = "tls"))]
#[test]
fn tls_is_said_to_be_missing_before_anything_is_dialed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = listener.local_addr().unwrap();
    let (redirecting, _) = answering(move |_| {
        format!("HTTP/1.1 302 Found\r\nLocation: wss://{addr}/\r\nContent-Length: 0\r\n\r\n")
    });
    let straight = client(&format!("wss://{addr}/"));
    let proxy = Proxy::new(&format!("http://{addr}")).unwrap();
    let proxied = client("wss://a.example/").proxy(proxy);
    let redirected = client(&format!("ws://{redirecting}/")).follow_redirects(1);
    for client in [straight, proxied, redirected] {
        let error = within(client.connect()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("feature `tls`"), "{error}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
