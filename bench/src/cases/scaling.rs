//! Whether cost grows linearly with messages and with connections.

use super::echo::{Shape, run};
use crate::{
    loopback::{
        Echo,
        echoes::{peers, references, wsweave},
    },
    report::{Column, Kind, Row, Table, median},
};

pub(crate) const ABOUT: &str =
    "Whether cost grows linearly with messages and with connections: a message's has to stay";

pub(crate) fn tables() -> Vec<Table> {
    vec![
        Table::new(
            "32 B echoed over so many connections, CPU time of the server",
            "ns a message",
            [1, 8, 64, 512].map(|connections| {
                let shape = Shape { name: "scaling", payload_len: 32, connections, window: 64 };
                let row = move |echo: Echo| move |messages| run(&echo, &shape, messages).cpu;
                Column::new(format!("{connections} connections"), rows(row))
            }),
        ),
        Table::counted(
            "so many messages of 32 B echoed over one connection, CPU time of the server",
            "ns a message",
            1,
            [1_000, 10_000, 100_000, 1_000_000].map(|messages| {
                let shape = Shape { name: "scaling", payload_len: 32, connections: 1, window: 64 };
                let rounds = (1_000_000 / messages).clamp(5, 50);
                let row = move |echo: Echo| {
                    let cost = move || run(&echo, &shape, messages).cpu;
                    move |_| median((0..rounds).map(|_| cost()).collect())
                };
                Column::new(format!("{messages} messages"), rows(row))
            }),
        ),
    ]
}

/// All styles of wsweave, and the best known forms of the peers.
fn rows<M: FnMut(usize) -> f64 + 'static>(row: impl Fn(Echo) -> M) -> Vec<Row> {
    let peers = peers().into_iter().filter(|echo| echo.form == "tuned");
    let groups =
        [(references(), Kind::Limit), (wsweave(), Kind::Wsweave), (peers.collect(), Kind::Peer)];
    let echoes = groups
        .into_iter()
        .flat_map(|(echoes, kind)| echoes.into_iter().map(move |echo| (echo, kind)));
    echoes
        .map(|(echo, kind)| {
            let measure = row(echo);
            Row::new(format!("{}: {}", echo.peer, echo.form), kind, move || measure)
        })
        .collect()
}
