//! Redirects: only on demand, only so many, and without secrets.

#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{net::SocketAddr, thread, time::Duration};

use wsweave::{Client, Config, ConnectionExt, ErrorKind};

use crate::support::{ManualClock, answering, header, switching, within};

fn client(addr: SocketAddr) -> Client {
    Client::new(&format!("ws://{addr}/start")).unwrap()
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// Answers `/start` with that, and everything else with 101.
fn from_start(answer: String) -> impl Fn(&str) -> String + Clone + Send {
    move |request| {
        if request.starts_with("GET /start") { answer.clone() } else { switching(request) }
    }
}

#[test]
fn a_redirect_is_an_error_unless_following_was_asked_for() {
    let (addr, _) = answering(|_| {
        "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 5\r\n\r\nthere".to_owned()
    });
    let error = within(client(addr).connect()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.to_string(), "the server answered the handshake with 302 Found");
    let response = error.response().unwrap();
    assert_eq!(
        (response.headers()["location"].as_bytes(), &response.body()[..]),
        (&b"/there"[..], &b"there"[..])
    );
}

#[test]
fn every_kind_of_redirect_is_followed_to_absolute_and_relative_locations() {
    for status in [301, 302, 303, 307, 308] {
        let (there, there_asked) = answering(switching);
        for location in
            [&format!("ws://{there}/there"), &format!("http://{there}/there"), "/there", "there?"]
        {
            let (addr, asked) = answering(from_start(redirect(status, location)));
            let conn = within(client(addr).follow_redirects(1).connect()).unwrap();
            assert!(asked.recv().unwrap().starts_with("GET /start HTTP/1.1\r\n"));
            let (asked, addr) =
                if location.contains("://") { (&there_asked, there) } else { (&asked, addr) };
            let last = asked.recv().unwrap();
            assert!(last.starts_with("GET /there"), "{last}");
            assert_eq!(header(&last, "host"), Some(addr.to_string().as_str()));
            assert_eq!(conn.peer_addr(), Some(addr));
        }
    }
}

#[test]
fn other_answers_are_no_redirects() {
    for status in [300, 304, 401, 503] {
        let (addr, _) = answering(from_start(redirect(status, "/there")));
        let error = within(client(addr).follow_redirects(1).connect()).unwrap_err();
        assert_eq!(error.response().unwrap().status(), status);
    }
    let (addr, _) = answering(|_| "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_owned());
    let error = within(client(addr).follow_redirects(1).connect()).unwrap_err();
    assert_eq!(error.to_string(), "the server answered the handshake with 302 Found");
}

#[test]
fn a_circle_ends() {
    let (addr, asked) = answering(|_| redirect(302, "/start"));
    let error = within(client(addr).follow_redirects(3).connect()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.to_string(), "the server redirected more than 3 times");
    assert_eq!(error.response().unwrap().status(), 302);
    assert!(!error.is_retryable());
    assert_eq!(asked.try_iter().count(), 4);
}

#[test]
fn a_location_that_cannot_be_followed_is_an_error_that_says_so() {
    for (location, text) in
        [("ftp://a.example/", "ws://"), ("ws://a.example:0/", "port 0"), ("ws://[zz]/", "IPv6")]
    {
        let (addr, _) = answering(move |_| redirect(307, location));
        let error = within(client(addr).follow_redirects(1).connect()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().starts_with("the redirect is not followed: "), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn secrets_do_not_go_to_another_server() {
    let (there, there_asked) = answering(switching);
    let (addr, asked) = answering(move |_| redirect(302, &format!("ws://x:y@{there}/")));
    let client = Client::new(&format!("ws://user:password@{addr}/start")).unwrap();
    let client = client.header("Cookie", "a=b").unwrap().header("X-Name", "weaver").unwrap();
    let client = client.subprotocol("chat").unwrap().follow_redirects(1);
    let error = within(client.connect()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake, "the subprotocol is still insisted on");

    let first = asked.recv().unwrap();
    assert_eq!(header(&first, "authorization"), Some("Basic dXNlcjpwYXNzd29yZA=="));
    assert_eq!(header(&first, "cookie"), Some("a=b"));
    let second = there_asked.recv().unwrap();
    assert_eq!(header(&second, "authorization"), None);
    assert_eq!(header(&second, "cookie"), None);
    assert_eq!(header(&second, "x-name"), Some("weaver"));
    assert_eq!(header(&second, "sec-websocket-protocol"), Some("chat"));
}

#[test]
fn secrets_stay_with_their_server() {
    let (addr, asked) = answering(from_start(redirect(302, "/there")));
    let client = client(addr).bearer_auth("token").unwrap().header("Cookie", "a=b").unwrap();
    let _conn = within(client.follow_redirects(1).connect()).unwrap();
    for request in [asked.recv().unwrap(), asked.recv().unwrap()] {
        assert_eq!(header(&request, "authorization"), Some("Bearer token"));
        assert_eq!(header(&request, "cookie"), Some("a=b"));
    }
}

#[test]
fn another_way_to_the_server_holds_for_its_redirects_only() {
    let (there, _) = answering(switching);
    let (addr, asked) = answering(move |request| match request.split(' ').nth(1) {
        Some("/start") => redirect(302, "/next"),
        _ => redirect(302, &format!("ws://{there}/")),
    });
    let client = Client::new("ws://a.example/start").unwrap().follow_redirects(2);
    let conn = within(client.connect_to("127.0.0.1", addr.port())).unwrap();
    assert_eq!(conn.peer_addr(), Some(there));
    for request in [asked.recv().unwrap(), asked.recv().unwrap()] {
        assert_eq!(header(&request, "host"), Some("a.example"));
    }
}

#[test]
fn the_body_of_a_redirect_is_not_waited_for() {
    let endless = "HTTP/1.1 302 X\r\nLocation: /there\r\nContent-Length: 1000000\r\n\r\nx";
    let (addr, _) = answering(from_start(endless.to_owned()));
    // Whoever waits for the body waits for ever.
    let config = Config::default().timer(ManualClock::new());
    let _conn = within(client(addr).config(config).follow_redirects(1).connect()).unwrap();
}

#[test]
fn all_redirects_together_have_one_timeout() {
    let (addr, asked) = answering(|_| {
        thread::sleep(Duration::from_millis(20));
        redirect(302, "/start")
    });
    let config = Config::default().connect_timeout(Duration::from_millis(500));
    let client = client(addr).config(config).follow_redirects(1000);
    assert_eq!(within(client.connect()).unwrap_err().kind(), ErrorKind::Timeout);
    assert!(asked.try_iter().count() > 1);
}
