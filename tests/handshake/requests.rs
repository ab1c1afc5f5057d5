//! Which requests a server refuses, how, and where its limits are.

use futures::executor::block_on;
use wsweave::{
    Accept, Acceptor, Config, ErrorKind,
    handshake::server::respond,
    http::{HeaderName, Method, Request, Version},
};

use crate::{
    script::{Script, Step},
    server::REQUEST,
};

/// Has the request refused; returns the head and the body of the answer.
fn refuse(config: Config, request: &str) -> (String, String) {
    let io = Script::new([Step::Send(request.into())]);
    let log = io.log();
    let acceptor = Acceptor::new().config(config).any_origin().on_request(|request| {
        let upgrade = request.headers().get("upgrade");
        assert!(upgrade.is_none_or(|name| name != "websocket"), "only pages and handshakes");
        Ok(Accept::new())
    });
    let error = block_on(acceptor.accept(io)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake, "{request:?}");

    assert!(log.is_closed());
    let answer = log.written();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    assert!(error.to_string().ends_with(body.trim_end()), "{error}: {body}");
    (head.to_owned(), body.to_owned())
}

fn accepts(config: Config, request: &str) -> bool {
    let io = Script::new([Step::Send(request.into())]);
    block_on(Acceptor::new().config(config).any_origin().accept(io)).is_ok()
}

#[test]
fn each_broken_rule_is_refused_by_its_name() {
    let without = |name: &str| -> String {
        REQUEST.split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect()
    };
    let twice = |name: &str| -> String {
        let line = REQUEST.split_inclusive("\r\n").find(|line| line.starts_with(name)).unwrap();
        REQUEST.replace(line, &format!("{line}{line}"))
    };
    let with = |from: &str, to: &str| REQUEST.replace(from, to);
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    for (request, status, text) in [
        (with("GET", "POST"), 405, "GET"),
        (with("GET", "HEAD"), 405, "GET"),
        (with("HTTP/1.1", "HTTP/1.0"), 400, "HTTP/1.1"),
        (with("HTTP/1.1", "HTTP/2.0"), 400, "not HTTP"),
        (with("/chat?room=7", "*"), 400, "target"),
        (with("/chat?room=7", "example.com:80"), 400, "target"),
        (with("/chat?room=7", "/a b"), 400, "not HTTP"),
        (with("/chat?room=7", "/#x"), 400, "fragment"),
        (with("/chat?room=7", "http://other.example/"), 400, "the same"),
        (with("/chat?room=7", "http://server.example.com:81/"), 400, "the same"),
        (with("/chat?room=7", "http://user@server.example.com/"), 400, "the same"),
        (without("Host"), 400, "Host"),
        (twice("Host"), 400, "Host"),
        (with("server.example.com", ""), 400, "Host"),
        (with("server.example.com", "a b"), 400, "Host"),
        (with("server.example.com", ":80"), 400, "Host"),
        (with("server.example.com", "a:99999"), 400, "Host"),
        (with("server.example.com", "a:+80"), 400, "Host"),
        (with("server.example.com", "a:80:80"), 400, "Host"),
        (with("server.example.com", "[::1]80"), 400, "Host"),
        (with("server.example.com", "user@server.example.com"), 400, "Host"),
        (with("Origin:", "Content-Length: 5\r\nOrigin:"), 400, "body"),
        (with("Origin:", "Transfer-Encoding: chunked\r\nOrigin:"), 400, "body"),
        (without("Upgrade"), 426, "Upgrade"),
        (with("Upgrade: websocket", "Upgrade: h2c"), 426, "Upgrade"),
        (without("Connection"), 400, "Connection"),
        (with("Connection: Upgrade", "Connection: keep-alive"), 400, "Connection"),
        (without("Sec-WebSocket-Version"), 426, "Version: 13"),
        (with("Version: 13", "Version: 8"), 426, "Version: 13"),
        (twice("Sec-WebSocket-Version"), 426, "one `Sec-WebSocket-Version"),
        (without("Sec-WebSocket-Key"), 400, "Key"),
        (twice("Sec-WebSocket-Key"), 400, "one Sec-WebSocket-Key"),
        (with(key, "dGhlIHNhbXBsZSBub25j"), 400, "16 bytes"),
        (with(key, "dGhlIHNhbXBsZSBub25jZQAA"), 400, "16 bytes"),
        (with(key, "dGhlIHNhbXBsZSBub25jZ!=="), 400, "base64"),
        (with("Origin", "Ori gin"), 400, "not HTTP"),
        (with("Origin", " Origin"), 400, "not HTTP"),
        (with("Origin:", "Origin"), 400, "not HTTP"),
        ("\x16\x03\x01\x02\n\n".to_owned(), 400, "not HTTP"),
    ] {
        let (head, body) = refuse(Config::default(), &request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {head}");
        assert!(body.contains(text) && body.ends_with('\n'), "{request:?}: {body}");
    }
}

#[test]
fn a_refusal_says_what_would_be_right() {
    let (head, _) = refuse(Config::default(), &REQUEST.replace("GET", "PUT"));
    assert!(head.contains("allow: GET"));
    let (head, _) = refuse(Config::default(), &REQUEST.replace("Version: 13", "Version: 7"));
    assert!(head.contains("sec-websocket-version: 13"));
    // RFC 9110, section 7.8.
    assert!(head.contains("upgrade: websocket") && head.contains("connection: close, Upgrade"));
}

#[test]
fn lists_are_read_over_all_lines_and_in_any_case() {
    for (from, to) in [
        ("Connection: Upgrade", "Connection: keep-alive, upgrade"),
        ("Connection: Upgrade", "Connection: keep-alive\r\nConnection:UPGRADE , x"),
        ("Upgrade: websocket", "UPGRADE: WebSocket"),
        ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: ,websocket"),
        ("Origin:", "Content-Length: 0\r\nOrigin:"),
        ("Host: server.example.com", "host: [::1]:8080"),
        ("Host: server.example.com", "Host: a:"),
        ("GET /chat?room=7", "GET http://Server.example.com/chat"),
        // The last character's padding is not zero.
        ("nZQ==", "nZR=="),
    ] {
        assert!(accepts(Config::default(), &REQUEST.replace(from, to)), "{to}");
    }
}

#[test]
fn the_heads_size_is_bounded_inclusively() {
    let size = REQUEST.len();
    assert!(accepts(Config::default().max_head_size(size), REQUEST));
    // What follows it does not count.
    assert!(accepts(Config::default().max_head_size(size), &format!("{REQUEST}{:1000}", ' ')));
    let (head, body) = refuse(Config::default().max_head_size(size - 1), REQUEST);
    assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    assert_eq!(body, format!("the head of the handshake is larger than {} bytes\n", size - 1));
}

#[test]
fn a_head_without_end_is_refused_at_the_limit() {
    for endless in ["x", "\r\n", "X: y\r\n", "GET / HTTP/1.1\r\nX: "] {
        let (head, _) = refuse(Config::default().max_headers(usize::MAX), &endless.repeat(20_000));
        assert!(head.starts_with("HTTP/1.1 431 "), "{endless:?}: {head}");
    }
}

#[test]
fn the_number_of_fields_is_bounded_inclusively() {
    assert!(accepts(Config::default().max_headers(7), REQUEST));
    let (head, body) = refuse(Config::default().max_headers(6), REQUEST);
    assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    assert_eq!(body, "the handshake has more than 6 header fields\n");

    let crowd = REQUEST.replace("Origin:", &format!("{}Origin:", "X: y\r\n".repeat(200)));
    let (head, body) = refuse(Config::default().max_headers(1000), &crowd);
    assert!(head.starts_with("HTTP/1.1 431 ") && body.contains("124"), "{head}");
}

#[test]
fn a_large_head_that_drips_is_read() {
    let request = REQUEST.replace("Origin:", &format!("X: {:16000}\r\nOrigin:", "y"));
    let io = Script::pieces(request.as_bytes(), 1);
    assert!(block_on(Acceptor::new().accept(io)).is_ok());
}

#[test]
fn a_request_that_a_framework_has_read_is_held_to_the_same_rules() {
    let request = || {
        let mut request = Request::new("a body of whatever type");
        for line in REQUEST.trim_end().lines().skip(1) {
            let (name, value) = line.split_once(": ").unwrap();
            request
                .headers_mut()
                .append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        request
    };
    let response = respond(&request()).unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert!(!response.headers().contains_key("sec-websocket-protocol"));

    let refusal = |change: &dyn Fn(&mut Request<&str>)| {
        let mut request = request();
        change(&mut request);
        let refusal = respond(&request).unwrap_err();
        let body = String::from_utf8_lossy(refusal.response().body()).into_owned();
        (refusal.response().status().as_u16(), body)
    };
    let (status, body) = refusal(&|request| *request.method_mut() = Method::POST);
    assert!(status == 405 && body.contains("GET"), "{status} {body}");
    let (status, body) = refusal(&|request| *request.version_mut() = Version::HTTP_2);
    assert!(status == 400 && body.contains("HTTP/1.1"), "{status} {body}");
    let (status, body) = refusal(&|request| drop(request.headers_mut().remove("host")));
    assert!(status == 400 && body.contains("Host"), "{status} {body}");
    let (status, body) = refusal(&|request| drop(request.headers_mut().remove("upgrade")));
    assert!(status == 426 && body.contains("Upgrade"), "{status} {body}");
}
