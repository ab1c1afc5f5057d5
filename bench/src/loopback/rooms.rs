//! Servers on which what one connection sends goes to all: each library as its documentation, or the usual
//! answer to the question, has it.
//!
//! All connections of a server are on one thread, so that what they share is found there.

use std::{cell::OnceCell, thread::LocalKey};

use async_tungstenite::tungstenite::{
    Message,
    protocol::{Role as TungsteniteRole, WebSocketConfig},
};
use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message as AxumMessage, WebSocket},
    },
    response::Response,
    routing::any,
};
use futures::{SinkExt, StreamExt};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::TcpStream,
    select,
    sync::broadcast::{
        self, Sender,
        error::{RecvError, TryRecvError},
    },
};
use wsweave::{Config, Connection, ConnectionExt, Group, Role, Socket};

use super::{counted::Counted, server::Serve};

/// A way to send to all.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) peer: &'static str,
    pub(crate) form: &'static str,
    pub(crate) serve: Serve,
    /// Whether it does the opening handshake.
    pub(crate) shakes_hands: bool,
}

pub(crate) fn wsweave() -> Vec<Room> {
    vec![Room {
        peer: "wsweave",
        form: "Group",
        serve: Serve::Tokio(|io| drop(tokio::spawn(member(io)))),
        shakes_hands: false,
    }]
}

pub(crate) fn peers() -> Vec<Room> {
    let room = |peer, form, serve, shakes_hands| Room { peer, form, serve, shakes_hands };
    vec![
        room(
            "tokio-tungstenite",
            "broadcast, send",
            Serve::Tokio(|io| drop(tokio::spawn(tungstenite(io, After::Each)))),
            false,
        ),
        room(
            "tokio-tungstenite",
            "broadcast, feed",
            Serve::Tokio(|io| drop(tokio::spawn(tungstenite(io, After::All)))),
            false,
        ),
        room("axum", "its chat example", Serve::Tokio(|io| drop(tokio::spawn(axum(io)))), true),
    ]
}

type Io = Counted<TcpStream>;

async fn member(io: Io) {
    thread_local!(static GROUP: OnceCell<Group> = const { OnceCell::new() });
    let mut conn = Connection::from_raw(Socket::from_tokio(io), Role::Server, Config::default());
    let group = shared(&GROUP, Group::new);
    let _membership = group.join("room", &conn.handle()).expect("an open connection");
    let publish = move |_: &mut wsweave::Peer<'_>, message: &wsweave::Message| {
        group.publish("room", message.clone());
    };
    conn.on_each(publish).run().await;
}

/// When what was fed is flushed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Each,
    All,
}

/// The broadcast example of tokio-tungstenite's users: a task a connection, which waits for both.
async fn tungstenite(io: Io, flush: After) {
    thread_local!(static ROOM: OnceCell<Sender<Message>> = const { OnceCell::new() });
    let room = shared(&ROOM, || broadcast::channel(CAPACITY).0);
    let config = WebSocketConfig::default().read_buffer_size(8 << 10);
    let role = TungsteniteRole::Server;
    let ws = tokio_tungstenite::WebSocketStream::from_raw_socket(io, role, Some(config)).await;
    let (mut sink, mut stream) = ws.split();
    let mut published = room.subscribe();
    loop {
        select! {
            message = published.recv() => {
                let Ok(message) = message else { break };
                sink.feed(message).await.expect("open");
                if flush == After::All {
                    loop {
                        match published.try_recv() {
                            Ok(message) => sink.feed(message).await.expect("open"),
                            Err(TryRecvError::Empty) => break,
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
                sink.flush().await.expect("open");
            }
            message = stream.next() => {
                let Some(Ok(message)) = message else { break };
                room.send(message).expect("a member: this one");
            }
        }
    }
}

/// As in `examples/chat` of axum 0.8: two tasks a connection. Without the names.
async fn axum(io: Io) {
    thread_local!(static ROUTER: OnceCell<Router> = const { OnceCell::new() });
    let router = shared(&ROUTER, || {
        Router::new().route("/", any(upgrade)).with_state(broadcast::channel(CAPACITY).0)
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(router));
    // A connection that was upgraded has ended for hyper.
    let _ = serving.with_upgrades().await;
}

async fn upgrade(ws: WebSocketUpgrade, State(room): State<Sender<AxumMessage>>) -> Response {
    ws.on_upgrade(|socket| chat(socket, room))
}

async fn chat(socket: WebSocket, room: Sender<AxumMessage>) {
    let (mut sender, mut receiver) = socket.split();
    let mut published = room.subscribe();
    let mut sending = tokio::spawn(async move {
        loop {
            match published.recv().await {
                Ok(message) => sender.send(message).await.expect("open"),
                Err(RecvError::Closed) => break,
                Err(error) => panic!("{error}"),
            }
        }
    });
    let mut receiving = tokio::spawn(async move {
        while let Some(Ok(message)) = receiver.next().await {
            let _ = room.send(message);
        }
    });
    select! {
        _ = &mut sending => receiving.abort(),
        _ = &mut receiving => sending.abort(),
    }
}

/// What the connections of this thread have in common.
fn shared<T: Clone>(common: &'static LocalKey<OnceCell<T>>, make: impl FnOnce() -> T) -> T {
    common.with(|common| common.get_or_init(make).clone())
}

/// Enough that nobody lags, as the example of axum has it.
const CAPACITY: usize = 100;
