//! Messages with permessage-deflate (RFC 7692) and without, where the peer has it on a zlib in Rust.

use std::fmt::Write as _;

use ::wsweave::{Acceptor, Compression, Config};
use flate2::{Compress, FlushCompress, Status};
use sockudo_ws::{CompressedWebSocketStream, DeflateConfig, WebSocketStream};

use crate::{
    cases::{
        read,
        write::{self, Count, Flush},
    },
    peers::{
        Read, Write,
        wsweave::{Wsweave, connect},
        yawc,
    },
    report::{Column, Kind, Row, Table},
    transport::{Pace, Payload, Wire, masked_frame},
};

pub(crate) const ABOUT: &str = "Messages of JSON with permessage-deflate and without";

pub(crate) fn tables() -> Vec<Table> {
    let columns = |prefix: &str, rows: fn(Vec<Payload>) -> Vec<Row>| {
        let column = |(name, size)| Column::new(format!("{prefix} {name}"), rows(messages(size)));
        [("128 B", 128), ("1 KiB", 1 << 10), ("64 KiB", 64 << 10)].map(column)
    };
    let time = |title: &str, columns| Table::new(title, "ns a message", columns);
    let size = |title: &str, columns| {
        Table::counted(title, "bytes a message", 10 * TOGETHER / 128, columns)
    };
    vec![
        time("Read, compressed", columns("inflate", read_compressed)),
        time("Read, the same plain", columns("read", read_plain)),
        time(
            "Write as a server, compressed",
            columns("deflate", |messages| written(messages, Count::CompressedTime)),
        ),
        time("Write as a server, the same plain", columns("write", written_plain)),
        size("Size on the wire", columns("wire", |messages| written(messages, Count::Size))),
    ]
}

fn read_compressed(messages: Vec<Payload>) -> Vec<Row> {
    let frame = |message: &Payload| masked_frame(true, true, &deflate(&message.bytes));
    let frames = messages.iter().map(frame).collect();
    let contest = read::Contest { messages, frames, pace: Pace::AllAtOnce };
    vec![
        contest.of("wsweave", Kind::Wsweave, async |wire| {
            compressed(wire, Compression::default()).await
        }),
        contest.of("wsweave, no context", Kind::Wsweave, async |wire| {
            compressed(wire, without_context()).await
        }),
        contest.of("yawc", Kind::Peer, async |wire| yawc_compressed(wire)),
        contest.of("sockudo-ws", Kind::Peer, async |wire| sockudo_compressed(wire)),
    ]
}

fn read_plain(messages: Vec<Payload>) -> Vec<Row> {
    let contest = read::Contest::plain(messages, Pace::AllAtOnce);
    vec![
        contest.of("wsweave", Kind::Wsweave, async |wire| connect(wire, ::wsweave::Role::Server)),
        contest.of("yawc", Kind::Peer, async |wire| yawc_plain(wire)),
        contest.of("sockudo-ws", Kind::Peer, async |wire| sockudo_plain(wire)),
    ]
}

/// As they are by default: level 6, and messages refer to those before them.
fn written(messages: Vec<Payload>, count: Count) -> Vec<Row> {
    let contest = write::Contest { messages, count, flush: Flush::Batch };
    vec![
        contest.row("wsweave", Kind::Wsweave, async |wire| {
            compressed(wire, Compression::default()).await
        }),
        contest.row("wsweave, level 1", Kind::Wsweave, async |wire| {
            compressed(wire, Compression::default().level(1)).await
        }),
        contest.row("yawc", Kind::Peer, async |wire| yawc_compressed(wire)),
        contest.row("sockudo-ws", Kind::Peer, async |wire| sockudo_compressed(wire)),
    ]
}

fn written_plain(messages: Vec<Payload>) -> Vec<Row> {
    let contest = write::Contest { messages, count: Count::Time, flush: Flush::Batch };
    vec![
        contest.row("wsweave", Kind::Wsweave, async |wire| connect(wire, ::wsweave::Role::Server)),
        contest.row("yawc", Kind::Peer, async |wire| yawc_plain(wire)),
        contest.row("sockudo-ws", Kind::Peer, async |wire| sockudo_plain(wire)),
    ]
}

/// Compression is agreed on in the opening handshake.
async fn compressed(wire: Wire, compression: Compression) -> Wsweave<::wsweave::Connection<Wire>> {
    const REQUEST: &str = "GET / HTTP/1.1\r\n\
        Host: localhost\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let acceptor = Acceptor::new().config(Config::default().compression(compression));
    Wsweave(acceptor.accept(wire.after(REQUEST)).await.expect("a handshake"))
}

fn without_context() -> Compression {
    Compression::default().server_no_context_takeover(true).client_no_context_takeover(true)
}

fn yawc_compressed(wire: Wire) -> impl Read + Write {
    let options = yawc::options().with_balanced_compression();
    let agreed = Some("permessage-deflate");
    ::yawc::WebSocket::from_stream_with_extensions(wire, ::yawc::Role::Server, agreed, options)
        .expect("an extension that it knows")
}

fn yawc_plain(wire: Wire) -> impl Read + Write {
    yawc::connect(wire, ::yawc::Role::Server, yawc::options())
}

fn sockudo_compressed(wire: Wire) -> impl Read + Write {
    CompressedWebSocketStream::server(wire, sockudo_ws::Config::default(), DeflateConfig::default())
}

fn sockudo_plain(wire: Wire) -> impl Read + Write {
    WebSocketStream::server(wire, sockudo_ws::Config::default())
}

/// What one message is by itself (RFC 7692, section 7.2.1): whoever keeps a context can read it, too.
fn deflate(content: &[u8]) -> Vec<u8> {
    let mut deflater = Compress::new(flate2::Compression::new(6), false);
    let mut compressed = Vec::with_capacity(content.len() + 64);
    let status = deflater.compress_vec(content, &mut compressed, FlushCompress::Sync);
    assert!(matches!(status, Ok(Status::Ok)) && compressed.ends_with(&[0, 0, 0xff, 0xff]));
    compressed.truncate(compressed.len() - 4);
    compressed
}

/// Different ones, and together more than the 32 KiB that a context reaches back.
fn messages(size: usize) -> Vec<Payload> {
    let mut seed = 20_261_122;
    let count = (TOGETHER / size).max(4);
    (0..count).map(|_| Payload { bytes: json(size, &mut seed).into(), text: true }).collect()
}

/// So many bytes that look like a feed of prices.
fn json(size: usize, seed: &mut u64) -> String {
    let mut text = String::from("[");
    while text.len() < size {
        let [id, symbol, price, volume] = [90_000, 5, 100_000, 2_000].map(|below| {
            // The constants of Knuth's MMIX.
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 33) % below
        });
        let symbol =
            ["ADA", "BASIC", "COBOL", "DYLAN", "ELM"][usize::try_from(symbol).unwrap_or(0)];
        let cents = price % 100;
        let price = price / 100;
        let _ = write!(
            text,
            r#"{{"id":{id},"symbol":"{symbol}","price":{price}.{cents:02},"volume":{volume},"open":true}},"#,
        );
    }
    text.truncate(size);
    text
}

const TOGETHER: usize = 256 << 10;
