//! The page and its headers, beside the WebSocket on one port.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use chat::{Chat, Limits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wsweave::{Client, Origins};

use crate::support::{Member, limits, start, url, within};

/// The whole answer to a GET.
async fn get(chat: &Chat, path: &str, headers: &str) -> String {
    let addr = chat.addrs()[0];
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn the_page_is_there_with_its_style_and_its_script() {
    let chat = start(Limits::default()).await;
    for (path, kind, part) in [
        ("/", "text/html", "<!doctype html>"),
        ("/?x=1", "text/html", "src=\"/chat.js\""),
        ("/chat.css", "text/css", ":root"),
        ("/chat.js", "text/javascript", "'use strict'"),
        ("/health", "text/plain", "fine"),
    ] {
        let answer = get(&chat, path, "").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert!(head.contains(&format!("content-type: {kind}; charset=utf-8")), "{head}");
        assert!(body.contains(part), "{path}");
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
            "require-trusted-types-for 'script'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "cross-origin-opener-policy: same-origin",
            "cache-control: no-cache",
        ] {
            assert!(head.contains(header), "{path}: {header}");
        }
    }
    for path in ["/none", "/../Cargo.toml", "/chat.js/"] {
        assert!(get(&chat, path, "").await.starts_with("HTTP/1.1 404 "), "{path}");
    }
    assert!(get(&chat, "/ws", "").await.starts_with("HTTP/1.1 426 "));
}

/// What the page's policy forbids is not in it, nor anything that makes text into elements.
#[test]
fn the_page_has_no_code_but_its_script() {
    let (html, script) = (include_str!("../page/index.html"), include_str!("../page/chat.js"));
    assert_eq!(html.matches("<script").count(), 1);
    for forbidden in ["style=", "onclick", "onload", "javascript:", "<style"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!script.contains(forbidden), "{forbidden}");
    }
}

#[tokio::test]
async fn pages_of_others_may_not_connect_unless_they_are_named() {
    let origin =
        |url: &str, origin: &str| Client::new(url).unwrap().no_proxy().origin(origin).unwrap();
    let chat = start(limits()).await;
    let own = format!("http://{}", chat.addrs()[0]);
    let _ = within(origin(&url(&chat), &own).connect()).await.unwrap();
    let refused = within(origin(&url(&chat), "https://evil.example").connect()).await.unwrap_err();
    assert_eq!(refused.response().unwrap().status(), 403);

    let named = Origins::list(["https://chat.example"]).unwrap();
    let chat = Chat::start("127.0.0.1:0", named, limits()).await.unwrap();
    let _ = within(origin(&url(&chat), "https://chat.example").connect()).await.unwrap();
    let refused = within(origin(&url(&chat), &own).connect()).await.unwrap_err();
    assert_eq!(refused.response().unwrap().status(), 403);
    // A program is no page.
    Member::named(&url(&chat), "Ada").await;
}
