//! `connect` and `listen` over loopback TCP.

use std::{
    future::Future,
    net::{Shutdown, SocketAddr},
    pin::pin,
    time::Duration,
};

use futures::{
    AsyncReadExt, AsyncWriteExt, SinkExt, StreamExt,
    future::{Either, join, select},
};
use smol::net::TcpStream;
use wsweave::{
    Accept, Acceptor, Client, Config, ConnectionExt, ErrorKind, Refusal, Server, connect,
    http::StatusCode, listen,
};

use crate::{
    server::REQUEST,
    support::rt::{in_time, socket, tcp_streams, within},
};

/// Runs `work` beside a server that accepts nobody.
async fn while_listening<T>(work: impl Future<Output = T>, server: &mut Server) -> T {
    match select(pin!(work), server.next()).await {
        Either::Left((output, _)) => output,
        Either::Right((conn, _)) => panic!("accepted {conn:?}"),
    }
}

#[test]
fn connect_and_listen_meet() {
    within(async {
        let mut listener = listen("127.0.0.1:0").await.unwrap().on_request(|request| {
            Ok(Accept::new().choose_subprotocol(request, ["chat"]).header("Server", "loom")?)
        });
        let client = Client::new(&format!("http://{}/room?id=7", listener.local_addr())).unwrap();
        let client = client.subprotocol("chat").unwrap();
        let (client, server) = join(client.connect(), listener.next()).await;
        let (client, server) = (client.unwrap(), server.unwrap());
        assert_eq!(server.request().unwrap().uri(), "/room?id=7");
        assert_eq!(client.response().unwrap().headers()["server"], "loom");
        assert_eq!((client.subprotocol(), server.subprotocol()), (Some("chat"), Some("chat")));
    });
}

#[test]
fn a_slow_peer_does_not_stop_the_others() {
    within(async {
        let mut listener = listen("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr();
        let mut slow = Vec::new();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(b"GET /slow HTTP/1.1\r\n").await.unwrap();
            slow.push(stream);
        }
        let url = format!("ws://{addr}/fast");
        let (client, server) = join(connect(&url), listener.next()).await;
        assert!(client.is_ok());
        assert_eq!(server.unwrap().request().unwrap().uri().path(), "/fast");

        slow[7].write_all(REQUEST.split_once("\r\n").unwrap().1.as_bytes()).await.unwrap();
        assert_eq!(listener.next().await.unwrap().request().unwrap().uri().path(), "/slow");
    });
}

#[test]
fn handshakes_that_fail_do_not_stop_the_server() {
    within(async {
        let config = Config::default().handshake_timeout(Duration::from_millis(20));
        let mut listener = listen("127.0.0.1:0").await.unwrap().config(config);
        let addr = listener.local_addr();
        let _silent = TcpStream::connect(addr).await.unwrap();
        drop(TcpStream::connect(addr).await.unwrap());
        let mut wrong = TcpStream::connect(addr).await.unwrap();
        wrong.write_all(b"hello\n\n").await.unwrap();
        let url = format!("ws://{addr}/");
        let (client, server) = join(connect(&url), listener.next()).await;
        assert!(client.is_ok() && server.is_some());
    });
}

#[test]
fn a_handshake_that_fails_does_not_hold_back_one_that_is_ready() {
    within(async {
        let mut listener = listen("127.0.0.1:0").await.unwrap();
        let mut wrong = TcpStream::connect(listener.local_addr()).await.unwrap();
        wrong.write_all(b"hello\n\n").await.unwrap();
        wrong.shutdown(Shutdown::Write).unwrap();
        let mut right = TcpStream::connect(listener.local_addr()).await.unwrap();
        right.write_all(REQUEST.as_bytes()).await.unwrap();
        // Nothing more happens that could wake the listener.
        assert!(in_time(Duration::from_secs(10), listener.next()).await.is_some());
    });
}

#[test]
fn a_refusal_arrives_although_more_was_sent_than_was_read() {
    within(async {
        let mut listener = listen("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr()).await.unwrap();
        let wrong = REQUEST.replace("Version: 13", "Version: 8");
        peer.write_all(wrong.as_bytes()).await.unwrap();
        peer.write_all(&vec![b'x'; 20_000]).await.unwrap();
        let answer = async {
            let mut answer = String::new();
            peer.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = while_listening(answer, &mut listener).await;
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    });
}

#[test]
fn a_refusal_reaches_the_client_as_an_error() {
    within(async {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/nothing", listener.local_addr());
        let mut listener = listener.on_request(|request| {
            let text = format!("no {}", request.uri().path());
            Err(Refusal::new(StatusCode::NOT_FOUND, text))
        });
        let error = while_listening(connect(&url), &mut listener).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(error.response().unwrap().status(), 404);
        assert_eq!(error.response().unwrap().body(), "no /nothing\n");
    });
}

#[test]
fn the_callback_sees_the_clients_address() {
    within(async {
        let mut listener = listen("127.0.0.1:0").await.unwrap().on_request(|request| {
            let peer = request.extensions().get::<SocketAddr>().unwrap();
            Ok(Accept::new().header("X-Peer", peer.to_string())?)
        });
        let stream = std::net::TcpStream::connect(listener.local_addr()).unwrap();
        let addr = stream.local_addr().unwrap().to_string();
        let client = Client::new("ws://a.example/").unwrap();
        let (conn, _server) = join(client.connect_over(socket(stream)), listener.next()).await;
        assert_eq!(conn.unwrap().response().unwrap().headers()["x-peer"], addr);
    });
}

#[test]
fn a_callback_that_panics_does_not_stop_the_server() {
    within(async {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr());
        let mut listener = listener.on_request(|request| {
            assert_ne!(request.uri().path(), "/panic");
            Ok(Accept::new())
        });
        let refused = while_listening(connect(&format!("{url}/panic")), &mut listener).await;
        assert_eq!(refused.unwrap_err().response().unwrap().status(), 500);
        let (client, server) = join(connect(&url), listener.next()).await;
        assert!(client.is_ok() && server.is_some());
    });
}

#[test]
fn both_sides_of_a_wrapped_stream_end_at_once() {
    within(async {
        let [near, far] = tcp_streams().map(socket);
        let (client, acceptor) = (Client::new("ws://chat.example/").unwrap(), Acceptor::new());
        let (client, server) = join(client.connect_over(near), acceptor.accept(far)).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        // The server keeps its connection, so that only `poll_close` can end TCP.
        let both = join(client.close(), server.next());
        assert!(matches!(in_time(Duration::from_secs(5), both).await, Some((Ok(()), None))));
    });
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    within(async {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let error = listen(&listener.local_addr().to_string()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains(&listener.local_addr().to_string()), "{error}");
    });
}

#[test]
fn dropping_the_server_ends_the_handshakes_under_way() {
    within(async {
        let mut listener = listen("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr()).await.unwrap();
        peer.write_all(b"GET").await.unwrap();
        assert!(in_time(Duration::from_millis(20), listener.next()).await.is_none());
        drop(listener);
        let mut rest = Vec::new();
        let end = peer.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "{end:?}");
    });
}
