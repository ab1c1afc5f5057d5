//! Which URLs a client takes, and what becomes of them.

use futures::executor::block_on;
use wsweave::{Client, ErrorKind};

use crate::{script::Script, support::header};

fn request(url: &str) -> String {
    let io = Script::default();
    let log = io.log();
    let _ = block_on(Client::new(url).unwrap().connect_over(io));
    log.written()
}

#[test]
fn a_url_gives_the_host_and_the_target() {
    for (url, host, target) in [
        ("ws://a.example", "a.example", "/"),
        ("ws://a.example/x/y?z=1&z=2", "a.example", "/x/y?z=1&z=2"),
        ("ws://a.example?z", "a.example", "/?z"),
        ("ws://a.example:8080/", "a.example:8080", "/"),
        ("ws://a.example:80/", "a.example", "/"),
        ("ws://a.example:443/", "a.example:443", "/"),
        ("wss://a.example:443/", "a.example", "/"),
        ("wss://a.example:80/", "a.example:80", "/"),
        ("ws://a.example:/", "a.example", "/"),
        ("http://a.example/", "a.example", "/"),
        ("HTTPS://a.example/", "a.example", "/"),
        ("Ws://127.0.0.1:9001/", "127.0.0.1:9001", "/"),
        ("ws://[::1]:9001/", "[::1]:9001", "/"),
        ("ws://user:pass@word@[::1]/", "[::1]", "/"),
        ("ws://a.example/grüezi?ö=%20", "a.example", "/gr%C3%BCezi?%C3%B6=%20"),
        ("ws://a.example/a b?c d", "a.example", "/a%20b?c%20d"),
        ("ws://a.example/100%?[\"a|b\"]", "a.example", "/100%?[%22a|b%22]"),
        ("ws://a.example/x/./y/../z", "a.example", "/x/z"),
        ("ws://A.Example:08080/", "a.example:8080", "/"),
        ("ws://Bücher.example/", "xn--bcher-kva.example", "/"),
        ("ws://xn--bcher-kva.example/", "xn--bcher-kva.example", "/"),
        ("ws://例え.テスト/", "xn--r8jz45g.xn--zckzah", "/"),
        ("ws://[0:0::0001]/", "[::1]", "/"),
        ("ws://0x7f.1/", "127.0.0.1", "/"),
    ] {
        let request = request(url);
        assert_eq!(header(&request, "host"), Some(host), "{url}");
        assert!(request.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{url}: {request}");
    }
}

#[test]
fn what_is_no_websocket_url_is_an_error_when_built() {
    for (url, text) in [
        ("ws://a.example/#top", "fragment"),
        ("ws://a.example/#", "fragment"),
        ("ftp://a.example/", "ws://"),
        ("a.example", "ws://"),
        ("/path", "ws://"),
        ("", "ws://"),
        ("ws://", "not valid"),
        ("ws:///path", "not valid"),
        ("ws:a.example", "not valid"),
        ("ws:\\\\a.example\\", "not valid"),
        (" ws://a.example/", "not valid"),
        ("ws://a.example/\n", "not valid"),
        ("ws://:80/", "host"),
        ("ws://user@:80/", "host"),
        ("ws://a.example:99999/", "port"),
        ("ws://a.example:+80/", "port"),
        ("ws://a.example:0/", "port 0"),
        ("ws://[::1]80/", "IPv6"),
        ("ws://1.2.3.256/", "IPv4"),
        ("ws://[zz]/", "IPv6"),
        ("ws://[127.0.0.1]/", "IPv6"),
        ("ws://[fe80::1%25eth0]/", "zone"),
        ("ws://a b/", "not valid"),
        ("ws://a.example/\r\nX: y", "not valid"),
        ("ws://a:b%3Ac@a.example/", ""),
        ("ws://a%3Ab:c@a.example/", "colon"),
    ] {
        let result = Client::new(url);
        if text.is_empty() {
            assert!(result.is_ok(), "{url}");
            continue;
        }
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
        assert!(error.to_string().contains(text), "{url}: {error}");
    }
}

#[test]
fn a_url_that_is_too_long_for_a_request_is_an_error_when_built() {
    let error = Client::new(&format!("ws://a.example/{}", "x".repeat(1 << 16))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("too long"), "{error}");
}

#[test]
fn a_user_becomes_basic_authorization() {
    for (url, credentials) in [
        ("ws://Aladdin:open%20sesame@a.example/", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("ws://Aladdin@a.example/", "QWxhZGRpbjo="),
        ("ws://a:b%3Ac@a.example/", "YTpiOmM="),
        ("ws://gr%C3%BC:ü%0D%0A@a.example/", "Z3LDvDrDvA0K"),
    ] {
        let request = request(url);
        assert_eq!(
            header(&request, "authorization"),
            Some(format!("Basic {credentials}").as_str()),
            "{url}"
        );
    }
}

#[test]
fn nobody_is_not_a_user() {
    for url in ["ws://@a.example/", "ws://:@a.example/"] {
        assert_eq!(header(&request(url), "authorization"), None, "{url}");
    }
    let only_a_password = request("ws://:b@a.example/");
    assert_eq!(header(&only_a_password, "authorization"), Some("Basic OmI="));
}

#[test]
fn an_authorization_header_takes_the_place_of_the_user() {
    let client = Client::new("ws://user:password@a.example/").unwrap();
    let client = client.header("Authorization", "Bearer token").unwrap();
    let io = Script::default();
    let log = io.log();
    let _ = block_on(client.connect_over(io));
    assert_eq!(header(&log.written(), "authorization"), Some("Bearer token"));
    assert_eq!(log.written().to_lowercase().matches("authorization").count(), 1);
}

#[test]
fn a_password_does_not_show() {
    let client = Client::new("ws://user:password@a.example/").unwrap();
    let shown = format!("{client:?}");
    assert!(!shown.contains("password") && !shown.contains("dXNlcjpwYXNzd29yZA"), "{shown}");
}
