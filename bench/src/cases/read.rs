//! Reads in memory, as a server: there is a mask to take off, and text to check.

use async_tungstenite::tungstenite::protocol::{Role as TungsteniteRole, WebSocketConfig};
use sockudo_ws::{Config, WebSocketStream};

use crate::{
    peers::{
        Got, Read, fastwebsockets, ratchet, sockudo, soketto, tokio_websockets, tungstenite,
        web_socket, wsweave, yawc,
    },
    report::{Column, Kind, Row, Table, nanoseconds_each},
    transport::{Load, Pace, Payload, Wire, drive, masked_frame},
};

pub(crate) const ABOUT: &str = "Reads in memory, as a server, all at once and one frame a wake-up";

pub(crate) fn tables() -> Vec<Table> {
    let paces = [(Pace::AllAtOnce, "all at once"), (Pace::OneFrameAWakeup, "one frame a wake-up")];
    paces
        .into_iter()
        .map(|(pace, name)| {
            let columns = Load::ALL.map(|load| {
                let prefix = if pace == Pace::AllAtOnce { "" } else { "waking " };
                Column::new(format!("{prefix}{}", load.name()), contenders(load, pace))
            });
            Table::new(format!("Read, {name}"), "ns a message", columns)
        })
        .collect()
}

fn contenders(load: Load, pace: Pace) -> Vec<Row> {
    let row = Contest { payload: load.payload(), pace };
    vec![
        row.of("wsweave", Kind::Wsweave, async |wire| wsweave::connect(wire, wsweave_role())),
        row.of("async-tungstenite", Kind::Peer, async |wire| {
            tungstenite::asynchronous(wire, TungsteniteRole::Server, WebSocketConfig::default())
                .await
        }),
        row.of("async-tungstenite, small buffer", Kind::Peer, async |wire| {
            tungstenite::asynchronous(wire, TungsteniteRole::Server, tungstenite::tuned()).await
        }),
        row.of("tokio-tungstenite", Kind::Peer, async |wire| {
            tungstenite::tokio(wire, TungsteniteRole::Server, WebSocketConfig::default()).await
        }),
        row.of("tokio-tungstenite, small buffer", Kind::Peer, async |wire| {
            tungstenite::tokio(wire, TungsteniteRole::Server, tungstenite::tuned()).await
        }),
        row.of("tokio-websockets", Kind::Peer, async |wire| tokio_websockets::server(wire)),
        row.of("fastwebsockets, collector", Kind::Peer, async |wire| {
            fastwebsockets::collector(wire)
        }),
        row.of("fastwebsockets, frames", Kind::Peer, async |wire| {
            fastwebsockets::frames(wire, ::fastwebsockets::Role::Server)
        }),
        row.of("yawc", Kind::Peer, async |wire| {
            yawc::connect(wire, ::yawc::Role::Server, yawc::options())
        }),
        row.of("yawc, large buffers", Kind::Peer, async |wire| {
            yawc::connect(wire, ::yawc::Role::Server, yawc::tuned())
        }),
        row.of("sockudo-ws", Kind::Peer, async |wire| {
            WebSocketStream::server(wire, Config::default())
        }),
        row.of("sockudo-ws, no clock", Kind::Peer, async |wire| {
            WebSocketStream::server(wire, sockudo::tuned())
        }),
        row.of("soketto", Kind::Peer, async |wire| soketto::connect(wire, ::soketto::Mode::Server)),
        row.of("soketto, buffered", Kind::Peer, async |wire| {
            soketto::buffered(wire, ::soketto::Mode::Server)
        }),
        row.of("ratchet", Kind::Peer, async |wire| {
            ratchet::connect(wire, ratchet_rs::Role::Server)
        }),
        row.of("web-socket, buffered", Kind::Peer, async |wire| web_socket::server(wire)),
    ]
}

fn wsweave_role() -> ::wsweave::Role {
    ::wsweave::Role::Server
}

/// What they all read.
struct Contest {
    payload: Payload,
    pace: Pace,
}

impl Contest {
    fn of<R, C>(&self, name: &str, kind: Kind, connect: C) -> Row
    where
        R: Read,
        C: AsyncFnOnce(Wire) -> R + 'static,
    {
        let payload = self.payload.clone();
        let frame = masked_frame(payload.text, false, &payload.bytes);
        let pace = self.pace;
        Row::new(name, kind, move || {
            let mut conn = drive(connect(Wire::replay(&[frame], pace)));
            measure(vec![payload], move |messages, got| {
                drive(async {
                    for _ in 0..messages {
                        conn.read(got).await;
                    }
                });
            })
        })
    }
}

/// First compares each message of about a megabyte, then measures rounds in which they are counted.
pub(super) fn measure(
    expected: Vec<Payload>,
    mut read: impl FnMut(usize, &mut Got) + 'static,
) -> impl FnMut(usize) -> f64 + 'static {
    let size = expected.iter().map(|payload| payload.bytes.len()).sum::<usize>() / expected.len();
    let turns = (1 << 20) / (size * expected.len()) + 2;
    read(turns * expected.len(), &mut Got::comparing(&expected));
    let [mut bytes, mut ends] = [0, 0];
    for payload in &expected {
        let mut got = Got::default();
        got.see(&payload.bytes, payload.text);
        bytes += got.bytes;
        ends += got.ends;
    }
    move |messages| {
        // Whole turns, so that the sums are known.
        let turns = messages.div_ceil(expected.len());
        let mut got = Got::default();
        let figure =
            nanoseconds_each(turns * expected.len(), || read(turns * expected.len(), &mut got));
        assert_eq!((got.bytes, got.ends), (turns * bytes, turns * ends), "what was read");
        figure
    }
}
