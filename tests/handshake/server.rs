//! The server's side: reading requests, the callback, limits in size and time.

use std::{pin::pin, time::Duration};

use futures::{
    FutureExt, StreamExt,
    executor::block_on,
    future::{join, poll_immediate},
};
use wsweave::{
    Accept, Acceptor, Config, Connection, ConnectionExt, Error, ErrorKind, Refusal,
    http::{Response, StatusCode},
};

use crate::{
    script::{Script, Step},
    support::ManualClock,
};

/// The one of RFC 6455, section 1.2.
pub(crate) const REQUEST: &str = "GET /chat?room=7 HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://server.example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The text "Hello" of RFC 6455, section 5.7, masked.
const HELLO: [u8; 11] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

fn accept(io: Script) -> Result<Connection<Script>, Error> {
    block_on(Acceptor::new().accept(io))
}

fn accept_with(
    decide: impl Fn() -> Result<Accept, Refusal> + Send + Sync + 'static,
) -> (Result<Connection<Script>, Error>, String) {
    let io = Script::new([Step::Send(REQUEST.into())]);
    let log = io.log();
    let result = block_on(Acceptor::new().on_request(move |_| decide()).accept(io));
    (result, log.written())
}

#[test]
fn a_proper_request_is_answered_with_the_key_that_the_rfc_gives() {
    let io = Script::whole(REQUEST);
    let log = io.log();
    let _conn = accept(io).unwrap();
    let written = log.written().to_lowercase();
    let (status, headers) = written.split_once("\r\n").unwrap();
    assert_eq!(status, "http/1.1 101 switching protocols");
    let mut headers: Vec<_> = headers.trim_end().split("\r\n").collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "connection: upgrade",
            "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
            "upgrade: websocket"
        ]
    );
    assert!(!log.is_closed());
}

#[test]
fn any_split_of_the_request_is_the_same_request() {
    for size in 1..=REQUEST.len() {
        let conn = accept(Script::pieces(REQUEST.as_bytes(), size)).unwrap();
        let request = conn.request().unwrap();
        assert_eq!(request.uri(), "/chat?room=7");
        assert_eq!(request.headers()["origin"], "http://server.example.com");
    }
}

#[test]
fn lines_may_end_with_lf_alone_and_empty_ones_may_come_first() {
    let requests = [
        REQUEST.replace("\r\n", "\n"),
        format!("\r\n\n\r\n{REQUEST}"),
        REQUEST.replace("\r\n\r\n", "\r\n\n"),
        REQUEST.replace("\r\n\r\n", "\n\r\n"),
    ];
    for request in requests {
        for size in [1, request.len()] {
            let conn = accept(Script::pieces(request.as_bytes(), size)).unwrap();
            assert_eq!(conn.request().unwrap().uri().path(), "/chat", "{request:?} by {size}");
        }
    }
}

#[test]
fn a_frame_right_behind_the_request_is_the_first_message() {
    let bytes = [REQUEST.as_bytes(), &HELLO].concat();
    for size in [1, REQUEST.len() - 1, REQUEST.len() + 3, bytes.len()] {
        let mut conn = accept(Script::pieces(&bytes, size)).unwrap();
        assert_eq!(block_on(conn.next()), Some("Hello".into()), "by {size}");
    }
}

#[test]
fn the_request_can_be_forgotten_and_the_subprotocol_stays() {
    let acceptor = Acceptor::new()
        .on_request(|request| Ok(Accept::new().choose_subprotocol(request, ["chat"])));
    let mut conn = block_on(acceptor.accept(Script::whole(REQUEST))).unwrap();
    assert!(conn.response().is_none());
    conn.forget_head();
    assert!(conn.request().is_none());
    assert_eq!(conn.subprotocol(), Some("chat"));
}

#[test]
fn a_connection_without_a_handshake_of_ours_has_neither_request_nor_subprotocol() {
    let (client, mut server) = Connection::pair();
    assert!(client.response().is_none() && server.request().is_none());
    server.forget_head();
    assert!(server.subprotocol().is_none());
}

#[test]
fn the_callback_sees_the_request() {
    let acceptor = Acceptor::new().on_request(|request| {
        assert_eq!(request.uri().path(), "/chat");
        assert_eq!(request.uri().query(), Some("room=7"));
        assert_eq!(request.headers()["host"], "server.example.com");
        Ok(Accept::new())
    });
    assert!(block_on(acceptor.accept(Script::whole(REQUEST))).is_ok());
}

#[test]
fn the_callback_adds_headers() {
    let accept = || Ok(Accept::new().header("Set-Cookie", "a=1")?.header("Set-Cookie", "b=2")?);
    let (result, written) = accept_with(accept);
    assert!(result.is_ok());
    assert!(written.contains("set-cookie: a=1\r\n") && written.contains("set-cookie: b=2\r\n"));
}

#[test]
fn headers_that_break_the_answer_are_errors_when_made() {
    for (name, value) in [
        ("X", "a\r\nSet-Cookie: b"),
        ("X", "a\nb"),
        ("X\r\nY", "a"),
        ("X Y", "a"),
        ("", "a"),
        ("X", "é"),
        ("Connection", "close"),
        ("upgrade", "h2c"),
        ("Sec-WebSocket-Accept", "a"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Sec-WebSocket-Protocol", "chat"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
    ] {
        let error = Accept::new().header(name, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {value}");
    }
}

#[test]
fn the_clients_preference_decides_on_the_subprotocol() {
    for (supported, chosen) in [
        (vec!["superchat", "chat"], Some("chat")),
        (vec!["superchat"], Some("superchat")),
        (vec!["mqtt", "Chat"], None),
        (vec![], None),
    ] {
        let io = Script::whole(REQUEST);
        let log = io.log();
        let acceptor = Acceptor::new()
            .on_request(move |request| Ok(Accept::new().choose_subprotocol(request, &supported)));
        let conn = block_on(acceptor.accept(io)).unwrap();
        assert_eq!(conn.subprotocol(), chosen);
        let header = chosen.map(|name| format!("sec-websocket-protocol: {name}\r\n"));
        assert_eq!(log.written().contains("protocol:"), chosen.is_some());
        assert!(header.is_none_or(|header| log.written().contains(&header)));
    }
}

#[test]
fn a_subprotocol_that_was_not_offered_refuses_the_request() {
    let (result, written) = accept_with(|| Ok(Accept::new().subprotocol("mqtt")));
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake);
    assert!(error.to_string().contains("did not offer"), "{error}");
    assert!(written.starts_with("HTTP/1.1 500 "));
    assert!(!written.contains("mqtt"));
}

#[test]
fn the_callback_refuses_with_any_http_answer() {
    let (result, written) = accept_with(|| {
        let page = Response::builder()
            .status(200)
            .header("Content-Type", "text/html")
            .header("Content-Length", "1000")
            .header("Transfer-Encoding", "chunked")
            .body("<h1>hello</h1>");
        Err(page.unwrap().into())
    });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Handshake);
    let (head, body) = written.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: text/html"));
    assert!(head.contains("content-length: 14") && !head.contains("1000"));
    assert!(head.contains("connection: close") && !head.contains("transfer-encoding"));
    assert_eq!(body, "<h1>hello</h1>");
}

#[test]
fn a_refusal_that_cannot_be_sent_is_answered_with_500_and_an_error() {
    let status = |code| Refusal::new(StatusCode::from_u16(code).unwrap(), "secret");
    let header = Response::builder().status(403).header("X-Why", "é").body("secret").unwrap();
    for refusal in [status(100), status(101), status(103), header.into()] {
        let (result, written) = accept_with(move || Err(refusal.clone()));
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(written.starts_with("HTTP/1.1 500 ") && !written.contains("secret"), "{written}");
    }
}

#[test]
fn a_refusal_has_no_body_where_http_does_not_allow_one() {
    for (status, length) in [(204, None), (205, Some("content-length: 0")), (304, None)] {
        let (_, written) = accept_with(move || {
            let response = Response::builder().status(status).header("Content-Length", "9");
            Err(response.body("unsendable").unwrap().into())
        });
        assert!(written.ends_with("\r\n\r\n"), "{written}");
        let found = written.lines().find(|line| line.starts_with("content-length"));
        assert_eq!(found, length, "{status}");
    }
}

#[test]
fn a_panic_in_the_callback_is_an_error_of_this_handshake_only() {
    let (result, written) = accept_with(|| panic!("the callback panics"));
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake);
    assert!(error.to_string().contains("panicked"), "{error}");
    assert!(written.starts_with("HTTP/1.1 500 ") && !written.contains("panic"), "{written}");
}

#[test]
fn an_error_in_the_callback_is_told_to_us_and_not_to_the_client() {
    let (result, written) = accept_with(|| Ok(Accept::new().header("Secret\n", "")?));
    assert!(result.unwrap_err().to_string().contains("a header cannot be sent"));
    assert!(written.starts_with("HTTP/1.1 500 "));
    assert!(written.ends_with("\r\n\r\ninternal server error\n"));
}

#[test]
fn the_whole_head_has_to_come_in_time_however_it_drips() {
    let clock = ManualClock::new();
    let config = Config::default().timer(clock.clone()).handshake_timeout(Duration::from_secs(10));
    let acceptor = Acceptor::new().config(config);
    let drip = REQUEST.bytes().map(|byte| {
        let clock = clock.clone();
        Step::Answer(Box::new(move |_| {
            clock.advance(Duration::from_secs(1));
            vec![byte]
        }))
    });
    let error = block_on(acceptor.accept(Script::new(drip))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "the handshake took longer than 10s");
}

#[test]
fn without_a_clock_there_is_no_timeout() {
    let acceptor = Acceptor::new().config(Config::default().no_timer());
    let mut accepting = pin!(acceptor.accept(Script::new([Step::Wait])));
    assert!(block_on(poll_immediate(&mut accepting)).is_none());
    assert!(accepting.now_or_never().is_none());
}

#[test]
fn a_client_that_vanishes_is_an_error_of_the_network() {
    for length in [0, 1, REQUEST.len() - 1] {
        let io = Script::new([Step::Send(REQUEST.as_bytes()[..length].into())]);
        assert_eq!(accept(io).unwrap_err().kind(), ErrorKind::Io);
    }
}

#[test]
fn dropping_the_handshake_half_way_drops_the_transport() {
    let acceptor = Acceptor::new();
    let mut polls = 0;
    loop {
        let io = Script::pieces(REQUEST.as_bytes(), 50);
        let log = io.log();
        let mut accepting = Box::pin(acceptor.accept(io));
        if (0..=polls).any(|_| block_on(poll_immediate(&mut accepting)).is_some()) {
            break;
        }
        drop(accepting);
        assert!(log.is_dropped() && log.written().is_empty(), "after {polls} polls");
        polls += 1;
    }
    assert!(polls > 3);
}

#[test]
fn a_transport_that_lies_about_what_it_read_is_an_error() {
    assert_eq!(accept(Script::new([Step::Lie])).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn a_refused_peer_is_read_on_for_a_bounded_time() {
    let clock = ManualClock::new();
    let acceptor = Acceptor::new().config(Config::default().timer(clock.clone()));
    let io = Script::whole("GET / HTTP/1.1\r\n\r\n");
    let log = io.log();
    let mut accepting = pin!(acceptor.accept(io));
    for _ in 0..5 {
        assert!(block_on(poll_immediate(&mut accepting)).is_none());
    }
    assert!(log.is_closed() && log.written().starts_with("HTTP/1.1 400 "));
    let (result, ()) = block_on(join(accepting, async { clock.advance(Duration::from_secs(1)) }));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Handshake);
}

#[test]
fn a_refused_peer_is_read_on_up_to_a_bound() {
    let io = Script::whole([b"GET / HTTP/1.1\r\n\r\n".as_slice(), &vec![b'x'; 1 << 20]].concat());
    let log = io.log();
    let acceptor = Acceptor::new().config(Config::default().timer(ManualClock::new()));
    assert_eq!(block_on(acceptor.accept(io)).unwrap_err().kind(), ErrorKind::Handshake);
    assert!((60_000..80_000).contains(&log.read()), "{}", log.read());
}

#[test]
fn a_refusal_without_a_clock_waits_for_nobody() {
    let acceptor = Acceptor::new().config(Config::default().no_timer());
    let io = Script::whole("GET / HTTP/1.1\r\n\r\n");
    let log = io.log();
    let mut accepting = pin!(acceptor.accept(io));
    let result = (0..10).find_map(|_| block_on(poll_immediate(&mut accepting)));
    assert_eq!(result.unwrap().unwrap_err().kind(), ErrorKind::Handshake);
    assert!(log.is_closed() && log.written().starts_with("HTTP/1.1 400 "));
}
