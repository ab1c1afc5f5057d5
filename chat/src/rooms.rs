//! [`Rooms`]: who is where, and what was said there.
//!
//! Everything that the members of a room hear goes through [`Room::tell`], and everything said through
//! [`Room::post`]: that is where other nodes come in.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use wsweave::{ErrorKind, Group, GroupConfig, Handle, LagPolicy, Membership, Peer};

use crate::{
    history::History,
    limits::Limits,
    protocol::{Change, Code, Event, Fault, Said},
};

#[derive(Debug)]
pub(crate) struct Rooms {
    group: Group,
    pub(crate) limits: Limits,
    ids: Ids,
    /// Locked before any of the rooms, where both are.
    open: Mutex<HashMap<Arc<str>, Arc<Room>>>,
}

#[derive(Debug)]
struct Room {
    name: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    history: History,
    /// How many connections each name has here: two pages of one person are one person.
    people: BTreeMap<Arc<str>, usize>,
    seats: usize,
    /// Of use while there are no seats.
    empty_since: Instant,
}

/// That a connection is in a room, until this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    rooms: Arc<Rooms>,
    room: Arc<Room>,
    name: Arc<str>,
    membership: Option<Membership>,
}

/// What gives messages their ids. Each run of a server is another epoch.
#[derive(Debug)]
struct Ids {
    epoch: u64,
    next: AtomicU64,
}

impl Rooms {
    pub(crate) fn new(limits: Limits) -> Self {
        // What was left counts until what waits for it is written.
        let config = GroupConfig::default().max_memberships(4 * limits.rooms_each);
        Self {
            group: Group::with_config(config),
            limits,
            ids: Ids { epoch: rand::random(), next: AtomicU64::new(0) },
            open: Mutex::default(),
        }
    }

    /// Lets a connection into a room. It is told who is there, and what was said after the message
    /// `after`, before anything else that happens in the room.
    pub(crate) fn join(
        self: &Arc<Self>,
        room: &str,
        name: &Arc<str>,
        after: Option<&str>,
        peer: &mut Peer<'_>,
    ) -> Result<Seat, Fault> {
        let room = self.enter(room)?;
        let mut state = room.lock();
        let handle = peer.handle();
        let policy = LagPolicy::disconnect().max_bytes(self.limits.lag);
        let joined = self.group.join_with(&room.name, &handle, policy).map_err(|error| {
            let code = match error.kind() {
                ErrorKind::LimitExceeded => Code::TooManyRooms,
                _ => Code::GoingAway,
            };
            Fault::new(code, error.to_string())
        });
        let membership = joined.inspect_err(|_| state.seats -= 1)?;
        let here = state.people.entry(Arc::clone(name)).or_default();
        *here += 1;
        if *here == 1 {
            room.tell_change(&self.group, &state, name, Change::Joined, Some(&handle));
        }
        let (messages, resumed) = state.history.after(after);
        let people = state.people.keys().map(|name| &**name).collect();
        peer.send(Event::Joined { room: &room.name, people, messages, resumed }.encode());
        drop(state);
        Ok(Seat {
            rooms: Arc::clone(self),
            room,
            name: Arc::clone(name),
            membership: Some(membership),
        })
    }

    /// Forgets the rooms that were empty for long.
    pub(crate) fn forget(&self) {
        let now = Instant::now();
        self.lock().retain(|_, room| !room.lock().is_over(now, self.limits.forget));
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Closes the connections of all who are in rooms, spread over a time; nobody joins any more.
    pub(crate) async fn drain(&self, window: Duration) -> usize {
        self.group.drain(window).await
    }

    /// The room of a name, as it is or as a new one, with a seat taken in it, so that nobody forgets it.
    fn enter(&self, name: &str) -> Result<Arc<Room>, Fault> {
        let mut open = self.lock();
        if let Some(room) = open.get(name) {
            let mut state = room.lock();
            if state.seats >= self.limits.people {
                let what = format!("at most {} people are in a room", self.limits.people);
                return Err(Fault::new(Code::RoomFull, what));
            }
            if state.is_over(Instant::now(), self.limits.forget) {
                state.history = History::default();
            }
            state.seats += 1;
            drop(state);
            return Ok(Arc::clone(room));
        }
        if open.len() >= self.limits.rooms {
            let empty = open.iter().filter_map(|(name, room)| {
                let state = room.lock();
                (state.seats == 0).then(|| (state.empty_since, Arc::clone(name)))
            });
            let Some((_, oldest)) = empty.min() else {
                let what = format!("there are {} rooms already", self.limits.rooms);
                return Err(Fault::new(Code::NoMoreRooms, what));
            };
            open.remove(&oldest);
        }
        let name: Arc<str> = name.into();
        let state = Mutex::new(State { seats: 1, ..State::default() });
        let room = Arc::new(Room { name: Arc::clone(&name), state });
        open.insert(name, Arc::clone(&room));
        Ok(room)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Room>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Makes something part of the room, and tells all.
    fn post(&self, group: &Group, state: &mut State, said: Said, limits: &Limits) {
        self.tell(group, &Event::Message(&said), None);
        state.history.push(said, limits);
    }

    /// Tells all members, but perhaps one. The room is locked, so that all hear all in one order.
    fn tell(&self, group: &Group, event: &Event<'_>, except: Option<&Handle>) {
        let message = event.encode();
        match except {
            Some(except) => group.publish_except(&self.name, message, except),
            None => group.publish(&self.name, message),
        };
    }

    fn tell_change(
        &self,
        group: &Group,
        state: &State,
        name: &str,
        change: Change,
        except: Option<&Handle>,
    ) {
        let people = state.people.len();
        self.tell(group, &Event::Presence { room: &self.name, name, change, people }, except);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_over(&self, now: Instant, patience: Duration) -> bool {
        self.seats == 0 && now.saturating_duration_since(self.empty_since) >= patience
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            history: History::default(),
            people: BTreeMap::new(),
            seats: 0,
            empty_since: Instant::now(),
        }
    }
}

impl Seat {
    /// Says a text in the room. What was said before with the same key is only told to whoever asks.
    pub(crate) fn say(&self, text: String, key: Option<String>, peer: &mut Peer<'_>) {
        let Rooms { group, limits, ids, .. } = &*self.rooms;
        let mut state = self.room.lock();
        let before = key.as_deref().and_then(|key| state.history.find(&self.name, key));
        if let Some(before) = before {
            peer.send(Event::Message(before).encode());
            return;
        }
        let (room, name) = (Arc::clone(&self.room.name), Arc::clone(&self.name));
        let said = Said { id: ids.next(), room, name, text, time: now(), key };
        self.room.post(group, &mut state, said, limits);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Self { rooms, room, name, membership } = self;
        let mut state = room.lock();
        drop(membership.take());
        state.seats -= 1;
        state.empty_since = Instant::now();
        let left = state.people.get_mut(name).map_or(0, |here| {
            *here -= 1;
            *here
        });
        if left == 0 {
            state.people.remove(name);
            room.tell_change(&rooms.group, &state, name, Change::Left, None);
        }
    }
}

impl Ids {
    fn next(&self) -> String {
        format!("{:016x}-{}", self.epoch, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// In milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
