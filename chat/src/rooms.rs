//! [`Rooms`]: who is where, and what was said there.
//!
//! Everything that the members of a room hear goes through [`Rooms::tell`]. What this node's people do goes
//! to the other nodes from here, and what comes from there comes to [`Rooms::hear`] (`elsewhere`).

mod elsewhere;

use std::{
    collections::{BTreeSet, HashMap},
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{sync::OnceCell, time::Instant};
use wsweave::{
    CloseCode, ErrorKind, Group, GroupConfig, Handle, LagPolicy, Membership, Message, TrySendError,
};

use crate::{
    history::History,
    limits::Limits,
    nodes::Nodes,
    people::{Effect, People},
    protocol::{Change, Code, Event, Fault, Said},
    word::Word,
};

#[derive(Debug)]
pub(crate) struct Rooms {
    group: Group,
    pub(crate) limits: Limits,
    /// If there can be others.
    pub(crate) nodes: Option<Nodes>,
    ids: Ids,
    /// Locked before any of the rooms, where both are.
    open: Mutex<HashMap<Arc<str>, Arc<Room>>>,
}

#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: Arc<str>,
    opened: Instant,
    /// The number of the first message that can be from here: what was said before that is forgotten.
    first: u64,
    state: Mutex<State>,
    /// Locked last, and not for long: whoever looks for an empty room waits for no room's talk.
    seats: Mutex<Seats>,
    /// Whether it was asked what other nodes know of it.
    loaded: OnceCell<bool>,
    /// As long as this is there, it counts for who has made it.
    _made: Arc<()>,
}

#[derive(Debug, Default)]
struct State {
    history: History,
    people: People,
    /// Where other nodes are heard.
    wire: Vec<Membership>,
    /// How often there was reason to ask what the broker has kept, and for how many of these it was.
    doubts: u64,
    allayed: u64,
    /// Of how many people elsewhere members may be told yet in this moment, and whose coming or going waits
    /// for the next: all that comes with a node, or goes with it, at once would be too much for them.
    changes_left: usize,
    untold: BTreeSet<Arc<str>>,
    /// When the other nodes were told last who is here, and whether they wait for it.
    announced: Option<Instant>,
    is_answering: bool,
}

#[derive(Debug)]
struct Seats {
    taken: usize,
    /// Of use while none is taken.
    empty_since: Instant,
}

/// A connection, as it is known to the rooms.
#[derive(Debug)]
pub(crate) struct Guest {
    handle: Handle,
    /// Each of the rooms that it has made has this, too.
    made: Arc<()>,
    /// Once it is in a room, it is told what concerns all rooms.
    attendance: Option<Membership>,
}

/// That a connection is in a room, or about to be, until this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    rooms: Arc<Rooms>,
    room: Arc<Room>,
    name: Arc<str>,
    /// Once it is there.
    membership: Option<Membership>,
}

/// What gives messages their ids. Each run of a server is another epoch.
#[derive(Debug)]
struct Ids {
    epoch: String,
    next: AtomicU64,
}

impl Rooms {
    pub(crate) fn new(limits: Limits, nodes: Option<Nodes>) -> Self {
        // What was left counts until what waits for it is written.
        let config = GroupConfig::default().max_memberships(4 * limits.rooms_each + 1);
        Self {
            group: Group::with_config(config),
            limits,
            nodes,
            ids: Ids { epoch: format!("{:016x}-", rand::random::<u64>()), next: AtomicU64::new(0) },
            open: Mutex::default(),
        }
    }

    /// Lets a connection into a room. It is told who is there, and what was said after the message
    /// `after`, before anything else that happens in the room.
    pub(crate) async fn join(
        self: &Arc<Self>,
        room: &str,
        name: &Arc<str>,
        after: Option<&str>,
        guest: &mut Guest,
    ) -> Result<Seat, Fault> {
        let room = self.enter(room, &guest.made)?;
        let (rooms, name) = (Arc::clone(self), Arc::clone(name));
        let mut seat = Seat { rooms, room, name, membership: None };
        if self.nodes.is_some() {
            seat.room.loaded.get_or_init(|| self.load(&seat.room)).await;
        }
        seat.sit(after, guest)?;
        Ok(seat)
    }

    /// Tells all who are in rooms.
    pub(crate) fn tell_everywhere(&self, event: &Event<'_>) {
        self.group.publish(EVERYWHERE, event.encode());
    }

    /// Forgets the rooms that were empty for long.
    pub(crate) fn forget(&self) {
        let now = Instant::now();
        self.lock().retain(|_, room| !room.is_over(now, self.limits.forget));
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Closes the connections of all people, spread over a time; nobody joins any more.
    pub(crate) async fn drain(&self, window: Duration) -> usize {
        self.group.drain(window).await
    }

    /// The room of a name, as it is or as a new one, with a seat taken in it, so that nobody forgets it.
    fn enter(&self, name: &str, made: &Arc<()>) -> Result<Arc<Room>, Fault> {
        let (limits, now) = (&self.limits, Instant::now());
        let mut open = self.lock();
        if let Some(room) = open.get(name).filter(|room| !room.is_over(now, limits.forget)) {
            let mut seats = room.seats();
            if seats.taken >= limits.people {
                let what = format!("at most {} people are in a room", limits.people);
                return Err(Fault::new(Code::RoomFull, what));
            }
            seats.taken += 1;
            drop(seats);
            return Ok(Arc::clone(room));
        }
        open.remove(name);
        // The connection has one itself.
        if Arc::strong_count(made) > limits.rooms_made {
            let what = format!("you have made {} rooms already", limits.rooms_made);
            return Err(Fault::new(Code::TooManyRooms, what));
        }
        if open.len() >= limits.rooms {
            let empty = open.iter().filter_map(|(name, room)| {
                let seats = room.seats();
                (seats.taken == 0).then(|| (seats.empty_since, Arc::clone(name)))
            });
            let Some((_, oldest)) = empty.min() else {
                let what = format!("there are {} rooms already", limits.rooms);
                return Err(Fault::new(Code::NoMoreRooms, what));
            };
            open.remove(&oldest);
        }
        let name: Arc<str> = name.into();
        let wire = self.nodes.as_ref().map_or_else(Vec::new, |nodes| nodes.join(&name));
        let doubts = u64::from(self.nodes.is_some());
        let state = State { wire, doubts, changes_left: CHANGES, ..State::default() };
        let room = Arc::new(Room {
            name: Arc::clone(&name),
            opened: now,
            first: self.ids.next.load(Ordering::Relaxed),
            state: Mutex::new(state),
            seats: Mutex::new(Seats { taken: 1, empty_since: now }),
            loaded: OnceCell::new(),
            _made: Arc::clone(made),
        });
        open.insert(name, Arc::clone(&room));
        Ok(room)
    }

    fn policy(&self) -> LagPolicy {
        LagPolicy::disconnect().max_bytes(self.limits.lag)
    }

    /// Tells all members, but perhaps one. The room is locked, so that all hear all in one order.
    fn tell(&self, room: &Room, event: &Event<'_>, except: Option<&Handle>) {
        let message = event.encode();
        match except {
            Some(except) => self.group.publish_except(&room.name, message, except),
            None => self.group.publish(&room.name, message),
        };
    }

    fn tell_change(
        &self,
        room: &Room,
        state: &State,
        name: &str,
        change: Change,
        except: Option<&Handle>,
    ) {
        let (room_name, people) = (&room.name, state.people.len());
        self.tell(room, &Event::Presence { room: room_name, name, change, people }, except);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Room>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Whether the broker is to be asked again what it has kept.
    pub(crate) fn is_behind(&self) -> bool {
        self.loaded.initialized() && self.lock().is_stale()
    }

    fn is_over(&self, now: Instant, patience: Duration) -> bool {
        let seats = self.seats();
        seats.taken == 0 && now.saturating_duration_since(seats.empty_since) >= patience
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the history may be without something that the broker has kept.
    fn is_stale(&self) -> bool {
        self.allayed < self.doubts
    }

    /// Whether members can be told of another change, be it later. What they cannot be told of does not count
    /// either: who is at other nodes is told again.
    fn can_tell(&self, most: usize) -> bool {
        self.changes_left > 0 || self.untold.len() < most
    }
}

impl Seat {
    fn sit(&mut self, after: Option<&str>, guest: &mut Guest) -> Result<(), Fault> {
        let Self { rooms, room, name, .. } = &*self;
        let Guest { handle, attendance, .. } = guest;
        let mut state = room.lock();
        let joined = rooms.group.join_with(&room.name, handle, rooms.policy());
        let membership = joined.map_err(|error| {
            let code = match error.kind() {
                ErrorKind::LimitExceeded => Code::TooManyRooms,
                _ => Code::GoingAway,
            };
            Fault::new(code, error.to_string())
        })?;
        let effect = state.people.come(name);
        if effect == Effect::Everywhere {
            rooms.tell_change(room, &state, name, Change::Joined, Some(handle));
        }
        if let (Some(nodes), true) = (&rooms.nodes, effect != Effect::Nothing) {
            let (room, name) = (Arc::clone(&room.name), Arc::clone(name));
            nodes.say(&Word::Here { room, node: nodes.node(), name });
        }
        let (messages, resumed) = match &rooms.nodes {
            Some(nodes) => state.history.all(after, nodes.unsure_until()),
            None => state.history.after(after),
        };
        let resumed = resumed && !state.is_stale();
        let people = state.people.names().map(|name| &**name).collect();
        let joined = Event::Joined { room: &room.name, people, messages, resumed };
        give(handle, joined.encode());
        if let Some(nodes) = &rooms.nodes {
            nodes.with_network(|network| {
                give(handle, network.encode());
                if attendance.is_none() {
                    *attendance = rooms.group.join_with(EVERYWHERE, handle, rooms.policy()).ok();
                }
            });
        }
        drop(state);
        self.membership = Some(membership);
        Ok(())
    }

    /// Says a text in the room. What was said before with the same key is only told to whoever asks.
    pub(crate) fn say(&self, text: String, key: Option<String>) -> Result<Option<Message>, Fault> {
        let Rooms { group, limits, nodes, ids, .. } = &*self.rooms;
        let mut state = self.room.lock();
        let before = key.as_deref().and_then(|key| state.history.find(&self.name, key));
        if let Some(before) = before {
            return Ok(Some(Event::Message(before).encode()));
        }
        let (room, name) = (Arc::clone(&self.room.name), Arc::clone(&self.name));
        let said = Said { id: ids.next(), room, name, text, time: now(), key };
        let message = Event::Message(&said).encode();
        group.publish(&self.room.name, message.clone());
        state.history.push(said, limits);
        // Still locked: other nodes hear what was said here in the order in which it was.
        let sent = nodes.as_ref().map_or(Ok(()), |nodes| nodes.publish(&self.room.name, message));
        let unsent = |unsent: String| {
            Fault::new(Code::NotEverywhere, format!("only people at this node have it: {unsent}"))
        };
        sent.map_err(unsent).map(|()| None)
    }
}

impl Guest {
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle, made: Arc::default(), attendance: None }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Self { rooms, room, name, membership } = self;
        let mut state = room.lock();
        if membership.take().is_some() {
            let effect = state.people.go(name);
            if effect == Effect::Everywhere {
                rooms.tell_change(room, &state, name, Change::Left, None);
            }
            if let (Some(nodes), true) = (&rooms.nodes, effect != Effect::Nothing) {
                let (room, name) = (Arc::clone(&room.name), Arc::clone(name));
                nodes.say(&Word::Gone { room, node: nodes.node(), name });
            }
        }
        let mut seats = room.seats();
        seats.taken -= 1;
        seats.empty_since = Instant::now();
    }
}

impl Ids {
    fn next(&self) -> String {
        format!("{}{}", self.epoch, self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn is_own(&self, id: &str) -> bool {
        id.starts_with(&self.epoch)
    }

    /// Whether it was given here, and not before the `first`th one.
    fn is_own_since(&self, first: u64, id: &str) -> bool {
        let number = id.strip_prefix(&self.epoch).and_then(|number| number.parse().ok());
        number.is_some_and(|number: u64| number >= first)
    }
}

/// Whether it is what is known by its name.
fn is_among(open: &HashMap<Arc<str>, Arc<Room>>, room: &Room) -> bool {
    open.get(&room.name).is_some_and(|open| ptr::eq(Arc::as_ptr(open), room))
}

/// Nobody waits here: whoever has not read what was said before has to come again.
fn give(handle: &Handle, message: Message) {
    if let Err(TrySendError::Full(_)) = handle.try_send(message) {
        let _ = handle.close_with(CloseCode::TRY_AGAIN_LATER, "you read too slowly");
    }
}

/// In milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What all who are in rooms belong to: no room can be called that.
const EVERYWHERE: &str = "*";
/// In each moment, which is a second.
const CHANGES: usize = 200;
