//! What an idle connection holds, and what one kept message pins.

use std::{cell::OnceCell, io, rc::Rc, thread, time::Duration};

use async_tungstenite::tungstenite;
use fastwebsockets::FragmentCollector;
use futures::StreamExt;
use rustix::process::{Resource, getrlimit, setrlimit};
use wsweave::{Config, Connection, Role};

use crate::{
    heap,
    loopback::{
        Echo, Load, Server, Traffic,
        echoes::{bare_task, peers, wsweave},
    },
    peers as libraries,
    report::{Column, Kind, Row, Table},
    transport::{Pace, Wire, drive, masked_frame},
};

pub(crate) const ABOUT: &str = "Heap that an idle connection holds, and that one kept message pins";

pub(crate) fn tables() -> Vec<Table> {
    vec![idle(), kept()]
}

/// The figures of one server after another, each in three states of its life.
fn idle() -> Table {
    let contenders =
        [(bare_task(), Kind::Limit), (wsweave(), Kind::Wsweave), (peers(), Kind::Peer)]
            .into_iter()
            .flat_map(|(echoes, kind)| {
                echoes
                    .into_iter()
                    .map(move |echo| (echo, kind, Rc::new(OnceCell::<[f64; 3]>::new())))
            })
            .collect::<Vec<_>>();
    let columns = ["new", "after 128 B", "after 64 KiB"].into_iter().enumerate();
    let columns = columns.map(|(at, name)| {
        let rows = contenders.iter().map(|(echo, kind, figures)| {
            let (echo, figures) = (*echo, figures.clone());
            let name = format!("{}: {}", echo.peer, echo.form);
            Row::new(name.clone(), *kind, move || {
                move |connections| {
                    figures.get_or_init(|| {
                        held_idle(&echo, connections)
                            .unwrap_or_else(|error| panic!("{name}: {error}"))
                    })[at]
                }
            })
        });
        Column::new(name, rows.collect::<Vec<_>>())
    });
    let columns = columns.collect::<Vec<_>>();
    Table::counted(
        format!("an idle connection of {CONNECTIONS}, its task included"),
        "bytes",
        CONNECTIONS,
        columns,
    )
}

/// What a connection holds on the server's side: new, after a small message, after a large one.
fn held_idle(echo: &Echo, connections: usize) -> io::Result<[f64; 3]> {
    // Both ends are in this process.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit })?;
    let server = Server::start(echo.serve)?;
    // One connection first, so that what the thread has for all of them is there.
    let mut first = Load::connect(server.addr, 1)?;
    let (small, large) = (echo.traffic(128, 1), echo.traffic(64 << 10, 1));
    first.exchange(&small, 16)?;
    first.exchange(&large, 16)?;
    let before = settled();
    let each = || (settled() - before) as f64 / connections as f64;
    let mut load = Load::connect(server.addr, connections)?;
    let new = each();
    let mut after = |traffic: &Traffic| {
        load.exchange_in_turn(traffic, 1)?;
        Ok::<_, io::Error>(each())
    };
    Ok([new, after(&small)?, after(&large)?])
}

/// What the server's thread holds when it has nothing more to do.
fn settled() -> isize {
    loop {
        let held = heap::held();
        thread::sleep(Duration::from_millis(100));
        if heap::held() == held {
            return held;
        }
    }
}

fn kept() -> Table {
    let columns = [
        Column::new("one message a wake-up", keepers(Pace::OneFrameAWakeup, 1)),
        Column::new("one of 512 that came at once", keepers(Pace::AllAtOnce, 512)),
    ];
    Table::counted("a kept message of 128 B", "bytes", 1000, columns)
}

/// Keeps one message of each `of`.
fn keepers(pace: Pace, of: usize) -> Vec<Row> {
    macro_rules! rows {
        ($($kind:ident $name:literal => $connect:expr;)*) => {
            vec![$(Row::new($name, Kind::$kind, move || {
                let wire = move || Wire::replay(&[masked_frame(false, false, &PAYLOAD)], pace);
                move |messages| pinned(messages, of, wire, $connect)
            })),*]
        };
    }
    rows! {
        Wsweave "wsweave" => async |wire| {
            Connection::from_raw(wire, Role::Server, Config::default())
        };
        Peer "async-tungstenite" => async |wire| {
            use async_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
            libraries::tungstenite::asynchronous(wire, Role::Server, WebSocketConfig::default()).await
        };
        Peer "tokio-tungstenite" => async |wire| {
            use async_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
            libraries::tungstenite::tokio(wire, Role::Server, WebSocketConfig::default()).await
        };
        Peer "tokio-websockets" => async |wire| libraries::tokio_websockets::server(wire);
        Peer "fastwebsockets" => async |wire| libraries::fastwebsockets::collector(wire);
        Peer "yawc" => async |wire| {
            libraries::yawc::connect(wire, yawc::Role::Server, libraries::yawc::options())
        };
        Peer "sockudo-ws" => async |wire| {
            sockudo_ws::WebSocketStream::server(wire, sockudo_ws::Config::default())
        };
        Peer "soketto, a vector each" => async |wire| {
            soketto::connection::Builder::new(wire, soketto::connection::Mode::Server).finish().1
        };
        Peer "web-socket" => async |wire| libraries::web_socket::server(wire);
    }
}

type Frame = fastwebsockets::Frame<'static>;

/// A connection whose messages can be kept.
trait Keep {
    type Kept;

    async fn keep(&mut self) -> Self::Kept;

    /// The payload of what was kept.
    fn payload(kept: &Self::Kept) -> &[u8];
}

/// What each of `messages` kept messages costs, beyond the list that it is kept in.
fn pinned<C: Keep>(
    messages: usize,
    of: usize,
    wire: impl FnOnce() -> Wire + Send,
    connect: impl AsyncFnOnce(Wire) -> C + Send,
) -> f64 {
    let count = || {
        heap::count_this_thread();
        drive(async {
            let mut conn = connect(wire()).await;
            let mut kept = Vec::with_capacity(messages);
            let mut held = 0;
            // The first time to warm up.
            for _ in 0..2 {
                kept.clear();
                held = heap::held();
                for number in 0..messages * of {
                    let message = conn.keep().await;
                    if number % of == 0 {
                        kept.push(message);
                    }
                }
            }
            let pinned = heap::held() - held;
            assert!(kept.iter().all(|message| C::payload(message) == PAYLOAD), "what was sent");
            pinned as f64 / messages as f64
        })
    };
    thread::scope(|scope| scope.spawn(count).join()).expect("a connection in memory")
}

macro_rules! keep {
    ($($conn:ty, $kept:ty: |$this:ident| $keep:expr, |$message:ident| $payload:expr;)*) => {$(
        impl Keep for $conn {
            type Kept = $kept;

            async fn keep(&mut self) -> $kept {
                let $this = self;
                $keep.expect("a message")
            }

            fn payload($message: &$kept) -> &[u8] {
                $payload
            }
        }
    )*};
}

keep! {
    Connection<Wire>, wsweave::Message: |conn| conn.next().await, |message| message.as_bytes();
    libraries::tungstenite::Async, tungstenite::Message:
        |conn| conn.next().await.and_then(Result::ok), |message| of_tungstenite(message);
    libraries::tungstenite::Tokio, tungstenite::Message:
        |conn| conn.next().await.and_then(Result::ok), |message| of_tungstenite(message);
    tokio_websockets::WebSocketStream<Wire>, tokio_websockets::Message:
        |conn| conn.next().await.and_then(Result::ok), |message| message.as_payload();
    FragmentCollector<Wire>, Frame:
        |conn| conn.read_frame().await, |frame| &frame.payload;
    yawc::WebSocket<Wire>, yawc::Frame: |conn| conn.next().await, |frame| frame.payload();
    sockudo_ws::WebSocketStream<Wire>, sockudo_ws::Message:
        |conn| conn.next().await.and_then(Result::ok),
        |message| match message {
            sockudo_ws::Message::Binary(payload) => payload,
            other => libraries::unexpected(other),
        };
    soketto::Receiver<Wire>, Vec<u8>:
        |conn| {
            let mut message = Vec::new();
            conn.receive_data(&mut message).await.map(|_| message)
        },
        |message| message;
    web_socket::WebSocket<tokio::io::BufStream<Wire>>, web_socket::Event:
        |conn| conn.recv().await,
        |event| match event {
            web_socket::Event::Data { data, .. } => data,
            other => libraries::unexpected(other),
        };
}

fn of_tungstenite(message: &tungstenite::Message) -> &[u8] {
    match message {
        tungstenite::Message::Binary(payload) => payload,
        other => libraries::unexpected(other),
    }
}

const CONNECTIONS: usize = 2000;
const PAYLOAD: [u8; 128] = [0xa5; 128];
