//! Messages through a relay, over TCP on the loopback device.

use super::echo::{Shape, three_tables};
use crate::{
    loopback::relays::{peers, references, wsweave},
    report::{Kind, Table},
};

pub(crate) const ABOUT: &str =
    "Messages through a relay, to a server on a thread of its own and back";

pub(crate) fn tables() -> Vec<Table> {
    let contenders: Vec<_> =
        [(references(), Kind::Limit), (wsweave(), Kind::Wsweave), (peers(), Kind::Peer)]
            .into_iter()
            .flat_map(|(relays, kind)| relays.into_iter().map(move |relay| (relay, kind)))
            .collect();
    three_tables("relay", &SHAPES, &contenders)
}

const SHAPES: [Shape; 4] = [
    Shape { name: "32 B", payload_len: 32, connections: 1, window: 1024 },
    Shape { name: "1 KiB", payload_len: 1 << 10, connections: 1, window: 128 },
    Shape { name: "64 KiB", payload_len: 64 << 10, connections: 1, window: 8 },
    Shape { name: "32 B × 64", payload_len: 32, connections: 64, window: 64 },
];
