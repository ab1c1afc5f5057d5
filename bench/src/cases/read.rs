//! Reads in memory, as a server: there is a mask to take off, and text to check.

use ::wsweave::Role;
use async_tungstenite::tungstenite::protocol::{Role as TungsteniteRole, WebSocketConfig};
use sockudo_ws::{Config, WebSocketStream};

use crate::{
    cases::reference,
    peers::{
        Got, Read, fastwebsockets, ratchet, sockudo, soketto, tokio_websockets, tungstenite,
        web_socket, wsweave, wtx, yawc,
    },
    report::{Column, Kind, Row, Table, nanoseconds_each},
    transport::{Load, Pace, Payload, REPLAYED, Wire, drive, masked_frame},
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
    let row = Contest::plain(vec![load.payload()], pace);
    let mut rows = vec![
        row.of("wsweave", Kind::Wsweave, async |wire| wsweave::connect(wire, Role::Server)),
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
        row.of("wtx", Kind::Peer, async |wire| wtx::connect::<false>(wire)),
    ];
    rows.extend(reference::rows(load));
    rows
}

/// What they all read.
pub(super) struct Contest {
    pub(super) messages: Vec<Payload>,
    pub(super) frames: Vec<Vec<u8>>,
    pub(super) pace: Pace,
}

impl Contest {
    pub(super) fn plain(messages: Vec<Payload>, pace: Pace) -> Self {
        let frame = |message: &Payload| masked_frame(message.text, false, &message.bytes);
        Self { frames: messages.iter().map(frame).collect(), messages, pace }
    }

    pub(super) fn of<R: Read>(
        &self,
        name: &str,
        kind: Kind,
        connect: impl AsyncFnOnce(Wire) -> R + 'static,
    ) -> Row {
        let (messages, frames) = (self.messages.clone(), self.frames.clone());
        let pace = self.pace;
        Row::new(name, kind, move || {
            let mut conn = drive(connect(Wire::replay(&frames, pace)));
            compare(&mut conn, &messages);
            let turn = {
                let mut turn = Got::default();
                for message in &messages {
                    turn.see(&message.bytes, message.text);
                }
                turn
            };
            move |wanted| {
                // Whole turns, so that the sums are known.
                let turns = wanted.div_ceil(turn.messages);
                let mut got = Got::default();
                let figure = nanoseconds_each(turns * turn.messages, || {
                    drive(async {
                        for _ in 0..turns * turn.messages {
                            conn.read(&mut got).await;
                        }
                    });
                });
                assert_eq!((got.bytes, got.ends), (turns * turn.bytes, turns * turn.ends), "sums");
                figure
            }
        })
    }
}

/// Compares the content of messages with what it should be, beyond the end of what is replayed.
fn compare(conn: &mut impl Read, messages: &[Payload]) {
    let size: usize = messages.iter().map(|message| message.bytes.len()).sum();
    let turns = REPLAYED / size + 2;
    let mut got = Got::comparing(messages);
    drive(async {
        for _ in 0..turns * messages.len() {
            conn.read(&mut got).await;
        }
    });
}
