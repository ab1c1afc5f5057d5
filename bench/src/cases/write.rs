//! Writes in memory, as a server and as a client, which masks what it writes.

use async_tungstenite::tungstenite::protocol::{Role as TungsteniteRole, WebSocketConfig};
use sockudo_ws::{Config, WebSocketStream};

use crate::{
    peers::{
        Write, fastwebsockets, ratchet, sockudo, soketto, tokio_websockets, tungstenite,
        web_socket, wsweave, yawc,
    },
    report::{Column, Kind, Row, Table, nanoseconds_each},
    transport::{Load, Pace, Payload, Wire, Written, drive, parse_frames},
};

pub(crate) const ABOUT: &str = "Writes in memory, as a server and as a client: time, and writes";

pub(crate) fn tables() -> Vec<Table> {
    let mut tables = Vec::new();
    for (role, name) in [(Role::Server, "server"), (Role::Client, "client")] {
        for (count, what, unit) in
            [(Count::Time, "time", "ns a message"), (Count::Writes, "writes", "writes a message")]
        {
            let columns = Load::ALL.map(|load| {
                let column = format!("{name} {}", load.name());
                Column::new(column, contenders(load, role, count))
            });
            let title =
                format!("Write as a {name}: {what}, fed and flushed every {BATCH} messages");
            tables.push(match count {
                Count::Time => Table::new(title, unit, columns),
                Count::Writes => Table::counted(title, unit, 16 * BATCH, columns),
            });
        }
    }
    tables
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Server,
    Client,
}

#[derive(Clone, Copy)]
enum Count {
    Time,
    Writes,
}

fn contenders(load: Load, role: Role, count: Count) -> Vec<Row> {
    let of = Contest { payload: load.payload(), role, count };
    let server = role == Role::Server;
    let tungstenite_role = if server { TungsteniteRole::Server } else { TungsteniteRole::Client };
    let fastwebsockets_role = move || {
        if server { ::fastwebsockets::Role::Server } else { ::fastwebsockets::Role::Client }
    };
    let yawc_role = move || if server { ::yawc::Role::Server } else { ::yawc::Role::Client };
    let sockudo_role = if server { sockudo_ws::Role::Server } else { sockudo_ws::Role::Client };
    let soketto_mode = if server { ::soketto::Mode::Server } else { ::soketto::Mode::Client };
    let wsweave_role = if server { ::wsweave::Role::Server } else { ::wsweave::Role::Client };
    let ratchet_role = if server { ratchet_rs::Role::Server } else { ratchet_rs::Role::Client };
    vec![
        of.fed("wsweave", Kind::Wsweave, async move |wire| wsweave::connect(wire, wsweave_role)),
        of.sent("wsweave, send", Kind::Wsweave, async move |wire| {
            wsweave::connect(wire, wsweave_role)
        }),
        of.fed("async-tungstenite", Kind::Peer, async move |wire| {
            tungstenite::asynchronous(wire, tungstenite_role, WebSocketConfig::default()).await
        }),
        of.sent("async-tungstenite, send", Kind::Peer, async move |wire| {
            tungstenite::asynchronous(wire, tungstenite_role, WebSocketConfig::default()).await
        }),
        of.fed("tokio-tungstenite", Kind::Peer, async move |wire| {
            tungstenite::tokio(wire, tungstenite_role, WebSocketConfig::default()).await
        }),
        of.sent("tokio-tungstenite, send", Kind::Peer, async move |wire| {
            tungstenite::tokio(wire, tungstenite_role, WebSocketConfig::default()).await
        }),
        of.fed("tokio-websockets", Kind::Peer, async move |wire| {
            if server { tokio_websockets::server(wire) } else { tokio_websockets::client(wire) }
        }),
        of.fed("tokio-websockets, high threshold", Kind::Peer, async move |wire| {
            if server {
                tokio_websockets::tuned_server(wire)
            } else {
                tokio_websockets::tuned_client(wire)
            }
        }),
        of.sent("tokio-websockets, send", Kind::Peer, async move |wire| {
            if server { tokio_websockets::server(wire) } else { tokio_websockets::client(wire) }
        }),
        of.fed("fastwebsockets", Kind::Peer, async move |wire| {
            fastwebsockets::frames(wire, fastwebsockets_role())
        }),
        of.fed("fastwebsockets, buffered", Kind::Peer, async move |wire| {
            fastwebsockets::buffered(wire, fastwebsockets_role())
        }),
        of.fed("yawc", Kind::Peer, async move |wire| {
            yawc::connect(wire, yawc_role(), yawc::options())
        }),
        of.fed("yawc, large buffers", Kind::Peer, async move |wire| {
            yawc::connect(wire, yawc_role(), yawc::tuned())
        }),
        of.sent("yawc, send", Kind::Peer, async move |wire| {
            yawc::connect(wire, yawc_role(), yawc::options())
        }),
        of.fed("sockudo-ws", Kind::Peer, async move |wire| {
            WebSocketStream::from_raw(wire, sockudo_role, Config::default())
        }),
        of.fed("sockudo-ws, no clock", Kind::Peer, async move |wire| {
            WebSocketStream::from_raw(wire, sockudo_role, sockudo::tuned())
        }),
        of.sent("sockudo-ws, send", Kind::Peer, async move |wire| {
            WebSocketStream::from_raw(wire, sockudo_role, Config::default())
        }),
        of.fed("soketto", Kind::Peer, async move |wire| soketto::connect(wire, soketto_mode)),
        of.fed("soketto, buffered", Kind::Peer, async move |wire| {
            soketto::buffered(wire, soketto_mode)
        }),
        of.fed("ratchet", Kind::Peer, async move |wire| ratchet::connect(wire, ratchet_role)),
        of.fed("web-socket, buffered", Kind::Peer, async move |wire| {
            if server { web_socket::server(wire) } else { web_socket::client(wire) }
        }),
    ]
}

/// What they all write.
struct Contest {
    payload: Payload,
    role: Role,
    count: Count,
}

impl Contest {
    /// Fed, and flushed now and then.
    fn fed<W: Write>(
        &self,
        name: &str,
        kind: Kind,
        connect: impl AsyncFnOnce(Wire) -> W + 'static,
    ) -> Row {
        self.row(name, kind, BATCH, connect)
    }

    /// Each message flushed, as `SinkExt::send` does.
    fn sent<W: Write>(
        &self,
        name: &str,
        kind: Kind,
        connect: impl AsyncFnOnce(Wire) -> W + 'static,
    ) -> Row {
        self.row(name, kind, 1, connect)
    }

    fn row<W: Write>(
        &self,
        name: &str,
        kind: Kind,
        batch: usize,
        connect: impl AsyncFnOnce(Wire) -> W + 'static,
    ) -> Row {
        let Self { payload, role, count } = self;
        let (payload, role, count) = (payload.clone(), *role, *count);
        Row::new(name, kind, move || {
            let wire = Wire::drain(Pace::AllAtOnce);
            let written = wire.written();
            let mut conn = drive(connect(wire));
            let message = W::message(&payload);
            check(&mut conn, &message, &payload, &written);
            move |messages| {
                let (writes, bytes) = (written.writes(), written.bytes());
                let figure = nanoseconds_each(messages, || {
                    drive(async {
                        let mut left = messages;
                        while left > 0 {
                            let now = left.min(batch);
                            for _ in 0..now {
                                conn.feed(&message).await;
                            }
                            conn.flush().await;
                            left -= now;
                        }
                    });
                });
                let each = header_len(payload.bytes.len(), role) + payload.bytes.len();
                assert_eq!(written.bytes() - bytes, messages * each, "bytes written");
                match count {
                    Count::Time => figure,
                    Count::Writes => (written.writes() - writes) as f64 / messages as f64,
                }
            }
        })
    }
}

/// Compares what some messages are on the wire with what they should be.
fn check<W: Write>(conn: &mut W, message: &W::Message, payload: &Payload, written: &Written) {
    written.keep();
    drive(async {
        for _ in 0..3 {
            conn.feed(message).await;
        }
        conn.flush().await;
    });
    let frames = parse_frames(&written.kept());
    assert_eq!(frames.len(), 3, "frames");
    assert!(
        frames.iter().all(|(_, content)| *content == payload.bytes),
        "the content of a message"
    );
}

/// Of a frame (RFC 6455, section 5.2).
fn header_len(payload: usize, role: Role) -> usize {
    let mask = if role == Role::Client { 4 } else { 0 };
    mask + match payload {
        0..126 => 2,
        126..0x1_0000 => 4,
        _ => 10,
    }
}

const BATCH: usize = 64;
