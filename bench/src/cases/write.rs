//! Writes in memory, as a server and as a client, which masks what it writes.

use async_tungstenite::tungstenite::protocol::{Role as TungsteniteRole, WebSocketConfig};
use flate2::{Decompress, FlushDecompress, Status};
use sockudo_ws::{Config, WebSocketStream};

use crate::{
    peers::{
        Write, fastwebsockets, ratchet, sockudo, soketto, tokio_websockets, tungstenite,
        web_socket, wsweave, wtx, yawc,
    },
    report::{Column, Kind, Row, Table, nanoseconds_each},
    transport::{Load, Pace, Payload, Wire, Written, drive, parse_frames},
};

pub(crate) const ABOUT: &str = "Writes in memory, as a server and as a client: time, and writes";

pub(crate) fn tables() -> Vec<Table> {
    let mut tables = Vec::new();
    for (role, name) in [(Role::Server, "server"), (Role::Client, "client")] {
        for (flush, how) in
            [(Flush::Batch, "flushed every 64 messages"), (Flush::Each, "each flushed")]
        {
            let prefix = if flush == Flush::Batch { "" } else { "sent " };
            let columns = |count| {
                Load::ALL.map(|load| {
                    let column = format!("{prefix}{name} {}", load.name());
                    Column::new(column, contenders(load, role, count, flush))
                })
            };
            let title = format!("Write as a {name}, {how}");
            tables.push(Table::new(title.clone(), "ns a message", columns(Count::Time)));
            let writes = columns(Count::Writes);
            tables.push(Table::counted(title, "writes a message", 1024, writes));
        }
    }
    tables
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Server,
    Client,
}

/// When what was fed is flushed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// Every 64 messages, of those that can wait so long: as a program does that writes what it has.
    Batch,
    /// Every message, as `SinkExt::send` does; and those that know no other way.
    Each,
}

impl Flush {
    fn batch(self) -> usize {
        match self {
            Self::Batch => 64,
            Self::Each => 1,
        }
    }
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

fn contenders(load: Load, role: Role, count: Count, flush: Flush) -> Vec<Row> {
    let of = Contest { messages: vec![load.payload()], count, flush };
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
    match flush {
        Flush::Batch => vec![
            of.row("wsweave", Kind::Wsweave, async move |wire| {
                wsweave::connect(wire, wsweave_role)
            }),
            of.row("async-tungstenite", Kind::Peer, async move |wire| {
                tungstenite::asynchronous(wire, tungstenite_role, WebSocketConfig::default()).await
            }),
            of.row("tokio-tungstenite", Kind::Peer, async move |wire| {
                tungstenite::tokio(wire, tungstenite_role, WebSocketConfig::default()).await
            }),
            of.row("tokio-websockets", Kind::Peer, async move |wire| {
                if server { tokio_websockets::server(wire) } else { tokio_websockets::client(wire) }
            }),
            of.row("tokio-websockets, high threshold", Kind::Peer, async move |wire| {
                if server {
                    tokio_websockets::tuned_server(wire)
                } else {
                    tokio_websockets::tuned_client(wire)
                }
            }),
            of.row("fastwebsockets, buffered", Kind::Peer, async move |wire| {
                fastwebsockets::buffered(wire, fastwebsockets_role())
            }),
            of.row("yawc", Kind::Peer, async move |wire| {
                yawc::connect(wire, yawc_role(), yawc::options())
            }),
            of.row("yawc, large buffers", Kind::Peer, async move |wire| {
                yawc::connect(wire, yawc_role(), yawc::tuned())
            }),
            of.row("sockudo-ws", Kind::Peer, async move |wire| {
                WebSocketStream::from_raw(wire, sockudo_role, Config::default())
            }),
            of.row("sockudo-ws, no clock", Kind::Peer, async move |wire| {
                WebSocketStream::from_raw(wire, sockudo_role, sockudo::tuned())
            }),
            of.row("soketto, buffered", Kind::Peer, async move |wire| {
                soketto::buffered(wire, soketto_mode)
            }),
            of.row("web-socket, buffered", Kind::Peer, async move |wire| {
                if server { web_socket::server(wire) } else { web_socket::client(wire) }
            }),
        ],
        Flush::Each => vec![
            of.row("wsweave", Kind::Wsweave, async move |wire| {
                wsweave::connect(wire, wsweave_role)
            }),
            of.row("async-tungstenite", Kind::Peer, async move |wire| {
                tungstenite::asynchronous(wire, tungstenite_role, WebSocketConfig::default()).await
            }),
            of.row("tokio-tungstenite", Kind::Peer, async move |wire| {
                tungstenite::tokio(wire, tungstenite_role, WebSocketConfig::default()).await
            }),
            of.row("tokio-websockets", Kind::Peer, async move |wire| {
                if server { tokio_websockets::server(wire) } else { tokio_websockets::client(wire) }
            }),
            of.row("yawc", Kind::Peer, async move |wire| {
                yawc::connect(wire, yawc_role(), yawc::options())
            }),
            of.row("sockudo-ws", Kind::Peer, async move |wire| {
                WebSocketStream::from_raw(wire, sockudo_role, Config::default())
            }),
            of.row("fastwebsockets", Kind::Peer, async move |wire| {
                fastwebsockets::frames(wire, fastwebsockets_role())
            }),
            of.row("soketto", Kind::Peer, async move |wire| soketto::connect(wire, soketto_mode)),
            of.row("ratchet", Kind::Peer, async move |wire| ratchet::connect(wire, ratchet_role)),
            if server {
                of.row("wtx", Kind::Peer, async |wire| wtx::connect::<false>(wire))
            } else {
                of.row("wtx", Kind::Peer, async |wire| wtx::connect::<true>(wire))
            },
        ],
    }
}

/// What they all write.
pub(super) struct Contest {
    pub(super) messages: Vec<Payload>,
    pub(super) count: Count,
    pub(super) flush: Flush,
}

impl Contest {
    pub(super) fn row<W: Write>(
        &self,
        name: &str,
        kind: Kind,
        connect: impl AsyncFnOnce(Wire) -> W + 'static,
    ) -> Row {
        let (payloads, count) = (self.messages.clone(), self.count);
        let batch = self.flush.batch();
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
