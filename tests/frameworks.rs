//! The servers of the examples, which leave HTTP to hyper or axum, with clients of both kinds.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../examples/axum_server.rs"]
#[allow(dead_code, reason = "its `main` is the example's")]
mod axum_server;
#[path = "../examples/hyper_server.rs"]
#[allow(dead_code, reason = "its `main` is the example's")]
mod hyper_server;

use std::{io, net::SocketAddr, time::Duration};

use futures::{FutureExt, SinkExt, StreamExt, future::BoxFuture};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{client_async, tungstenite};
use wsweave::{Client, Compression, Config, ConnectionExt, Message};

type Serve = fn(TcpListener) -> BoxFuture<'static, io::Result<()>>;

const SERVERS: [Serve; 2] = [
    |listener| axum_server::serve(listener).boxed(),
    |listener| hyper_server::serve(listener).boxed(),
];

/// Runs a test with each of the servers.
fn with_each(test: impl AsyncFn(SocketAddr)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for serve in SERVERS {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let server = tokio::spawn(serve(listener));
            tokio::time::timeout(Duration::from_secs(60), test(addr)).await.unwrap();
            server.abort();
        }
    });
}

/// What the server answers to `request`, up to the end of TCP.
async fn answer(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn handshake(addr: SocketAddr, fields: &str) -> String {
    format!(
        "GET /echo HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}

#[test]
fn a_page_lives_on_the_same_port() {
    with_each(async |addr| {
        let request = format!("GET / HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
        let answer = answer(addr, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("text/html") && answer.contains("new WebSocket"), "{answer}");
    });
}

#[test]
fn our_client_gets_its_echoes_and_a_clean_end() {
    with_each(async |addr| {
        let mut conn = wsweave::connect(&format!("ws://{addr}/echo")).await.unwrap();
        assert_eq!(conn.subprotocol(), None);
        for message in [Message::from("grüezi"), "".into(), vec![7; 1 << 20].into()] {
            conn.send(message.clone()).await.unwrap();
            assert_eq!(conn.next().await, Some(message));
        }
        conn.close().await.unwrap();
        assert!(conn.finish().unwrap().clean);
    });
}

#[test]
fn the_subprotocol_is_chosen_among_those_offered() {
    with_each(async |addr| {
        let client = Client::new(&format!("ws://{addr}/echo")).unwrap();
        let client = client.subprotocol("chat").unwrap().subprotocol("echo").unwrap();
        let mut conn = client.connect().await.unwrap();
        assert_eq!(conn.subprotocol(), Some("echo"));
        conn.close().await.unwrap();
    });
}

#[test]
fn a_client_of_tungstenite_gets_its_echoes_and_its_close_answered() {
    with_each(async |addr| {
        let stream = TcpStream::connect(addr).await.unwrap();
        let (mut ws, _) = client_async(format!("ws://{addr}/echo"), stream).await.unwrap();
        for message in [tungstenite::Message::text("grüezi"), vec![7; 1 << 20].into()] {
            ws.send(message.clone()).await.unwrap();
            assert_eq!(ws.next().await.unwrap().unwrap(), message);
        }
        ws.close(None).await.unwrap();
        assert!(ws.next().await.unwrap().unwrap().is_close());
        assert!(ws.next().await.is_none());
    });
}

#[test]
fn what_came_with_the_request_is_not_lost() {
    with_each(async |addr| {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request = handshake(addr, "Sec-WebSocket-Version: 13\r\n");
        // A text "hi" and a Close, masked with zeros.
        let frames = b"\x81\x82\0\0\0\0hi\x88\x80\0\0\0\0";
        stream.write_all(&[request.as_bytes(), frames].concat()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        assert!(answer.ends_with(b"\r\n\r\n\x81\x02hi\x88\0"), "{}", answer.escape_ascii());
    });
}

#[test]
fn what_the_client_offers_to_compress_is_compressed() {
    with_each(async |addr| {
        let config = Config::default().compression(Compression::default());
        let client = Client::new(&format!("ws://{addr}/echo")).unwrap().config(config);
        let mut conn = client.connect().await.unwrap();
        assert_eq!(conn.compression().unwrap().server_max_window_bits, 15);
        for message in ["grüezi ".repeat(1_000), "short".into(), "grüezi ".repeat(2_000)] {
            conn.send(message.as_str().into()).await.unwrap();
            assert_eq!(conn.next().await, Some(message.into()));
        }
        conn.close().await.unwrap();

        let offer = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n";
        let request = handshake(addr, &format!("Sec-WebSocket-Version: 13\r\n{offer}"));
        // 200 times "a", compressed, and a Close, masked with zeros.
        let frames = b"\xc2\x86\0\0\0\0\x4a\x4c\x1c\x1e\0\0\x88\x80\0\0\0\0";
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(&[request.as_bytes(), frames].concat()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let head = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let (head, frames) = answer.split_at(head);
        let head = String::from_utf8_lossy(head).to_lowercase();
        assert!(head.contains("permessage-deflate; server_max_window_bits=10\r\n"), "{head}");
        assert_eq!(frames[0], 0xc2, "binary, compressed: {}", frames.escape_ascii());
        assert!(frames.len() < 20 && frames.ends_with(b"\x88\0"), "{}", frames.escape_ascii());
    });
}

#[test]
fn a_refusal_is_the_frameworks_answer() {
    with_each(async |addr| {
        let close = "Connection: close\r\n";
        let plain = format!("GET /echo HTTP/1.1\r\nHost: {addr}\r\n{close}\r\n");
        let version = handshake(addr, &format!("Sec-WebSocket-Version: 12\r\n{close}"));
        for request in [plain, version] {
            let answer = answer(addr, &request).await;
            assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
            assert!(answer.to_lowercase().contains("sec-websocket-version: 13\r\n"), "{answer}");
        }
    });
}

#[test]
fn a_page_of_another_host_is_refused() {
    with_each(async |addr| {
        for (origin, status) in [
            (format!("http://{addr}"), "101"),
            ("http://evil.example".to_owned(), "403"),
            ("null".to_owned(), "403"),
        ] {
            let fields = format!("Sec-WebSocket-Version: 13\r\nOrigin: {origin}\r\n");
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(handshake(addr, &fields).as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, format!("HTTP/1.1 {status}").as_bytes());
        }
    });
}
