//! What one connection sends goes to all.

use std::{cell::OnceCell, io, rc::Rc, thread, time::Duration};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::{
    heap,
    loopback::{Load, Server, Traffic, rooms},
    report::{Column, Kind, Row, Table, median},
};

pub(crate) const ABOUT: &str =
    "Messages of one connection that go to all, the server on one thread";

pub(crate) fn tables() -> Vec<Table> {
    let contenders: Vec<_> = [(rooms::wsweave(), Kind::Wsweave), (rooms::peers(), Kind::Peer)]
        .into_iter()
        .flat_map(|(rooms, kind)| rooms.into_iter().map(move |room| (room, kind)))
        .collect();
    let shapes = [32, 1 << 10].into_iter().flat_map(|len| MEMBERS.map(|members| (len, members)));
    let runs: Vec<(String, Vec<Rc<Run>>)> = shapes
        .map(|(payload_len, members)| {
            let run = |&(room, _): &(rooms::Room, Kind)| Run::new(room, payload_len, members);
            (format!("{payload_len} B × {members}"), contenders.iter().map(run).collect())
        })
        .collect();
    let table = |title: &str, unit, figure: fn(&Figures) -> f64| {
        let columns = runs.iter().map(|(name, runs)| {
            let rows = contenders.iter().zip(runs).map(|((room, kind), run)| {
                let run = Rc::clone(run);
                Row::new(format!("{}: {}", room.peer, room.form), *kind, move || {
                    move |_| figure(run.figures())
                })
            });
            Column::new(name.clone(), rows.collect::<Vec<_>>())
        });
        Table::counted(title, unit, 1, columns.collect::<Vec<_>>())
    };
    vec![
        table("published one at a time, CPU time of the server", "ns a delivery", |figures| {
            figures.one_at_a_time
        }),
        table("published 32 at a time, CPU time of the server", "ns a delivery", |figures| {
            figures.burst
        }),
        table("a member, with its task and its connection", "bytes", |figures| figures.held),
    ]
}

/// A contender with so many members, measured when it is asked first.
struct Run {
    room: rooms::Room,
    payload_len: usize,
    members: usize,
    figures: OnceCell<Figures>,
}

struct Figures {
    one_at_a_time: f64,
    burst: f64,
    held: f64,
}

impl Run {
    fn new(room: rooms::Room, payload_len: usize, members: usize) -> Rc<Self> {
        Rc::new(Self { room, payload_len, members, figures: OnceCell::new() })
    }

    fn figures(&self) -> &Figures {
        self.figures.get_or_init(|| {
            self.measure().unwrap_or_else(|error| {
                panic!("{}, {}, {}: {error}", self.room.peer, self.room.form, self.members)
            })
        })
    }

    fn measure(&self) -> io::Result<Figures> {
        // Both ends are in this process.
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit })?;
        let server = Server::start(self.room.serve)?;
        let before = settled();
        let mut load = if self.room.shakes_hands {
            Load::connect_with_handshake(server.addr, self.members)?
        } else {
            Load::connect(server.addr, self.members)?
        };
        // All have joined.
        settled();
        let mut cost = |window| -> io::Result<f64> {
            let traffic = Traffic::new(self.payload_len, window);
            let bursts = (DELIVERIES / (self.members * window)).clamp(2, 1_000);
            load.publish(&traffic, 4)?;
            let costs = (0..ROUNDS).map(|_| Ok(load.publish(&traffic, bursts)?.cpu));
            Ok(median(costs.collect::<io::Result<_>>()?))
        };
        let (one_at_a_time, burst) = (cost(1)?, cost(32)?);
        Ok(Figures {
            one_at_a_time,
            burst,
            held: (settled() - before) as f64 / self.members as f64,
        })
    }
}

/// What the server's thread holds when it has nothing more to do.
fn settled() -> isize {
    loop {
        let held = heap::held();
        thread::sleep(Duration::from_millis(100));
        if heap::held() == held {
            return held;
        }
    }
}

const MEMBERS: [usize; 4] = [1, 100, 1_000, 5_000];
const DELIVERIES: usize = 20_000;
const ROUNDS: usize = 5;
