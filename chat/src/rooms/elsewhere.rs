//! The half of [`Rooms`] that hears other nodes, and answers them.

use std::{collections::HashSet, mem, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use wsweave::Handle;

use super::{CHANGES, Room, Rooms, State, now};
use crate::{
    protocol::{Change, Event, Said},
    word::Word,
};

impl Rooms {
    /// From now on other nodes are heard by another connection; what came meanwhile may be lost.
    pub(crate) fn link(&self, handle: Handle) {
        let Some(nodes) = &self.nodes else { return };
        let open = self.lock();
        nodes.link(handle);
        for room in open.values() {
            let mut state = room.lock();
            state.wire = nodes.join(&room.name);
            state.doubts += 1;
            state.history.miss(now());
            self.tell(room, &Event::Gap { room: &room.name, missed: 0 }, None);
        }
    }

    pub(crate) fn open(&self) -> Vec<Arc<Room>> {
        self.lock().values().cloned().collect()
    }

    /// Takes in what another node says.
    pub(crate) fn hear(self: &Arc<Self>, word: Word) {
        let Some(room) = self.lock().get(word.room()).cloned() else { return };
        let mut state = room.lock();
        match word {
            Word::Message(said) => {
                if !self.ids.is_own(&said.id) && !state.history.has(&said) {
                    let said =
                        Said { room: Arc::clone(&room.name), time: said.time.min(now()), ..said };
                    self.tell(&room, &Event::Message(&said), None);
                    state.history.push(said, &self.limits);
                }
            }
            Word::Here { node, name, .. } => self.meet(&room, &mut state, &node, &name),
            Word::Gone { node, name, .. } => self.miss(&room, &mut state, &node, &name),
            Word::All { node, names, ask, .. } => {
                let gone: Vec<_> = {
                    let names: HashSet<_> = names.iter().collect();
                    let before = state.people.elsewhere().filter(|(there, _)| **there == node);
                    before
                        .filter(|(_, name)| !names.contains(name))
                        .map(|(_, name)| Arc::clone(name))
                        .collect()
                };
                for name in gone {
                    self.miss(&room, &mut state, &node, &name);
                }
                for name in names {
                    self.meet(&room, &mut state, &node, &name);
                }
                if ask && !state.is_answering {
                    state.is_answering = true;
                    self.answer_soon(&room, &state);
                }
            }
        }
    }

    /// Nodes that are not there any more have nobody in any room.
    pub(crate) fn keep_nodes(&self, is_there: impl Fn(&str) -> bool) {
        for room in self.open() {
            let mut state = room.lock();
            let gone = state.people.elsewhere().filter(|(node, _)| !is_there(node));
            let gone: Vec<_> =
                gone.map(|(node, name)| (Arc::clone(node), Arc::clone(name))).collect();
            for (node, name) in gone {
                self.miss(&room, &mut state, &node, &name);
            }
        }
    }

    /// Messages of other nodes are missing.
    pub(crate) fn lose(&self, room: &str, missed: u64) {
        let Some(room) = self.lock().get(room).cloned() else { return };
        let mut state = room.lock();
        state.history.miss(now());
        self.tell(&room, &Event::Gap { room: &room.name, missed }, None);
    }

    /// Tells the other nodes who is here, and perhaps asks for the same.
    pub(crate) fn announce(&self, room: &Room, ask: bool) {
        let Some(nodes) = &self.nodes else { return };
        let mut state = room.lock();
        state.is_answering = false;
        state.announced = Some(Instant::now());
        let names = state.people.here().cloned().collect();
        nodes.say(&Word::All { room: Arc::clone(&room.name), node: nodes.node(), names, ask });
    }

    /// Everything that the broker has kept may be news.
    pub(crate) fn doubt(&self) {
        for room in self.open() {
            room.lock().doubts += 1;
        }
    }

    /// Takes in what the broker has kept, if it answers in time; tells whether it has.
    pub(crate) async fn load(&self, room: &Room) -> bool {
        let Some(nodes) = &self.nodes else { return true };
        let doubts = room.lock().doubts;
        let ask = || self.announce(room, true);
        let Some(stored) = nodes.history(&room.name, ask, &self.limits).await else { return false };
        let mut guard = room.lock();
        let state = &mut *guard;
        let now = now();
        let stored = stored.into_iter().map(|said| Said {
            room: Arc::clone(&room.name),
            time: said.time.min(now),
            ..said
        });
        let tell = |said: &Said| self.tell(room, &Event::Message(said), None);
        state.history.merge(stored.collect(), &self.limits, tell);
        state.allayed = doubts;
        true
    }

    /// Tells of the people elsewhere what has waited for this moment.
    pub(crate) fn tell_rest(&self) {
        for room in self.open() {
            let mut state = room.lock();
            state.changes_left = CHANGES;
            for name in mem::take(&mut state.untold) {
                self.tell_if_due(&room, &mut state, &name);
            }
        }
    }

    fn meet(&self, room: &Room, state: &mut State, node: &Arc<str>, name: &Arc<str>) {
        if state.people.add(node, name, self.limits.people_elsewhere) {
            self.tell_if_due(room, state, name);
        }
    }

    fn miss(&self, room: &Room, state: &mut State, node: &str, name: &Arc<str>) {
        if state.people.remove(node, name) {
            self.tell_if_due(room, state, name);
        }
    }

    /// Tells that somebody has come or gone, now or later.
    fn tell_if_due(&self, room: &Room, state: &mut State, name: &Arc<str>) {
        if state.changes_left > 0 {
            state.changes_left -= 1;
            let is_there = state.people.has(name);
            let change = if is_there { Change::Joined } else { Change::Left };
            self.tell_change(room, state, name, change, None);
        } else if state.untold.len() < self.limits.people_elsewhere {
            state.untold.insert(Arc::clone(name));
        }
    }

    /// At another moment than the other nodes, and not all the time.
    fn answer_soon(self: &Arc<Self>, room: &Arc<Room>, state: &State) {
        let since = state.announced.map_or(ANSWER_EVERY, |announced| announced.elapsed());
        let jitter = Duration::from_millis(rand::random_range(0..=200));
        let wait = jitter.max(ANSWER_EVERY.saturating_sub(since));
        let (rooms, room) = (Arc::clone(self), Arc::clone(room));
        tokio::spawn(async move {
            sleep(wait).await;
            rooms.announce(&room, false);
        });
    }
}

const ANSWER_EVERY: Duration = Duration::from_secs(1);
