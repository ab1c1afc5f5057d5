//! Answers other than 101: status, headers, and the start of the body.

use std::{pin::pin, time::Duration};

use futures::{
    executor::block_on,
    future::{join, poll_immediate},
};
use wsweave::{Bytes, Client, Config, ConnectionExt, Error, ErrorKind, http::Response};

use crate::{
    client::{client, connect, switching},
    script::{Script, Step},
    support::ManualClock,
};

fn refused(result: Result<impl Sized, Error>) -> Response<Bytes> {
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    error.response().unwrap().clone()
}

/// A client that waits for a body, whatever the features.
fn patient() -> Client {
    client().config(Config::default().timer(ManualClock::new()))
}

#[test]
fn status_headers_and_body_are_in_the_error() {
    let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 5\r\n\r\n\
                  who?\nmore";
    let error = connect(&client(), |_| answer.to_owned()).unwrap_err();
    assert_eq!(error.to_string(), "the server answered the handshake with 401 Unauthorized");
    assert!(!error.is_retryable());
    let response = refused(Err::<(), _>(error));
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Basic");
    assert_eq!(response.body(), "who?\n");
}

#[test]
fn a_server_that_is_busy_may_be_tried_again() {
    for (status, retryable) in [(404, false), (302, false), (429, true), (500, true), (503, true)] {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        let error = connect(&client(), |_| answer).unwrap_err();
        assert_eq!(error.is_retryable(), retryable, "{status}");
    }
}

#[test]
fn a_body_is_read_in_every_framing_and_split() {
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    for (rest, body) in [
        ("Content-Length: 11\r\n\r\nhello world and more".to_owned(), "hello world"),
        ("\r\nhello world".to_owned(), "hello world"),
        ("Content-Length: 11\r\nContent-Length: 11\r\n\r\nhello".to_owned(), "hello"),
        (format!("{chunked}5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"), "hello world"),
        (format!("{chunked}5\r\nhello\r\nfffffff\r\n wor"), "hello wor"),
        (format!("{chunked}5\r\nhello\r\nnonsense"), "hello"),
        (format!("{chunked}ffffffffffffffffffffffff\r\n"), ""),
    ] {
        let answer = format!("HTTP/1.1 404 Not Found\r\n{rest}");
        for size in 1..=answer.len() {
            let pieces = answer.as_bytes().chunks(size).map(|piece| Step::Send(piece.into()));
            let result = block_on(patient().connect_over(Script::new(pieces)));
            assert_eq!(refused(result).body(), body, "{answer:?} by {size}");
        }
    }
}

#[test]
fn the_body_is_not_waited_for_when_it_is_whole() {
    for rest in [
        "200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "204 No Content\r\n\r\n",
        "304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    ] {
        let client = client().config(Config::default().no_timer());
        refused(connect(&client, move |_| format!("HTTP/1.1 {rest}")));
    }
}

#[test]
fn only_the_first_kilobytes_of_a_body_are_kept() {
    for header in ["", "Content-Length: 1000000\r\n"] {
        let answer = format!("HTTP/1.1 500 X\r\n{header}\r\n{}", "x".repeat(1_000_000));
        let io = Script::whole(answer);
        let log = io.log();
        assert_eq!(refused(block_on(patient().connect_over(io))).body().len(), 8192);
        assert!(log.read() < 16_384, "{}", log.read());
    }
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_long() {
    let clock = ManualClock::new();
    let client = client().config(Config::default().timer(clock.clone()));
    let io = Script::whole("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nsta");
    let mut connecting = pin!(client.connect_over(io));
    for _ in 0..5 {
        assert!(block_on(poll_immediate(&mut connecting)).is_none());
    }
    let (result, ()) = block_on(join(connecting, async { clock.advance(Duration::from_secs(1)) }));
    assert_eq!(refused(result).body(), "sta");
}

#[test]
fn a_refusal_in_http_1_0_is_a_refusal() {
    let response = refused(connect(&client(), |_| {
        "\r\nHTTP/1.0 502 Bad Gateway\r\nContent-Length: 4\r\n\r\ngone".to_owned()
    }));
    assert_eq!(response.status(), 502);
    assert_eq!(response.version(), wsweave::http::Version::HTTP_10);
    assert_eq!(response.body(), "gone");
}

#[test]
fn interim_answers_come_before_the_final_one() {
    const INTERIM: &str =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let answer = |request: &str| format!("{INTERIM}{}", switching(request, "Server: loom\r\n"));
    let length = answer("Sec-WebSocket-Key: x").len();
    for size in 1..=length {
        let parts = (0..length).step_by(size).map(|at| {
            Step::Answer(Box::new(move |request| {
                answer(request).as_bytes()[at..(at + size).min(length)].into()
            }))
        });
        let conn = block_on(client().connect_over(Script::new(parts))).unwrap();
        assert_eq!(conn.response().unwrap().headers()["server"], "loom", "by {size}");
    }
    let refusal = format!("{INTERIM}HTTP/1.1 401 X\r\nContent-Length: 2\r\n\r\nno");
    let response = refused(connect(&client(), |_| refusal));
    assert_eq!((response.status().as_u16(), response.body().as_ref()), (401, b"no".as_slice()));
}

#[test]
fn interim_answers_share_the_limit_of_the_heads_size() {
    let interim = "HTTP/1.1 102 Processing\r\n\r\n";
    let size = 10 * interim.len() + switching("Sec-WebSocket-Key: x", "").len();
    for (limit, fits) in [(size, true), (size - 1, false)] {
        let client = client().config(Config::default().max_head_size(limit));
        let result = connect(&client, move |request| {
            format!("{}{}", interim.repeat(10), switching(request, ""))
        });
        match result {
            Ok(_) => assert!(fits),
            Err(error) => assert!(!fits && error.kind() == ErrorKind::LimitExceeded, "{error}"),
        }
    }
    let endless = connect(&client(), |_| interim.repeat(10_000)).unwrap_err();
    assert_eq!(endless.kind(), ErrorKind::LimitExceeded);
}

#[test]
fn without_a_clock_a_body_is_not_waited_for() {
    let client = client().config(Config::default().no_timer());
    let io = Script::whole("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nsta");
    let mut connecting = pin!(client.connect_over(io));
    let result = (0..10).find_map(|_| block_on(poll_immediate(&mut connecting)));
    assert_eq!(refused(result.unwrap()).body(), "sta");
}
