//! Echo over TCP on the loopback device.

use std::{cell::RefCell, rc::Rc};

use crate::{
    loopback::{
        Cost, Echo, Load, Server,
        echoes::{peers, references, wsweave, wsweave_layers},
    },
    report::{Column, Kind, Measure, Row, Table, median},
};

pub(crate) const ABOUT: &str = "Echo over TCP on the loopback device, the server on one thread";

pub(crate) fn tables() -> Vec<Table> {
    let contenders: Vec<_> =
        [(references(), Kind::Limit), (wsweave(), Kind::Wsweave), (peers(), Kind::Peer)]
            .into_iter()
            .flat_map(|(echoes, kind)| echoes.into_iter().map(move |echo| (echo, kind)))
            .collect();
    let mut layers = wsweave_layers().into_iter();
    // What the others are compared with.
    let no_hook = layers.next().map(|echo| (echo, Kind::Peer));
    let layers: Vec<_> =
        no_hook.into_iter().chain(layers.map(|echo| (echo, Kind::Wsweave))).collect();
    let mut tables = three_tables("echo", &SHAPES, &contenders);
    tables.extend(
        three_tables("echo in a loop, with hooks", &SHAPES[..1], &layers).into_iter().take(1),
    );
    tables
}

/// What is sent, and how.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) payload_len: usize,
    pub(crate) connections: usize,
    /// How many messages a connection has on their way: 1 is one at a time.
    pub(crate) window: usize,
}

const SHAPES: [Shape; 7] = [
    Shape { name: "32 B", payload_len: 32, connections: 1, window: 1024 },
    Shape { name: "1 KiB", payload_len: 1 << 10, connections: 1, window: 128 },
    Shape { name: "64 KiB", payload_len: 64 << 10, connections: 1, window: 8 },
    Shape { name: "32 B × 64", payload_len: 32, connections: 64, window: 64 },
    Shape { name: "1 KiB × 64", payload_len: 1 << 10, connections: 64, window: 16 },
    Shape { name: "64 KiB × 64", payload_len: 64 << 10, connections: 64, window: 2 },
    Shape { name: "32 B, one at a time", payload_len: 32, connections: 1, window: 1 },
];

/// The figures of one and the same runs: those of the first table, which the others look up.
pub(super) fn three_tables(
    title: &str,
    shapes: &[Shape],
    contenders: &[(Echo, Kind)],
) -> Vec<Table> {
    let runs: Vec<Vec<Rc<Runs>>> = shapes
        .iter()
        .map(|shape| contenders.iter().map(|(echo, _)| Rc::new(Runs::new(*echo, *shape))).collect())
        .collect();
    let columns = |make: fn(Rc<Runs>) -> Measure| {
        let columns = shapes.iter().zip(&runs).map(|(shape, runs)| {
            let rows = contenders.iter().zip(runs).map(|((echo, kind), runs)| {
                let runs = runs.clone();
                Row::new(format!("{}: {}", echo.peer, echo.form), *kind, move || make(runs))
            });
            Column::new(shape.name, rows.collect::<Vec<_>>())
        });
        columns.collect::<Vec<_>>()
    };
    vec![
        Table::new(
            format!("{title}, CPU time of the server"),
            "ns a message",
            columns(|runs| Box::new(move |messages| runs.add(messages).cpu)),
        ),
        Table::counted(
            format!("{title}, time until answered"),
            "ns a message",
            1000,
            columns(|runs| Box::new(move |messages| runs.median(messages, |cost| cost.wall))),
        ),
        Table::counted(
            format!("{title}, writes"),
            "writes a message",
            1000,
            columns(|runs| Box::new(move |messages| runs.median(messages, |cost| cost.writes))),
        ),
    ]
}

/// What the rounds of a contender have cost.
struct Runs {
    echo: Echo,
    shape: Shape,
    costs: RefCell<Vec<(usize, Cost)>>,
}

impl Runs {
    fn new(echo: Echo, shape: Shape) -> Self {
        Self { echo, shape, costs: RefCell::default() }
    }

    fn add(&self, messages: usize) -> Cost {
        let cost = run(&self.echo, &self.shape, messages);
        self.costs.borrow_mut().push((messages, cost));
        cost
    }

    /// Of the rounds as long as the last one: those before were shorter, to find out how long to go on.
    fn median(&self, messages: usize, figure: fn(&Cost) -> f64) -> f64 {
        if self.costs.borrow().is_empty() {
            self.add(messages);
        }
        let costs = self.costs.borrow();
        let last = costs.last().map(|(messages, _)| *messages);
        let rounds = costs.iter().filter(|(messages, _)| Some(*messages) == last);
        median(rounds.map(|(_, cost)| figure(cost)).collect())
    }
}

/// Echoes about so many messages on a new server, warmed up.
pub(crate) fn run(echo: &Echo, shape: &Shape, messages: usize) -> Cost {
    let measure = || {
        let server = Server::start(echo.serve)?;
        let mut load = Load::connect(server.addr, shape.connections)?;
        let traffic = echo.traffic(shape.payload_len, shape.window);
        load.exchange(&traffic, 2 * shape.window)?;
        load.exchange(&traffic, messages.div_ceil(shape.connections).max(shape.window))
    };
    measure().unwrap_or_else(|error: std::io::Error| {
        panic!("{}, {}, {}: {error}", echo.peer, echo.form, shape.name)
    })
}
