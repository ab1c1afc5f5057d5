//! One visitor, from the server's door to the end: who it is, and what each of them needs.

use std::{
    error::Error,
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use wsweave::{Client, CloseCode, Compression, Connection, Finish, Message};

use crate::{
    faults, raw,
    server::ECHOES,
    site::{self, Door, Site},
    tally::Tally,
    visitors,
};

/// A visitor.
pub(crate) struct Visit {
    pub(crate) site: Arc<Site>,
    pub(crate) rng: StdRng,
    tally: Arc<Tally>,
    seed: u64,
}

/// An error if something else came of it than should: which it may where a server is shut down under it.
pub(crate) type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

type Kind = fn(&mut Visit) -> BoxFuture<'_, Outcome>;

impl Visit {
    pub(crate) fn new(site: Arc<Site>, tally: Arc<Tally>, seed: u64) -> Self {
        Self { site, rng: StdRng::seed_from_u64(seed), tally, seed }
    }

    /// One visit in two is of the well-behaved kind.
    pub(crate) async fn make(mut self) {
        let is_fault = self.rng.random();
        let kinds = if is_fault { FAULTS } else { WELL_BEHAVED };
        let &(name, kind) = kinds.choose(&mut self.rng).unwrap();
        self.tally.visit(name, is_fault);
        let started = Instant::now();
        if let Err(error) = kind(&mut self).await {
            let took = started.elapsed();
            let Self { site, seed, .. } = &self;
            assert!(site.is_closing(), "{name}, visitor {seed}, after {took:?}: {error}");
            self.tally.cut_short();
        }
    }

    /// Where to go.
    pub(crate) fn door(&mut self) -> usize {
        self.rng.random_range(0..self.site.doors.len())
    }

    pub(crate) fn echo_path(&mut self) -> &'static str {
        ECHOES.choose(&mut self.rng).unwrap()
    }

    pub(crate) async fn connect(&mut self, path: &str) -> Result<Connection, wsweave::Error> {
        let compression = self
            .one_in(3)
            .then(|| Compression::default().client_no_context_takeover(self.one_in(2)));
        let config = site::patient().compression(compression);
        let door = self.door();
        let Door { addr, scheme, key } = &self.site.doors[door];
        let client = Client::new(&format!("{scheme}://{addr}{path}"))?.no_proxy().config(config);
        key(client).connect().await
    }

    /// What came back has to be what was sent, byte for byte.
    pub(crate) fn check(&self, sent: &Message, received: Option<Message>) -> Outcome {
        let received = received.ok_or("it ended before the answer")?;
        let (length, other) = (sent.len(), received.len());
        assert!(received == *sent, "visitor {}: {other} bytes for {length}", self.seed);
        self.tally.echo(length);
        Ok(())
    }

    /// Who behaves well ends well, also where the server is shut down.
    pub(crate) fn check_clean(&self, finish: &Finish) {
        let code_is_right = finish.code == CloseCode::NORMAL
            || (finish.code == CloseCode::GOING_AWAY && self.site.is_closing());
        let clean = finish.clean && finish.error.is_none() && code_is_right;
        assert!(clean, "visitor {}: {finish}", self.seed);
    }

    /// A few messages of all sizes.
    pub(crate) fn messages(&mut self) -> Vec<Message> {
        (0..self.rng.random_range(1..12)).map(|_| self.message()).collect()
    }

    pub(crate) fn message(&mut self) -> Message {
        let most = if self.one_in(40) { 500_000 } else { 0 };
        let usual =
            *[0, 125, 126, 2_000, 2_000, 2_000, 20_000, 70_000].choose(&mut self.rng).unwrap();
        let length = self.rng.random_range(0..=usual.max(most));
        if self.one_in(2) {
            // What cannot be compressed.
            self.bytes(length).into()
        } else {
            let word = *["wsweave ", "Grüße ", "€", "\0"].choose(&mut self.rng).unwrap();
            word.repeat(length / word.len()).into()
        }
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    pub(crate) fn one_in(&mut self, number: u32) -> bool {
        self.rng.random_ratio(1, number)
    }

    /// A moment that may be over before anything has happened, or not.
    pub(crate) fn moment(&mut self) -> Duration {
        let most = *[10, 1_000, 20_000, 200_000].choose(&mut self.rng).unwrap();
        Duration::from_micros(self.rng.random_range(0..most))
    }

    /// A part of something, from nothing to all but the last byte.
    pub(crate) fn part<'a>(&mut self, whole: &'a [u8]) -> &'a [u8] {
        &whole[..self.rng.random_range(0..whole.len())]
    }
}

/// What a visitor meant to see.
pub(crate) fn expect(seen: bool, what: impl Display) -> Outcome {
    if seen { Ok(()) } else { Err(what.to_string().into()) }
}

const WELL_BEHAVED: &[(&str, Kind)] = &[
    ("one message after the other", |v| Box::pin(visitors::in_turn(v))),
    ("both ways at the same time", |v| Box::pin(visitors::both_ways(v))),
    ("in two tasks", |v| Box::pin(visitors::in_two_tasks(v))),
    ("in callbacks", |v| Box::pin(visitors::in_callbacks(v))),
    ("fragments and pings by hand", |v| Box::pin(raw::fragments(v))),
];

const FAULTS: &[(&str, Kind)] = &[
    ("dropped while it connects", |v| Box::pin(faults::dropped_connecting(v))),
    ("dropped while it sends", |v| Box::pin(faults::dropped_sending(v))),
    ("dropped while it closes", |v| Box::pin(faults::dropped_closing(v))),
    ("one half dropped", |v| Box::pin(faults::one_half_dropped(v))),
    ("aborted", |v| Box::pin(faults::aborted(v))),
    ("panic in a server's hook", |v| Box::pin(faults::server_fails(v, "/panic"))),
    ("error of a server's hook", |v| Box::pin(faults::server_fails(v, "/fail"))),
    ("panic in a client's hook", |v| Box::pin(faults::client_panics(v))),
    ("dropped by the server", |v| Box::pin(faults::server_drops(v))),
    ("aborted by the server", |v| Box::pin(faults::server_aborts(v))),
    ("refused", |v| Box::pin(faults::refused(v))),
    ("garbage for a handshake", |v| Box::pin(raw::garbage(v))),
    ("half a handshake", |v| Box::pin(raw::half_handshake(v))),
    ("half a frame", |v| Box::pin(raw::half_frame(v))),
    ("silence", |v| Box::pin(raw::silence(v))),
    ("reset", |v| Box::pin(raw::reset(v))),
    ("broken rule", |v| Box::pin(raw::broken_rule(v))),
    ("compressed bomb", |v| Box::pin(raw::bomb(v))),
    ("flooded, and reads nothing", |v| Box::pin(raw::never_reads(v))),
    ("floods, and reads nothing", |v| Box::pin(raw::only_writes(v))),
];
