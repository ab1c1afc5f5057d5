//! The example `proxy`, with peers of two kinds on both ends.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../examples/proxy/proxy.rs"]
mod proxy;

use std::{future::Future, net::SocketAddr, time::Duration};

use futures::{SinkExt, StreamExt, channel::oneshot, future::join};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    accept_async, client_async,
    tungstenite::{
        self,
        protocol::{CloseFrame, frame::coding::CloseCode as TheirCode},
    },
};
use wsweave::{
    Accept, Client, CloseCode, Compression, Config, Connection, ConnectionExt, ErrorKind, Message,
    Refusal, Server,
    http::{HeaderName, Response, StatusCode},
};

use crate::proxy::{Proxy, Relays};

/// A proxy that runs.
struct Running {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Relays>,
}

impl Running {
    async fn start(proxy: Proxy) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        Self { addr, stop, serving: tokio::spawn(proxy.serve(listener, stopped)) }
    }

    /// In front of the server at `target`, with these headers passed on.
    async fn before(target: impl std::fmt::Display, headers: &[&'static str]) -> Self {
        let headers = headers.iter().map(|name| HeaderName::from_static(name)).collect();
        Self::start(Proxy::new(&format!("ws://{target}"), headers).unwrap()).await
    }

    fn client(&self, path: &str) -> Client {
        Client::new(&format!("ws://{}{path}", self.addr)).unwrap()
    }
}

fn within<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), work).await.unwrap() })
}

async fn listen() -> Server {
    wsweave::listen("127.0.0.1:0").await.unwrap()
}

/// Both ends of a connection through a proxy.
async fn ends(proxy: &Running, server: &mut Server) -> (Connection, Connection) {
    let client = proxy.client("/");
    let (client, server) = join(client.connect(), server.next()).await;
    (client.unwrap(), server.unwrap())
}

/// The answer to a request without a body, up to the end of TCP.
async fn ask(addr: SocketAddr, fields: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[test]
fn the_target_gets_path_query_subprotocols_and_the_chosen_headers() {
    within(async {
        let mut server = listen().await.on_request(|request| {
            Ok(Accept::new()
                .choose_subprotocol(request, ["chat"])
                .header("Set-Cookie", "seen=2")?
                .header("X-Secret", "not for clients")?)
        });
        let target = format!("{}/base/", server.local_addr());
        let proxy = Running::before(target, &["cookie", "set-cookie"]).await;
        let client = proxy
            .client("/room/7?since=3&to=5")
            .subprotocol("mqtt")
            .and_then(|client| client.subprotocol("chat"))
            .and_then(|client| client.header("Cookie", "seen=1"))
            .and_then(|client| client.header("Authorization", "Bearer secret"))
            .and_then(|client| client.header("X-Forwarded-For", "192.0.2.1"))
            .unwrap();
        let (client, far) = join(client.connect(), server.next()).await;
        let (client, far) = (client.unwrap(), far.unwrap());

        let request = far.request().unwrap();
        assert_eq!(request.uri(), "/base/room/7?since=3&to=5");
        assert_eq!(request.headers()["sec-websocket-protocol"], "mqtt, chat");
        assert_eq!(request.headers()["cookie"], "seen=1");
        assert!(!request.headers().contains_key("authorization"));
        let forwarded: Vec<_> = request.headers().get_all("x-forwarded-for").iter().collect();
        assert_eq!(forwarded, ["127.0.0.1"]);

        assert_eq!(client.subprotocol(), Some("chat"));
        let answer = client.response().unwrap();
        assert_eq!(answer.headers()["set-cookie"], "seen=2");
        assert!(!answer.headers().contains_key("x-secret"));
    });
}

#[test]
fn messages_and_closes_go_both_ways() {
    within(async {
        let mut server = listen().await;
        let proxy = Running::before(server.local_addr(), &[]).await;
        let (mut client, mut far) = ends(&proxy, &mut server).await;
        let large: Message = vec![7; 2 << 20].into();
        let echo = tokio::spawn(async move {
            while let Some(message) = far.next().await {
                far.feed(message).await.unwrap();
            }
            far.finish().unwrap().clone()
        });
        for number in 0..1_000 {
            client.feed(Message::from(number.to_string())).await.unwrap();
        }
        client.send(large.clone()).await.unwrap();
        for number in 0..1_000 {
            assert_eq!(client.next().await, Some(number.to_string().into()));
        }
        assert_eq!(client.next().await, Some(large));
        client.close_with(4000, "from the client").await.unwrap();
        let finish = echo.await.unwrap();
        assert_eq!((finish.code, &*finish.reason), (CloseCode(4000), "from the client"));

        let (mut client, mut far) = ends(&proxy, &mut server).await;
        let (closed, none) = join(far.close_with(4001, "from the server"), client.next()).await;
        closed.unwrap();
        assert_eq!(none, None);
        let finish = client.finish().unwrap();
        assert_eq!((finish.code, &*finish.reason), (CloseCode(4001), "from the server"));
    });
}

#[test]
fn a_lost_server_is_1014_and_a_lost_client_1011() {
    within(async {
        let mut server = listen().await;
        let proxy = Running::before(server.local_addr(), &[]).await;
        let (mut client, mut far) = ends(&proxy, &mut server).await;
        far.abort();
        drop(far);
        assert_eq!(client.next().await, None);
        assert_eq!(client.finish().unwrap().code, CloseCode::BAD_GATEWAY);

        let (mut client, mut far) = ends(&proxy, &mut server).await;
        client.abort();
        drop(client);
        assert_eq!(far.next().await, None);
        assert_eq!(far.finish().unwrap().code, CloseCode::INTERNAL_ERROR);
    });
}

#[test]
fn peers_of_another_crate_on_both_ends_notice_nothing() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Running::before(listener.local_addr().unwrap(), &[]).await;
        let serve = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut far = accept_async(stream).await.unwrap();
            let mut close = None;
            while let Some(Ok(message)) = far.next().await {
                match message {
                    tungstenite::Message::Close(frame) => close = frame,
                    message if message.is_text() => far.send(message).await.unwrap(),
                    _ => {}
                }
            }
            close
        });
        let stream = TcpStream::connect(proxy.addr).await.unwrap();
        let url = format!("ws://{}/", proxy.addr);
        let (mut client, _) = client_async(url, stream).await.unwrap();
        client.send(tungstenite::Message::Ping("near".into())).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap().to_string(), "near");
        for number in 0..100 {
            client.send(number.to_string().into()).await.unwrap();
            assert_eq!(client.next().await.unwrap().unwrap(), number.to_string().into());
        }
        let close = CloseFrame { code: TheirCode::Library(4321), reason: "done".into() };
        client.close(Some(close.clone())).await.unwrap();
        while let Some(Ok(_)) = client.next().await {}
        assert_eq!(serve.await.unwrap(), Some(close));
    });
}

#[test]
fn it_compresses_on_either_side() {
    within(async {
        let config = || Config::default().compression(Compression::default());
        let mut server = listen().await.config(config());
        let target = format!("ws://{}", server.local_addr());
        let proxy = Running::start(Proxy::new(&target, vec![]).unwrap().compress()).await;
        let client = proxy.client("/").config(config());
        let (client, far) = join(client.connect(), server.next()).await;
        let (mut client, mut far) = (client.unwrap(), far.unwrap());
        assert!(client.compression().is_some() && far.compression().is_some());
        client.send("compressed twice".into()).await.unwrap();
        assert_eq!(far.next().await, Some("compressed twice".into()));

        // Who does not want it goes without.
        let (client, far) = ends(&proxy, &mut server).await;
        assert!(client.compression().is_none() && far.compression().is_some());
    });
}

#[test]
fn what_cannot_be_reached_is_502() {
    within(async {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = nobody.local_addr().unwrap();
        drop(nobody);
        let proxy = Running::before(target, &[]).await;
        let refused = proxy.client("/").connect().await.unwrap_err();
        assert_eq!(refused.response().unwrap().status(), StatusCode::BAD_GATEWAY);

        // Nor is an answer that is not HTTP one of the proxy's.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Running::before(listener.local_addr().unwrap(), &[]).await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"what?\r\n\r\n").await.unwrap();
        });
        let refused = proxy.client("/").connect().await.unwrap_err();
        assert_eq!(refused.response().unwrap().status(), StatusCode::BAD_GATEWAY);
    });
}

#[test]
fn a_refusal_of_the_target_is_passed_on() {
    within(async {
        let server = listen().await.on_request(|request| {
            let (status, name, value) = match request.uri().path() {
                "/login" => (401, "WWW-Authenticate", "Basic realm=\"loom\""),
                "/moved" => (302, "Location", "/elsewhere"),
                _ => (503, "Retry-After", "7"),
            };
            let answer = Response::builder().status(status).header(name, value);
            Err(Refusal::from(answer.header("X-Internal", "1").body("said the target").unwrap()))
        });
        let proxy = Running::before(server.local_addr(), &[]).await;
        let _serving = tokio::spawn(server.serve(async |_| ()));

        let refused = async |path| proxy.client(path).connect().await.unwrap_err();
        let login = refused("/login").await;
        let login = login.response().unwrap();
        assert_eq!((login.status().as_u16(), &login.body()[..]), (401, &b"said the target"[..]));
        assert_eq!(login.headers()["www-authenticate"], "Basic realm=\"loom\"");
        assert!(!login.headers().contains_key("x-internal"));
        let busy = refused("/busy").await;
        assert_eq!(busy.response().unwrap().status(), 503);
        assert_eq!(busy.response().unwrap().headers()["retry-after"], "7");
        // It leads to where the client cannot go.
        assert_eq!(refused("/moved").await.response().unwrap().status(), 502);
    });
}

#[test]
fn what_is_no_handshake_or_comes_from_another_host_never_reaches_the_target() {
    within(async {
        let mut server = listen().await;
        let proxy = Running::before(server.local_addr(), &[]).await;
        assert!(ask(proxy.addr, "").await.starts_with("HTTP/1.1 426 "));
        let foreign = proxy.client("/").origin("https://evil.example").unwrap();
        let refused = foreign.connect().await.unwrap_err();
        assert_eq!(refused.response().unwrap().status(), StatusCode::FORBIDDEN);
        let own = proxy.client("/").origin(&format!("http://{}", proxy.addr)).unwrap();
        // The first one that the target has ever heard of.
        let (own, far) = join(own.connect(), server.next()).await;
        assert!(own.is_ok());
        assert!(!far.unwrap().request().unwrap().headers().contains_key("origin"));

        // The target decides on what it is told.
        let mut server = listen().await.any_origin();
        let proxy = Running::before(server.local_addr(), &["origin"]).await;
        let foreign = proxy.client("/").origin("https://friend.example").unwrap();
        let (foreign, far) = join(foreign.connect(), server.next()).await;
        assert!(foreign.is_ok());
        let headers = far.unwrap().request().unwrap().headers().clone();
        assert_eq!(headers["origin"], "https://friend.example");
    });
}

#[test]
fn a_proxy_that_stops_closes_both_ends() {
    within(async {
        let mut server = listen().await;
        let proxy = Running::before(server.local_addr(), &[]).await;
        let (mut client, mut far) = ends(&proxy, &mut server).await;
        proxy.stop.send(()).unwrap();
        let relays = proxy.serving.await.unwrap();
        assert_eq!(join(client.next(), far.next()).await, (None, None));
        relays.ended().await;
        for conn in [client, far] {
            let finish = conn.finish().unwrap();
            assert!(finish.clean);
            assert_eq!((finish.code, &*finish.reason), (CloseCode::GOING_AWAY, "the proxy stops"));
        }
        assert!(TcpStream::connect(proxy.addr).await.is_err());
    });
}

#[test]
fn a_target_or_a_header_that_cannot_be_is_refused_at_once() {
    let refused = |target, name| {
        let refused = Proxy::new(target, vec![HeaderName::from_static(name)]);
        refused.err().map(|error| error.kind())
    };
    assert_eq!(refused("ftp://example.com", "cookie"), Some(ErrorKind::InvalidInput));
    assert_eq!(refused("ws://example.com", "host"), Some(ErrorKind::InvalidInput));
    assert_eq!(refused("ws://example.com", "cookie"), None);
}
