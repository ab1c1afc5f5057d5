//! tungstenite at the other end: async-tungstenite's server for our client, tokio-tungstenite's client
//! for our server; and tokio-tungstenite adopted at both ends.

#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::{future::Future, net::SocketAddr, time::Duration};

use async_tungstenite::accept_async;
use futures::{SinkExt, StreamExt, future::RemoteHandle, join};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    client_async,
    tungstenite::{self, protocol::CloseFrame},
};
use wsweave::{
    Client, CloseCode, Config, Connection, ConnectionExt, Finish, Initiator, Message, Socket,
};

use crate::support::{
    rt::{socket, spawn, tcp_streams},
    within,
};

const URL: &str = "ws://localhost/";

/// What every pair has to pass on.
fn messages() -> Vec<Message> {
    let large = 16 << 20;
    vec![
        "hello".into(),
        "".into(),
        "🦀 grüezi 你好".into(),
        "é".repeat(large / 2).into(),
        b"\0\xff".into(),
        b"".into(),
        vec![7; 65_536].into(),
        vec![7; large].into(),
    ]
}

/// Codes and reasons of a Close, as each side says them.
fn closes() -> [(CloseCode, &'static str); 3] {
    [(CloseCode::NORMAL, ""), (CloseCode(3000), "genug — 足够"), (CloseCode(4999), "bye")]
}

fn frame(code: CloseCode, reason: &str) -> CloseFrame {
    CloseFrame { code: code.0.into(), reason: reason.into() }
}

/// Sends every message, and waits for its echo.
async fn expect_echoes(conn: &mut (impl ConnectionExt + Unpin)) {
    for message in messages() {
        conn.send(message.clone()).await.unwrap();
        assert_eq!(conn.next().await, Some(message));
    }
}

/// Echoes all that tungstenite gets; returns the Close.
async fn echo<T>(mut ws: T) -> Option<CloseFrame>
where
    T: StreamExt<Item = tungstenite::Result<tungstenite::Message>> + Unpin,
    T: SinkExt<tungstenite::Message, Error = tungstenite::Error>,
{
    let mut close = None;
    while let Some(message) = ws.next().await {
        match message.unwrap() {
            tungstenite::Message::Close(frame) => close = frame,
            message => ws.send(message).await.unwrap(),
        }
    }
    close
}

fn assert_ended(finish: &Finish, initiator: Initiator, code: CloseCode, reason: &str) {
    assert!(finish.clean, "{finish}");
    assert_eq!((finish.initiator, finish.code), (initiator, code));
    assert_eq!(finish.reason, reason);
}

/// Our client, and a server of async-tungstenite.
async fn with_async_tungstenite() -> (Connection, async_tungstenite::WebSocketStream<Socket>) {
    let [near, far] = tcp_streams().map(socket);
    let client = Client::new(URL).unwrap();
    let (conn, ws) = join!(client.connect_over(near), accept_async(far));
    (conn.unwrap(), ws.unwrap())
}

#[test]
fn our_client_and_async_tungstenite_exchange_messages() {
    within(async {
        let (mut conn, ws) = with_async_tungstenite().await;
        let talk = async {
            expect_echoes(&mut conn).await;
            conn.close().await.unwrap();
        };
        join!(talk, echo(ws));
    });
}

#[test]
fn async_tungstenite_learns_the_code_and_reason_of_our_close() {
    within(async {
        for (code, reason) in closes() {
            let (mut conn, ws) = with_async_tungstenite().await;
            let (closed, close) = join!(conn.close_with(code, reason), echo(ws));
            assert!(closed.is_ok());
            assert_ended(conn.finish().unwrap(), Initiator::Us, code, reason);
            assert_eq!(close, Some(frame(code, reason)));
        }
    });
}

#[test]
fn our_client_answers_the_close_of_async_tungstenite() {
    within(async {
        let close = |(code, reason)| Some((code, reason));
        for close in closes().map(close).into_iter().chain([None]) {
            let (conn, mut ws) = with_async_tungstenite().await;
            let serve = async {
                ws.close(close.map(|(code, reason)| frame(code, reason))).await.unwrap();
                echo(ws).await
            };
            let (finish, answer) = join!(conn.run(), serve);
            let (code, reason) = close.unwrap_or((CloseCode::NO_STATUS, ""));
            assert_ended(&finish, Initiator::Peer, code, reason);
            assert_eq!(answer, close.map(|(code, _)| frame(code, "")));
        }
    });
}

/// Our server, which serves `clients` one after the other.
fn listen<F>(clients: usize, serve: fn(Connection) -> F) -> (SocketAddr, RemoteHandle<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = within(wsweave::listen("127.0.0.1:0")).unwrap();
    (listener.local_addr(), spawn(listener.take(clients).for_each(serve)))
}

/// Runs what needs tokio, whichever runtime the crate is on.
fn on_tokio<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limit = Duration::from_secs(60);
    runtime.block_on(async { tokio::time::timeout(limit, work).await }).expect("within a minute")
}

async fn tokio_client(addr: SocketAddr) -> tokio_tungstenite::WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(addr).await.unwrap();
    client_async(URL, stream).await.unwrap().0
}

/// Our server's part: echoes, and a clean end that the client began.
async fn serve_echoes(conn: Connection) {
    let echo = conn.on_each(|peer, message| peer.send(message.clone()));
    let finish = echo.run().await;
    assert!(finish.clean && finish.initiator == Initiator::Peer, "{finish}");
}

#[test]
fn tokio_tungstenite_and_our_server_exchange_messages() {
    let (addr, server) = listen(1, serve_echoes);
    on_tokio(async {
        let mut ws = tokio_client(addr).await;
        for message in messages() {
            let message = match message {
                Message::Text(text) => tungstenite::Message::text(text.as_str()),
                Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
            };
            ws.send(message.clone()).await.unwrap();
            assert_eq!(ws.next().await.unwrap().unwrap(), message);
        }
        ws.close(None).await.unwrap();
        assert_eq!(echo(ws).await, None);
    });
    within(server);
}

#[test]
fn our_server_answers_the_close_of_tokio_tungstenite() {
    let (addr, server) = listen(closes().len(), serve_echoes);
    on_tokio(async {
        for (code, reason) in closes() {
            let mut ws = tokio_client(addr).await;
            ws.close(Some(frame(code, reason))).await.unwrap();
            assert_eq!(echo(ws).await, Some(frame(code, "")));
        }
    });
    within(server);
}

#[test]
fn tokio_tungstenite_learns_the_code_and_reason_of_our_close() {
    let (addr, server) = listen(closes().len(), |mut conn| async move {
        let Some(Message::Text(text)) = conn.next().await else { panic!("no message") };
        let (code, reason) = text.split_once(' ').unwrap();
        conn.close_with(code.parse::<u16>().unwrap(), reason).await.unwrap();
    });
    on_tokio(async {
        for (code, reason) in closes() {
            let mut ws = tokio_client(addr).await;
            ws.send(tungstenite::Message::text(format!("{code} {reason}"))).await.unwrap();
            assert_eq!(echo(ws).await, Some(frame(code, reason)));
        }
    });
    within(server);
}

#[test]
fn tokio_tungstenite_is_adopted_at_both_ends() {
    on_tokio(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let accept = async {
            let (stream, _) = listener.accept().await.unwrap();
            tokio_tungstenite::accept_async(stream).await.unwrap()
        };
        let (client, server) = join!(tokio_client(addr), accept);
        // No clock: the runtime of the crate may be another one.
        let mut client = wsweave::adopt(client, Config::default().no_timer());
        let server = wsweave::adopt(server, Config::default().no_timer())
            .on_each(|peer, message| peer.send(message.clone()));
        let talk = async {
            expect_echoes(&mut client).await;
            client.close_with(4000, "bye").await.unwrap();
            assert_ended(client.finish().unwrap(), Initiator::Us, CloseCode(4000), "bye");
        };
        let (finish, ()) = join!(server.run(), talk);
        assert_ended(&finish, Initiator::Peer, CloseCode(4000), "bye");
    });
}
