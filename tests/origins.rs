//! From which web pages connections are accepted.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

use futures::{executor::block_on, io::Cursor};
use wsweave::{Acceptor, ErrorKind, Origins, Refusal, http::Request};

const HOST: &str = "example.com";

fn request(host: &str, origins: &[&str]) -> Request<()> {
    let request = Request::get("/chat").header("Host", host);
    origins.iter().fold(request, |r, origin| r.header("Origin", *origin)).body(()).unwrap()
}

fn check(origins: &Origins, host: &str, origin: &str) -> Result<(), Refusal> {
    origins.check(&request(host, &[origin]))
}

/// What an acceptor answers to a proper handshake.
fn answer(acceptor: &Acceptor, origin: Option<&str>) -> String {
    let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{origin}\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    let mut io = Cursor::new(request.as_bytes().to_vec());
    let _ = block_on(acceptor.accept(&mut io));
    String::from_utf8_lossy(&io.get_ref()[request.len()..]).into_owned()
}

#[test]
fn by_default_the_same_host_is_accepted_and_nobodys_page() {
    let acceptor = Acceptor::new();
    assert!(answer(&acceptor, None).starts_with("HTTP/1.1 101 "));
    assert!(answer(&acceptor, Some("http://example.com")).starts_with("HTTP/1.1 101 "));
    assert!(answer(&acceptor, Some("http://evil.example")).starts_with("HTTP/1.1 403 "));
}

#[test]
fn a_request_without_an_origin_is_accepted_whatever_the_policy() {
    let listed = Origins::list(["https://app.example"]).unwrap();
    for origins in [Origins::same_host(), Origins::same_host_over_tls(), listed, Origins::any()] {
        assert!(origins.check(&request(HOST, &[])).is_ok(), "{origins:?}");
    }
}

#[test]
fn pages_of_other_hosts_ports_and_schemes_are_refused() {
    for origin in [
        "http://evil-example.com",
        "http://example.com.evil",
        "http://sub.example.com",
        "http://example.co",
        "http://example.com:8080",
        "http://example.com:443",
        "https://example.com",
        "https://example.com:80",
        "ws://example.com",
        "ftp://example.com:80",
        "null",
        "NULL",
    ] {
        assert!(check(&Origins::same_host(), HOST, origin).is_err(), "{origin}");
    }
}

#[test]
fn what_is_no_single_origin_is_refused() {
    let listed = Origins::list(["http://example.com"]).unwrap();
    for origin in [
        "",
        " ",
        "example.com",
        "//example.com",
        "http:example.com",
        "http://",
        "http:///",
        "http://:80",
        "http://example.com/",
        "http://example.com/chat",
        "http://example.com?",
        "http://example.com#",
        "http://example.com\\",
        "http://user@example.com",
        "http://example.com:",
        "http://example.com:+80",
        "http://example.com:80:80",
        "http://example.com:65616",
        "http://example.com http://example.com",
        "http://example.com, http://example.com",
        "://example.com",
        "1http://example.com",
        "ht tp://example.com",
    ] {
        for origins in [Origins::same_host(), listed.clone()] {
            assert!(check(&origins, HOST, origin).is_err(), "{origin:?}");
        }
    }
    let bytes = Request::get("/").header("Host", HOST).header("Origin", &b"http://\xffx"[..]);
    assert!(Origins::same_host().check(&bytes.body(()).unwrap()).is_err());
}

#[test]
fn two_origins_are_refused_even_if_both_are_right() {
    let twice = request(HOST, &["http://example.com", "http://example.com"]);
    let listed = Origins::list(["http://example.com"]).unwrap();
    for origins in [Origins::same_host(), listed] {
        assert!(origins.check(&twice).is_err());
    }
    assert!(Origins::any().check(&twice).is_ok());
}

#[test]
fn letter_case_and_default_ports_do_not_count() {
    for (host, origin) in [
        ("Example.COM", "HTTP://example.com"),
        ("example.com:80", "http://example.com"),
        ("example.com", "http://EXAMPLE.com:80"),
        ("example.com:", "http://example.com"),
        ("example.com:8080", "http://example.com:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("127.0.0.1", "http://127.0.0.1"),
    ] {
        assert!(check(&Origins::same_host(), host, origin).is_ok(), "{host}: {origin}");
    }
}

#[test]
fn over_tls_the_page_has_to_come_by_https() {
    let origins = Origins::same_host_over_tls();
    for (host, origin, accepted) in [
        ("example.com", "https://example.com", true),
        ("example.com:443", "https://example.com", true),
        ("example.com", "https://example.com:443", true),
        ("example.com", "http://example.com", false),
        ("example.com:80", "https://example.com", false),
    ] {
        assert_eq!(check(&origins, host, origin).is_ok(), accepted, "{host}: {origin}");
    }
}

#[test]
fn a_request_that_does_not_say_which_host_it_means_is_of_none() {
    let origin = |request: Request<()>| Origins::same_host().check(&request).is_ok();
    let nowhere = Request::get("/").header("Origin", "http://example.com");
    assert!(!origin(nowhere.body(()).unwrap()));
    let twofold = Request::get("/").header("Host", HOST).header("Host", HOST);
    assert!(!origin(twofold.header("Origin", "http://example.com").body(()).unwrap()));
    // RFC 9112, section 3.2.2.
    let absolute = Request::get("http://example.com/").header("Host", "other.example");
    assert!(origin(absolute.header("Origin", "http://example.com").body(()).unwrap()));
}

#[test]
fn a_list_accepts_what_is_on_it_and_nothing_else() {
    let origins = ["https://App.example:443", "http://localhost:8080", "tauri://localhost"];
    let origins = Origins::list(origins).unwrap();
    for (origin, accepted) in [
        ("https://app.example", true),
        ("http://localhost:8080", true),
        ("tauri://localhost", true),
        ("http://app.example", false),
        ("https://app.example:8443", false),
        ("https://app.example.evil", false),
        ("https://evil-app.example", false),
        ("http://localhost", false),
        ("tauri://localhost:80", false),
        ("http://example.com", false),
        ("null", false),
    ] {
        assert_eq!(check(&origins, HOST, origin).is_ok(), accepted, "{origin}");
    }
    assert!(check(&Origins::list([""; 0]).unwrap(), HOST, "http://example.com").is_err());
}

#[test]
fn a_list_is_checked_when_it_is_made() {
    for wrong in [
        "",
        "null",
        "*",
        "app.example",
        "app.example:443",
        "https://*.app.example",
        "https://app.example/",
        "https://user@app.example",
        "https://app.example:99999",
        "https://münchen.example",
        "wss://app.example",
        "WS://app.example",
        "https://a.example https://b.example",
    ] {
        let error = Origins::list(["https://fine.example", wrong]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}");
        assert!(error.to_string().starts_with(&format!("`{wrong}` is no origin")), "{error}");
    }
}

#[test]
fn any_origin_accepts_all_of_them() {
    let acceptor = Acceptor::new().any_origin();
    for origin in ["http://evil.example", "null", "garbage"] {
        assert!(answer(&acceptor, Some(origin)).starts_with("HTTP/1.1 101 "), "{origin}");
    }
}

#[test]
fn a_refusal_says_what_to_configure() {
    let listed = Origins::list(["https://app.example"]).unwrap();
    for (origins, texts) in [
        (Origins::same_host(), ["of the same host", "Origins::same_host_over_tls"]),
        (Origins::same_host_over_tls(), ["https pages of the same host", "Origins::list"]),
        (listed, ["of the listed origins", "any_origin"]),
    ] {
        let answer = answer(&Acceptor::new().origins(origins), Some("http://evil.example"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{head}");
        assert!(head.contains("content-type: text/plain"), "{head}");
        assert!(body.contains("http://evil.example") && body.ends_with('\n'), "{body}");
        assert!(texts.iter().all(|text| body.contains(text)), "{body}");
    }
}

#[test]
fn the_callback_decides_about_allowed_origins_only() {
    let acceptor = Acceptor::new().on_request(|_| unreachable!("the origin is not allowed"));
    assert!(answer(&acceptor, Some("http://evil.example")).starts_with("HTTP/1.1 403 "));
}
