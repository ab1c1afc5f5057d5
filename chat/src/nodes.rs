//! [`Nodes`]: the other servers of the same chat, by way of a broker.
//!
//! A group of its own is what the broker connects: each room is one topic there, and the one member of it is
//! a connection within the process, at whose other end [`hear`] takes in what comes. So nothing that comes
//! from elsewhere reaches people without having been looked at.
//!
//! There are two backplanes: what was said is kept by the broker for those who come late, and who is there is
//! not.

use std::{
    future::ready,
    io::{self, Write},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::{
    sync::Semaphore,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use wsweave::{
    Config, Connection, ConnectionExt, Group, GroupConfig, Handle, LagPolicy, Membership, Message,
};
use wsweave_backplane::{Backplane, Broker, Error, Event as News, Status};

use crate::{
    limits::Limits,
    protocol::{Event, Said},
    rooms::{Room, Rooms, now},
    word::Word,
};

/// Where the nodes of a chat meet.
#[derive(Clone, Debug)]
pub struct Network {
    broker: Broker,
}

#[derive(Debug)]
pub(crate) struct Nodes {
    said: Backplane,
    who: Backplane,
    wires: Wires,
    node: Arc<str>,
    /// How many rooms may ask at once what the broker has kept.
    asking: Semaphore,
    view: Mutex<View>,
    /// Until then, in milliseconds since 1970, nodes may not have heard each other.
    unsure_until: AtomicU64,
    /// How much came that no node of ours would say.
    invalid: AtomicU64,
}

/// What people are told of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct View {
    together: bool,
    nodes: usize,
}

/// What the backplanes connect.
#[derive(Debug)]
struct Wires {
    said: Group,
    who: Group,
    /// The one member of all of their topics.
    handle: Mutex<Option<Handle>>,
    /// How many bytes may wait for it.
    max_waiting: usize,
}

impl Network {
    /// Takes an address like `nats://127.0.0.1:4222`, `tls://…` or `redis://127.0.0.1:6379`.
    ///
    /// # Errors
    ///
    /// If it is none of these. What it is then is not told: there may be a password in it.
    pub fn new(address: &str) -> Result<Self, &'static str> {
        let broker = match address.split_once("://") {
            Some(("nats" | "tls", _)) => Broker::nats(address),
            Some(("redis", _)) => Broker::redis(address),
            _ => return Err("a backplane is nats://… or redis://…"),
        };
        Ok(Self { broker })
    }
}

impl Nodes {
    /// Comes to where the others meet.
    pub(crate) async fn attach(network: &Network, limits: &Limits) -> Result<Self, Error> {
        let broker = &network.broker;
        // A room has one in each of the two groups; what was left counts until what waits is written.
        let config = GroupConfig::default().max_memberships(4 * limits.rooms);
        let wires = Wires {
            said: Group::with_config(config.clone().max_waiting(limits.wire)),
            who: Group::with_config(config),
            handle: Mutex::default(),
            max_waiting: limits.wire,
        };
        let said = broker.clone().prefix("chat.said").replay(limits.history, KEPT);
        // For each room that another node comes with, and goes with, there is one.
        let events = EVENTS * limits.rooms;
        // In JSON a character has four bytes at most.
        let message = (4 << 10) + 4 * (limits.room + limits.name + limits.text);
        let all = (4 << 10) + limits.people * (4 * limits.name + 4);
        let said = said.max_message(message).max_queue(QUEUE).max_events(events);
        let who = broker.clone().prefix("chat.who").max_message(all).max_events(events);
        let said = Backplane::attach(&wires.said, said);
        let (said, who) = tokio::try_join!(said, Backplane::attach(&wires.who, who))?;
        let (node, unsure_until) = (who.node().to_string().into(), AtomicU64::new(now()));
        Ok(Self {
            said,
            who,
            wires,
            node,
            asking: Semaphore::new(AT_ONCE),
            view: Mutex::new(View { together: true, nodes: 1 }),
            unsure_until,
            invalid: AtomicU64::new(0),
        })
    }

    pub(crate) fn node(&self) -> Arc<str> {
        Arc::clone(&self.node)
    }

    pub(crate) fn link(&self, handle: Handle) {
        *self.wires.handle() = Some(handle);
    }

    /// Has what other nodes say about a room heard, for as long as this is kept.
    pub(crate) fn join(&self, room: &str) -> Vec<Membership> {
        let Wires { said, who, max_waiting, .. } = &self.wires;
        let Some(handle) = self.wires.handle().clone() else { return Vec::new() };
        // What was said must not be missing; who is there is told again.
        let policies = [LagPolicy::disconnect().max_bytes(*max_waiting), LagPolicy::drop_oldest()];
        let groups = [said, who].into_iter().zip(policies);
        // Where it has ended, the next one joins.
        groups.filter_map(|(group, policy)| group.join_with(room, &handle, policy).ok()).collect()
    }

    /// Tells the other nodes what was said.
    pub(crate) fn publish(&self, room: &str, message: Message) -> Result<(), String> {
        let handle = self.wires.handle().clone();
        let sent = match &handle {
            Some(handle) => self.said.publish_except(room, message, handle),
            None => self.said.publish(room, message),
        };
        sent.map(|_| ()).map_err(|unsent| unsent.reason.to_string())
    }

    /// Tells the other nodes who is there. What is lost of that is told again.
    pub(crate) fn say(&self, word: &Word) {
        if let Some(handle) = self.wires.handle().clone() {
            let _ = self.who.publish_except(word.room(), word.encode(), &handle);
        }
    }

    /// What the broker has kept of a room, once what is said from now on is heard: then the others can be
    /// asked who is there, too.
    pub(crate) async fn history(
        &self,
        room: &str,
        ask: impl FnOnce(),
        limits: &Limits,
    ) -> Option<Vec<Said>> {
        if !self.is_together() {
            return None;
        }
        let stored = timeout(limits.loading, async {
            let _permit = self.asking.acquire().await.ok()?;
            self.said.ready(room).await.ok()?;
            self.who.ready(room).await.ok()?;
            ask();
            self.said.history(room, limits.history).await.ok()
        });
        let stored = stored.await.ok()??;
        let said = |message: &Message| match self.parse(message, limits) {
            Some(Word::Message(said)) if &*said.room == room => Some(said),
            _ => None,
        };
        Some(stored.iter().filter_map(said).collect())
    }

    /// Until when nodes may not have heard each other, in milliseconds since 1970.
    pub(crate) fn unsure_until(&self) -> u64 {
        self.unsure_until.load(Ordering::Relaxed)
    }

    /// They may not have heard each other up to now.
    fn doubt(&self) {
        self.unsure_until.store(now(), Ordering::Relaxed);
    }

    /// Whether they do now, and how many there are. It stays like that until this has returned.
    pub(crate) fn with_network(&self, tell: impl FnOnce(&Event<'_>)) {
        let view = self.view();
        tell(&view.event());
    }

    /// Tells the others farewell.
    pub(crate) async fn close(&self) {
        let (waiting, _) = tokio::join!(self.said.close(), self.who.close());
        let stats = self.said.stats();
        let (unsent, missed) = (stats.unsent + waiting as u64, stats.missed);
        let invalid = stats.invalid + self.invalid.load(Ordering::Relaxed);
        if unsent + missed + invalid > 0 {
            log(&format!(
                "messages that went to no other node: {unsent}; that did not come from there: {missed}; \
                 that made no sense: {invalid}"
            ));
        }
    }

    fn is_together(&self) -> bool {
        let is_there = |status| matches!(status, Status::Connecting | Status::Connected);
        is_there(self.said.status()) && is_there(self.who.status())
    }

    fn parse(&self, message: &Message, limits: &Limits) -> Option<Word> {
        let word = Word::parse(message, limits);
        if word.is_none() && self.invalid.fetch_add(1, Ordering::Relaxed) == 0 {
            log("what another node has said makes no sense, and is ignored; it is not told again");
        }
        word
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    fn event(self) -> Event<'static> {
        let Self { together, nodes } = self;
        Event::Network { together, nodes }
    }
}

impl Wires {
    fn handle(&self) -> MutexGuard<'_, Option<Handle>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes in what other nodes say, for ever.
pub(crate) async fn hear(rooms: Arc<Rooms>) {
    let Some(nodes) = &rooms.nodes else { return };
    loop {
        let config = Config::default().keepalive_interval(None);
        let (mut conn, mut peer) = Connection::pair_with(config.clone(), config);
        rooms.link(conn.handle());
        let hearing = async {
            while let Some(message) = peer.next().await {
                if let Some(word) = nodes.parse(&message, &rooms.limits) {
                    rooms.hear(word);
                }
            }
        };
        tokio::join!(conn.run(), hearing);
        log(
            "more came from other nodes than could be heard; what the broker has kept is read again",
        );
        sleep(TICK).await;
    }
}

/// Follows what happens between the nodes, for ever.
pub(crate) async fn follow(rooms: Arc<Rooms>) {
    let Some(nodes) = &rooms.nodes else { return };
    let (mut said, mut who) = (nodes.said.events(), nodes.who.events());
    let (mut ticks, mut count) = (interval(TICK), 0_u64);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_asking, mut is_refused) = (false, false);
    loop {
        tokio::select! {
            Some(news) = said.next() => match news {
                News::Gap { topic, missed, .. } => rooms.lose(&topic, missed),
                News::Missed(_) => {
                    nodes.doubt();
                    rooms.doubt();
                }
                News::Connected | News::NodeJoined(_) | News::NodeLeft(_) => nodes.doubt(),
                News::Refused { error, .. } if !mem::replace(&mut is_refused, true) => {
                    log(&format!("the broker refuses something; it is not told again: {error}"));
                }
                _ => {}
            },
            Some(news) = who.next() => match news {
                News::NodeLeft(node) => {
                    let node = node.to_string();
                    nodes.doubt();
                    rooms.keep_nodes(|there| there != node);
                }
                News::NodeJoined(_) | News::Connected | News::Gap { .. } | News::Missed(_) => {
                    nodes.doubt();
                    is_asking = true;
                }
                _ => {}
            },
            _ = ticks.tick() => {
                count += 1;
                tell_network(&rooms, nodes);
                rooms.tell_rest();
                let is_time = count.is_multiple_of(ANNOUNCE_EVERY);
                if is_asking || is_time {
                    let there: Vec<_> = nodes.who.nodes().iter().map(ToString::to_string).collect();
                    rooms.keep_nodes(|node| there.iter().any(|known| known == node));
                }
                if nodes.is_together() && (is_asking || is_time) {
                    rooms.open().iter().for_each(|room| rooms.announce(room, is_asking));
                    is_asking = false;
                }
            }
        }
    }
}

/// Reads again what may have been missed, for ever. What the broker has missed itself, the backplane gets.
pub(crate) async fn catch_up(rooms: Arc<Rooms>) {
    let Some(nodes) = &rooms.nodes else { return };
    let mut wait = TICK;
    loop {
        sleep(wait).await;
        wait = TICK;
        if nodes.is_together() {
            let behind = rooms.open().into_iter().filter(|room| room.is_behind());
            let load = |room: Arc<Room>| {
                let rooms = &rooms;
                async move { rooms.load(&room).await }
            };
            let loading = stream::iter(behind).map(load).buffer_unordered(AT_ONCE);
            let are_loaded = loading.fold(true, |all, is_loaded| ready(all && is_loaded)).await;
            if !are_loaded {
                wait = RETRY;
            }
        }
    }
}

fn tell_network(rooms: &Rooms, nodes: &Nodes) {
    let after = View { together: nodes.is_together(), nodes: 1 + nodes.who.nodes().len() };
    let mut view = nodes.view();
    let before = mem::replace(&mut *view, after);
    if before == after {
        return;
    }
    rooms.tell_everywhere(&after.event());
    drop(view);
    let error = |backplane: &Backplane| match backplane.status() {
        Status::Disconnected { error, .. } => Some(error.to_string()),
        _ => None,
    };
    match (before.together, after.together) {
        (true, false) => {
            let error = error(&nodes.said).or_else(|| error(&nodes.who)).unwrap_or_default();
            log(&format!("alone: {error}"));
        }
        (false, true) => log("together again"),
        _ => {}
    }
}

/// On one line. Nobody may be there to read it.
fn log(what: &str) {
    let what: Vec<_> = what.split_whitespace().collect();
    let _ = writeln!(io::stderr(), "chat: {}", what.join(" "));
}

/// For how long the broker keeps what was said.
pub(crate) const KEPT: Duration = Duration::from_secs(3_600);
/// How many bytes wait for the broker.
const QUEUE: usize = 8 << 20;
/// How many events there are room for, for each room.
const EVENTS: usize = 8;
const AT_ONCE: usize = 16;
const TICK: Duration = Duration::from_secs(1);
/// How long a broker that does not answer is left alone.
const RETRY: Duration = Duration::from_secs(5);
/// In ticks.
const ANNOUNCE_EVERY: u64 = 30;
