//! Writes in memory, as a server and as a client, which masks what it writes.

use async_tungstenite::tungstenite::protocol::{Role as TungsteniteRole, WebSocketConfig};
use flate2::{Decompress, FlushDecompress, Status};
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
                Count::Time | Count::CompressedTime => Table::new(title, unit, columns),
                Count::Writes | Count::Size => Table::counted(title, unit, 16 * BATCH, columns),
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

/// What the figure is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Time,
    Writes,
    /// Time, where the size on the wire is not known.
    CompressedTime,
    Size,
}

fn contenders(load: Load, role: Role, count: Count) -> Vec<Row> {
    let of = Contest { messages: vec![load.payload()], count };
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
pub(super) struct Contest {
    pub(super) messages: Vec<Payload>,
    pub(super) count: Count,
}

impl Contest {
    /// Fed, and flushed now and then.
    pub(super) fn fed<W: Write>(
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
        let (payloads, count) = (self.messages.clone(), self.count);
        Row::new(name, kind, move || {
            let wire = Wire::drain(Pace::AllAtOnce);
            let written = wire.written();
            let mut conn = drive(connect(wire));
            compare(&mut conn, &payloads, &written);
            let messages: Vec<_> = payloads.iter().map(W::message).collect();
            let bytes: usize = payloads.iter().map(|payload| payload.bytes.len()).sum();
            move |wanted| {
                let before = (written.writes(), written.bytes());
                let turns = wanted.div_ceil(messages.len());
                let figure = nanoseconds_each(turns * messages.len(), || {
                    drive(write(&mut conn, &messages, turns, batch));
                });
                let each = |now, before| (now - before) as f64 / (turns * messages.len()) as f64;
                let size = each(written.bytes(), before.1);
                match count {
                    Count::Size => return size,
                    // No more is lost or added than a header of 2 to 14 bytes.
                    Count::Time | Count::Writes => {
                        let header = size - bytes as f64 / messages.len() as f64;
                        assert!((2.0..=14.0).contains(&header), "a header of {header} bytes");
                    }
                    Count::CompressedTime => {}
                }
                if count == Count::Writes { each(written.writes(), before.0) } else { figure }
            }
        })
    }
}

async fn write<W: Write>(conn: &mut W, messages: &[W::Message], turns: usize, batch: usize) {
    let mut fed = 0;
    for _ in 0..turns {
        for message in messages {
            conn.feed(message).await;
            fed += 1;
            if fed == batch {
                conn.flush().await;
                fed = 0;
            }
        }
    }
    conn.flush().await;
}

/// Compares what the messages are on the wire with what they should be.
fn compare<W: Write>(conn: &mut W, payloads: &[Payload], written: &Written) {
    let messages: Vec<_> = payloads.iter().map(W::message).collect();
    written.keep();
    drive(write(conn, &messages, 3, usize::MAX));
    let frames = parse_frames(&written.kept());
    assert_eq!(frames.len(), 3 * payloads.len(), "frames");
    let mut inflater = Decompress::new(false);
    for ((compressed, mut content), payload) in frames.into_iter().zip(payloads.iter().cycle()) {
        if compressed {
            content = inflate(&mut inflater, content);
        }
        assert!(content == payload.bytes, "the content of a message");
    }
}

/// What one message was before it was compressed (RFC 7692, section 7.2.2).
fn inflate(inflater: &mut Decompress, mut compressed: Vec<u8>) -> Vec<u8> {
    compressed.extend_from_slice(&[0, 0, 0xff, 0xff]);
    let mut content = Vec::with_capacity(1 << 20);
    let status = inflater.decompress_vec(&compressed, &mut content, FlushDecompress::Sync);
    assert!(matches!(status, Ok(Status::Ok)), "deflated data");
    content
}

const BATCH: usize = 64;
