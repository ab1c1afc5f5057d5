//! The half of [`Rooms`] that hears other nodes, and answers them.

use std::{collections::HashSet, mem, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use wsweave::Handle;

use super::{CHANGES, Room, Rooms, State, is_among, now};
use crate::{
    history::may_be_more,
    nodes::KEPT,
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
            self.gap(room, &mut state, 0);
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
                if !self.ids.is_own(&said.id) {
                    let said =
                        Said { room: Arc::clone(&room.name), time: said.time.min(now()), ..said };
                    let tell = |said: &Said| self.tell(&room, &Event::Message(said), None);
                    state.history.hear(said, &self.limits, tell);
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
        self.gap(&room, &mut room.lock(), missed);
    }

    fn gap(&self, room: &Room, state: &mut State, missed: u64) {
        state.history.miss(now());
        self.tell(room, &Event::Gap { room: &room.name, missed }, None);
    }

    /// Tells the other nodes who is here, and perhaps asks for the same.
    pub(crate) fn announce(&self, room: &Room, ask: bool) {
        let Some(nodes) = &self.nodes else { return };
        let open = self.lock();
        if !is_among(&open, room) {
            // Another one may be called that by now, and nobody speaks for that but itself.
            return;
        }
        let mut state = room.lock();
        state.is_answering = false;
        state.announced = Some(Instant::now());
        let names = state.people.here().cloned().collect();
        nodes.say(&Word::All { room: Arc::clone(&room.name), node: nodes.node(), names, ask });
    }

    /// Everything that the broker has kept may be news, and something be missing.
    pub(crate) fn doubt(&self) {
        for room in self.open() {
            let mut state = room.lock();
            state.doubts += 1;
            self.gap(&room, &mut state, 0);
        }
    }

    /// Takes in what the broker has kept, if it answers in time; tells whether it has.
    pub(crate) async fn load(&self, room: &Room) -> bool {
        let Some(nodes) = &self.nodes else { return true };
        let doubts = room.lock().doubts;
        let ask = || self.announce(room, true);
        let Some(stored) = nodes.history(&room.name, ask, &self.limits).await else { return false };
        // Another one may be called that by now, and have read for itself.
        let open = self.lock();
        if !is_among(&open, room) {
            return true;
        }
        let mut state = room.lock();
        let is_first = mem::replace(&mut state.allayed, doubts) == 0;
        let may_be_more = may_be_more(&stored, &self.limits) || room.opened.elapsed() >= KEPT;
        if is_first && room.loaded.initialized() && may_be_more {
            // It was opened without the others, and they may have said more than is kept meanwhile.
            self.gap(room, &mut state, 0);
        }
        let now = now();
        let stored = stored.into_iter().map(|said| Said {
            room: Arc::clone(&room.name),
            time: said.time.min(now),
            ..said
        });
        let is_own = |id: &str| self.ids.is_own_since(room.first, id);
        let tell = |said: &Said| self.tell(room, &Event::Message(said), None);
        state.history.merge(stored.collect(), is_own, &self.limits, tell);
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
        let most = self.limits.people_elsewhere;
        if state.can_tell(most) && state.people.add(node, name, most) {
            self.tell_if_due(room, state, name);
        }
    }

    fn miss(&self, room: &Room, state: &mut State, node: &str, name: &Arc<str>) {
        if state.can_tell(self.limits.people_elsewhere) && state.people.remove(node, name) {
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
        } else {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::StreamExt;
    use serde_json::{Value, json};
    use wsweave::{Connection, ConnectionExt, Pipe};

    use super::{
        super::{Guest, Seat},
        *,
    };
    use crate::limits::Limits;

    /// Everything up to a pong.
    async fn told(rooms: &Rooms, peer: &mut Connection<Pipe>) -> Vec<Value> {
        let room = rooms.lock().get("lobby").cloned().unwrap();
        rooms.tell(&room, &Event::Pong, None);
        let mut told = Vec::new();
        loop {
            let message = peer.next().await.unwrap();
            let event: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
            if event["type"] == "pong" {
                return told;
            }
            told.push(event);
        }
    }

    /// Rooms, and somebody who is in one of them.
    async fn lobby(limits: Limits) -> (Arc<Rooms>, Seat, Connection<Pipe>) {
        let rooms = Arc::new(Rooms::new(limits, None));
        let (mut conn, mut peer) = Connection::pair();
        let mut guest = Guest::new(conn.handle());
        tokio::spawn(conn.run());
        let seat = rooms.join("lobby", &"Me".into(), None, &mut guest).await.unwrap();
        assert_eq!(told(&rooms, &mut peer).await[0]["type"], "joined");
        (rooms, seat, peer)
    }

    #[tokio::test]
    async fn what_members_are_told_of_people_elsewhere_is_what_is_known() {
        let (most, node) = (300, Arc::from("node"));
        let limits = Limits { people_elsewhere: most, ..Limits::default() };
        let (rooms, seat, mut peer) = lobby(limits).await;
        let all = |names: Vec<String>| {
            let (room, node) = ("lobby".into(), Arc::clone(&node));
            let names = names.into_iter().map(Arc::from).collect();
            rooms.hear(Word::All { room, node, names, ask: false });
        };
        let names =
            |prefix: &str| -> Vec<_> { (0..most).map(|n| format!("{prefix}{n}")).collect() };
        // More comes and goes in a moment than can wait to be told.
        all(names("a"));
        all(Vec::new());
        all(names("b"));
        assert_eq!(seat.room.lock().untold.len(), most);
        let mut view = BTreeMap::new();
        let mut look = async || {
            for _ in 0..3 {
                rooms.tell_rest();
            }
            for event in told(&rooms, &mut peer).await {
                view.insert(event["name"].to_string(), event["change"] == "joined");
            }
            let there = view.iter().filter(|(_, is_there)| **is_there).map(|(name, _)| name);
            let there: Vec<_> = there.cloned().collect();
            let known = seat.room.lock();
            let known = known.people.names().filter(|name| &***name != "Me");
            let known: Vec<_> = known.map(|name| json!(name).to_string()).collect();
            assert_eq!(there, known);
            there.len()
        };
        look().await;
        // With what is told again everybody is there.
        all(names("b"));
        assert_eq!(look().await, most);
    }

    #[tokio::test]
    async fn doubts_are_told_and_remembered() {
        let (rooms, seat, mut peer) = lobby(Limits::default()).await;
        seat.say("one".to_owned(), None).unwrap();
        let id = told(&rooms, &mut peer).await[0]["id"].as_str().unwrap().to_owned();
        assert!(seat.room.lock().history.all(Some(&id), 0).1);
        rooms.doubt();
        assert_eq!(
            told(&rooms, &mut peer).await,
            [json!({"type": "gap", "room": "lobby", "missed": 0})]
        );
        let state = seat.room.lock();
        assert!(state.is_stale() && !state.history.all(Some(&id), 0).1);
    }
}
