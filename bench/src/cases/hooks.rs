//! What hooks, callbacks and a handle add to reading: wsweave beside itself.

use std::hint::black_box;

use ::wsweave::{Connection, ConnectionExt, Duplex, Message, Peer, Role};

use crate::{
    cases::read::Contest,
    peers::{
        Got, Read,
        wsweave::{Wsweave, connect},
    },
    report::{Column, Kind, Row, Table},
    transport::{Load, Pace, Wire},
};

pub(crate) const ABOUT: &str = "What hooks, callbacks and a handle add to reading";

pub(crate) fn tables() -> Vec<Table> {
    let loads = [Load::Text16, Load::Binary128, Load::Text1Ki];
    let columns = loads.map(|load| Column::new(format!("hooked {}", load.name()), rows(load)));
    vec![Table::new("Read with hooks that look at each message", "ns a message", columns)]
}

fn rows(load: Load) -> Vec<Row> {
    let row = Contest::plain(vec![load.payload()], Pace::AllAtOnce);
    vec![
        row.of("no hook", Kind::Peer, async |wire| plain(wire)),
        row.of("one hook", Kind::Wsweave, async |wire| Wsweave(plain(wire).0.on_each(look))),
        row.of("five hooks", Kind::Wsweave, async |wire| {
            let hooked = plain(wire).0.on_each(look).on_each(look).on_each(look);
            Wsweave(hooked.on_each(look).on_each(look))
        }),
        row.of("registry, no callback", Kind::Wsweave, async |wire| registry(wire, 0)),
        row.of("registry, one callback", Kind::Wsweave, async |wire| registry(wire, 1)),
        row.of("registry, ten callbacks", Kind::Wsweave, async |wire| registry(wire, 10)),
        row.of("a handle", Kind::Wsweave, async |wire| {
            let mut conn = plain(wire);
            let handle = conn.0.handle();
            With { conn, _kept: handle }
        }),
    ]
}

fn plain(wire: Wire) -> Wsweave<Connection<Wire>> {
    connect(wire, Role::Server)
}

fn registry(wire: Wire, callbacks: usize) -> impl Read {
    let (conn, registry) = plain(wire).0.callbacks();
    for _ in 0..callbacks {
        registry.on_each(look);
    }
    With { conn: Wsweave(conn), _kept: registry }
}

/// What every hook here does.
fn look(_: &mut Peer<'_>, message: &Message) {
    black_box(message.as_bytes()[0]);
}

/// A connection, and what has to live as long.
struct With<D, K> {
    conn: Wsweave<D>,
    _kept: K,
}

impl<D: Duplex + Unpin + 'static, K: 'static> Read for With<D, K> {
    #[inline]
    async fn read(&mut self, got: &mut Got) {
        self.conn.read(got).await;
    }
}
