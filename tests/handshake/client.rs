//! The client's side: the request, what is checked when it is built, the 101.

use std::{pin::pin, time::Duration};

use futures::{
    StreamExt,
    executor::block_on,
    future::{join, poll_immediate},
};
use wsweave::{Accept, Client, Config, Connection, ConnectionExt, Error, ErrorKind};

use crate::{
    script::{Script, Step},
    support::{ManualClock, header},
};

/// An answer that fits the request, with more headers.
pub(crate) fn switching(request: &str, headers: &str) -> String {
    let accept = accept_key(request);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
    )
}

/// What the server makes of the request's key, by tungstenite's own hand.
fn accept_key(request: &str) -> String {
    let key = header(request, "sec-websocket-key").unwrap();
    async_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes())
}

pub(crate) fn client() -> Client {
    Client::new("ws://server.example.com/chat?room=7").unwrap()
}

/// Connects to a server that answers so.
pub(crate) fn connect(
    client: &Client,
    answer: impl FnOnce(&str) -> String + Send + 'static,
) -> Result<Connection<Script>, Error> {
    block_on(client.connect_over(Script::answer(|request| answer(request).into())))
}

/// The request that this client sends.
fn request(client: &Client) -> String {
    let io = Script::default();
    let log = io.log();
    assert_eq!(block_on(client.connect_over(io)).unwrap_err().kind(), ErrorKind::Io);
    log.written()
}

#[test]
fn the_request_is_the_one_of_the_rfc() {
    let request = request(&client());
    assert!(request.starts_with("GET /chat?room=7 HTTP/1.1\r\n") && request.ends_with("\r\n\r\n"));
    assert_eq!(header(&request, "host"), Some("server.example.com"));
    assert_eq!(header(&request, "upgrade"), Some("websocket"));
    assert_eq!(header(&request, "connection"), Some("Upgrade"));
    assert_eq!(header(&request, "sec-websocket-version"), Some("13"));
    assert_eq!(header(&request, "sec-websocket-protocol"), None);
    assert_eq!(request.lines().count(), 7);
    let key = header(&request, "sec-websocket-key").unwrap();
    assert!(key.len() == 24 && key.ends_with("=="), "{key}");
}

#[test]
fn each_attempt_has_a_key_of_its_own() {
    let client = client();
    assert_ne!(request(&client), request(&client));
}

#[test]
fn headers_and_subprotocols_are_sent_in_order() {
    let client = client()
        .header("X-One", "1")
        .and_then(|client| client.header("X-One", "2"))
        .and_then(|client| client.header("X-Name", "Grüezi"))
        .and_then(|client| client.subprotocol("chat.v2"))
        .and_then(|client| client.subprotocol("chat"))
        .unwrap();
    let request = request(&client);
    assert!(request.contains("x-one: 1\r\nx-one: 2\r\n"), "{request}");
    assert_eq!(header(&request, "x-name"), Some("Grüezi"));
    assert_eq!(header(&request, "sec-websocket-protocol"), Some("chat.v2, chat"));
}

#[test]
fn secrets_in_headers_are_sent_and_do_not_show() {
    for name in ["Authorization", "Proxy-Authorization", "Cookie"] {
        let client = client().header(name, "hush").unwrap();
        assert!(!format!("{client:?}").contains("hush"), "{name}");
        assert_eq!(header(&request(&client), name), Some("hush"));
    }
    let accept = Accept::new().header("Set-Cookie", "hush").unwrap();
    assert!(!format!("{accept:?}").contains("hush"));
}

#[test]
fn headers_that_break_the_request_are_errors_when_built() {
    for (name, value) in [
        ("X", "a\r\nX-Other: b"),
        ("X", "a\nb"),
        ("X\r\nY", "a"),
        ("X Y", "a"),
        ("", "a"),
        ("Host", "other.example"),
        ("Connection", "close"),
        ("Upgrade", "h2c"),
        ("Sec-WebSocket-Key", "a"),
        ("Sec-WebSocket-Version", "8"),
        ("Sec-WebSocket-Protocol", "chat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Content-Length", "5"),
    ] {
        let error = client().header(name, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {value}");
    }
}

#[test]
fn subprotocols_that_are_no_tokens_or_come_twice_are_errors_when_built() {
    for name in ["", "a b", "a,b", "a\r\nX: y", "a/b", "ä", "\"a\""] {
        assert_eq!(client().subprotocol(name).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let client = client().subprotocol("chat").unwrap();
    let error = client.subprotocol("chat").unwrap_err();
    assert_eq!(error.to_string(), r#"the subprotocol "chat" is offered twice"#);
}

#[test]
fn any_split_of_the_answer_is_the_same_answer() {
    let length = switching("Sec-WebSocket-Key: x", "Server: loom\r\n").len();
    for size in 1..=length {
        let mut parts = Vec::new();
        for at in (0..length).step_by(size) {
            parts.push(Step::Answer(Box::new(move |request| {
                let answer = switching(request, "Server: loom\r\n");
                answer.as_bytes()[at..(at + size).min(length)].into()
            })));
        }
        let conn = block_on(client().connect_over(Script::new(parts))).unwrap();
        let response = conn.response().unwrap();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["server"], "loom");
        assert!(conn.request().is_none());
    }
}

#[test]
fn dropping_the_handshake_half_way_drops_the_transport() {
    let client = client();
    let mut polls = 0;
    loop {
        let io = Script::pieces(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 10);
        let log = io.log();
        let mut connecting = Box::pin(client.connect_over(io));
        if (0..=polls).any(|_| block_on(poll_immediate(&mut connecting)).is_some()) {
            break;
        }
        drop(connecting);
        assert!(log.is_dropped(), "after {polls} polls");
        polls += 1;
    }
    assert!(polls > 3);
}

#[test]
fn answers_of_servers_with_manners_of_their_own_are_fine() {
    let answers: [fn(String) -> String; 7] = [
        |answer| answer.replace("\r\n", "\n"),
        |answer| answer.replace(" Switching Protocols", ""),
        |answer| answer.replace("Connection: Upgrade", "connection: keep-alive, upgrade"),
        |answer| answer.replace("Connection: Upgrade", "Connection: x\r\nConnection: UPGRADE"),
        |answer| answer.replace("Upgrade: websocket", "upgrade: WebSocket"),
        |answer| {
            answer.replace("Upgrade: websocket", "Sec-WebSocket-Extensions:\r\nUpgrade:websocket ")
        },
        |answer| format!("\r\n{answer}"),
    ];
    for change in answers {
        let conn = connect(&client(), move |request| change(switching(request, ""))).unwrap();
        assert_eq!(conn.response().unwrap().status(), 101);
    }
}

#[test]
fn each_broken_rule_of_the_answer_is_named() {
    let extensions = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    for (from, to, rule) in [
        ("HTTP/1.1", "HTTP/1.0", "HTTP/1.1"),
        ("HTTP/1.1", "SSH-2.0", "not HTTP"),
        ("Upgrade: websocket\r\n", "", "Upgrade: websocket"),
        ("Upgrade: websocket", "Upgrade: h2c", "Upgrade: websocket"),
        ("Upgrade: websocket", "Upgrade: websocket, h2c", "nothing else"),
        ("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: websocket", "nothing else"),
        ("Connection: Upgrade\r\n", "", "Connection: Upgrade"),
        ("Connection: Upgrade", "Connection: keep-alive", "Connection: Upgrade"),
        ("Sec-WebSocket-Accept: ", "X: ", "Sec-WebSocket-Accept"),
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x", "fits our key"),
        ("=\r\n", "=\r\nSec-WebSocket-Accept: x\r\n", "one Sec-WebSocket-Accept"),
        ("Upgrade:", &format!("{extensions}Upgrade:"), "extension"),
        (
            "Upgrade:",
            "Sec-WebSocket-Protocol: chat\r\nUpgrade:",
            "subprotocol that was not offered",
        ),
    ] {
        let (from, to) = (from.to_owned(), to.to_owned());
        let answer = move |request: &str| switching(request, "").replacen(&from, &to, 1);
        let error = connect(&client(), answer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake, "{error}");
        assert!(error.to_string().contains(rule), "{error} names {rule}");
    }
}

#[test]
fn what_is_not_text_does_not_go_unseen() {
    for (line, rule) in [
        (
            b"Sec-WebSocket-Extensions: permessage-deflate; x=\"\xff\"\r\n\r\n".as_slice(),
            "extension",
        ),
        (b"Sec-WebSocket-Extensions: \xff\r\n\r\n", "extension"),
        (b"Upgrade: h2c\xff\r\n\r\n", "nothing else"),
        (b"Upgrade: \xff\r\n\r\n", "nothing else"),
    ] {
        let io = Script::answer(move |request| {
            let answer = switching(request, "");
            [answer.as_bytes()[..answer.len() - 2].as_ref(), line].concat()
        });
        let error = block_on(client().connect_over(io)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert!(error.to_string().contains(rule), "{error} names {rule}");
    }
    let io = Script::answer(|request| {
        let answer = switching(request, "");
        let (before, after) = answer.split_once("Connection: ").unwrap();
        [before.as_bytes(), b"Connection: \xff, ", after.as_bytes()].concat()
    });
    assert!(block_on(client().connect_over(io)).is_ok());
}

#[test]
fn the_accept_key_is_compared_exactly() {
    let lower = |request: &str| {
        let accept = accept_key(request);
        switching(request, "").replace(&accept, &accept.to_lowercase())
    };
    assert_eq!(connect(&client(), lower).unwrap_err().kind(), ErrorKind::Handshake);
}

#[test]
fn a_subprotocol_must_be_one_of_those_offered() {
    let offering = || client().subprotocol("chat.v2").unwrap().subprotocol("chat").unwrap();
    let answer = |headers: &'static str| move |request: &str| switching(request, headers);
    let conn = connect(&offering(), answer("Sec-WebSocket-Protocol: chat\r\n")).unwrap();
    assert_eq!(conn.subprotocol(), Some("chat"));
    for (headers, rule) in [
        ("", "none of the subprotocols"),
        ("Sec-WebSocket-Protocol: mqtt\r\n", "not offered"),
        ("Sec-WebSocket-Protocol: Chat\r\n", "not offered"),
        ("Sec-WebSocket-Protocol:\r\n", "not offered"),
        ("Sec-WebSocket-Protocol: chat, chat.v2\r\n", "not offered"),
        ("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n", "only one"),
    ] {
        let error = connect(&offering(), answer(headers)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert!(error.to_string().contains(rule), "{headers:?}: {error}");
    }
}

#[test]
fn a_frame_right_behind_the_answer_is_the_first_message() {
    let io =
        Script::answer(|request| [switching(request, "").as_bytes(), b"\x81\x05Hello"].concat());
    let mut conn = block_on(client().connect_over(io)).unwrap();
    assert_eq!(block_on(conn.next()), Some("Hello".into()));
}

#[test]
fn a_server_that_says_nothing_is_an_error_in_time() {
    let clock = ManualClock::new();
    let client = client().config(Config::default().timer(clock.clone()));
    let mut connecting = pin!(client.connect_over(Script::new([Step::Wait])));
    assert!(block_on(poll_immediate(&mut connecting)).is_none());
    clock.advance(Duration::from_secs(29));
    assert!(block_on(poll_immediate(&mut connecting)).is_none());
    let (result, ()) = block_on(join(connecting, async { clock.advance(Duration::from_secs(1)) }));
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        error.to_string(),
        "connecting to server.example.com port 80 took longer than 30s, waiting for the server's answer"
    );
    assert!(error.is_retryable());
}

#[test]
fn the_answers_head_is_bounded() {
    let error =
        connect(&client(), |request| switching(request, &"X: y\r\n".repeat(62))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let error = connect(&client(), |_| "HTTP/1.1 101 ".repeat(10_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let client = client().config(Config::default().max_headers(1000));
    let error =
        connect(&client, |request| switching(request, &"X: y\r\n".repeat(200))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("124"), "{error}");
}

#[test]
fn a_server_that_vanishes_is_an_error_of_the_network() {
    for length in [0, 1, 100] {
        let io = Script::new([Step::Answer(Box::new(move |request| {
            switching(request, "").as_bytes()[..length].into()
        }))]);
        let error = block_on(client().connect_over(io)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.is_retryable());
    }
}

#[test]
fn a_server_that_takes_no_request_may_have_said_why() {
    // Without a clock only what is there at once would be read.
    let client = client().config(Config::default().timer(ManualClock::new()));
    let busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
    let io = Script::deaf([Step::Send(busy.into())]);
    let error = block_on(client.connect_over(io)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.response().unwrap().status(), 503);
    assert_eq!(error.response().unwrap().body(), "busy");

    let io = Script::deaf([Step::Send("SSH-2.0".into())]);
    let error = block_on(client.connect_over(io)).unwrap_err();
    assert_eq!(error.to_string(), "the server's answer is not HTTP");
}

#[test]
fn a_server_that_takes_no_request_and_says_nothing_is_not_waited_for_long() {
    let failed = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(error.to_string(), "the transport failed: broken pipe");
    };
    failed(block_on(client().connect_over(Script::deaf([]))).unwrap_err());

    let clock = ManualClock::new();
    let client = client().config(Config::default().timer(clock.clone()));
    let mut connecting = pin!(client.connect_over(Script::deaf([Step::Wait])));
    assert!(block_on(poll_immediate(&mut connecting)).is_none());
    clock.advance(Duration::from_secs(1));
    failed(block_on(connecting).unwrap_err());
}
