//! [`Session`]: one connection, from its hello to its end.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, OnceLock},
};

use futures::future::{Either, select};
use tokio::time::sleep;
use wsweave::{CloseCode, Connection, ConnectionExt, Message, Peer, RateLimit};

use crate::{
    check,
    limits::Limits,
    protocol::{Code, Event, Fault, Request, VERSION},
    rooms::{Rooms, Seat},
};

/// Serves a connection to its end.
pub(crate) async fn serve(mut conn: Connection, rooms: Arc<Rooms>) -> Result<(), wsweave::Error> {
    let Limits { rate, burst, hello, .. } = rooms.limits;
    let (handle, name) = (conn.handle(), Arc::new(OnceLock::new()));
    let mut session = Session { rooms, name: Arc::clone(&name), seats: BTreeMap::new() };
    let limit = RateLimit::new().messages(rate)?.burst(burst);
    let conn = conn.limit_rate(limit).on_each(move |peer, message| session.receive(peer, message));
    let running = pin!(conn.run());
    if let Either::Right(((), running)) = select(running, pin!(sleep(hello))).await {
        if name.get().is_none() {
            let _ = handle.close_with(CloseCode::POLICY_VIOLATION, "nobody said hello");
        }
        running.await;
    }
    Ok(())
}

struct Session {
    rooms: Arc<Rooms>,
    /// From the hello on.
    name: Arc<OnceLock<Arc<str>>>,
    seats: BTreeMap<String, Seat>,
}

impl Session {
    /// Does what a message asks for, or says why not.
    fn receive(&mut self, peer: &mut Peer<'_>, message: &Message) {
        let request = match Request::decode(message) {
            Ok(request) => request,
            Err(fault) => return refuse(peer, &fault, None, None),
        };
        match request {
            Request::Hello { version, name } => {
                if let Err(fault) = self.hello(peer, version, &name) {
                    refuse(peer, &fault, None, None);
                }
            }
            Request::Join { room, after } => {
                if let Err(fault) = self.join(peer, &room, after.as_deref()) {
                    refuse(peer, &fault, Some(&room), None);
                }
            }
            Request::Say { room, text, key } => {
                if let Err(fault) = self.say(peer, &room, &text, key.as_deref()) {
                    refuse(peer, &fault, Some(&room), key.as_deref());
                }
            }
            Request::Leave { room } => {
                if let Err(fault) = self.leave(peer, &room) {
                    refuse(peer, &fault, Some(&room), None);
                }
            }
            Request::Ping {} => peer.send(Event::Pong.encode()),
        }
    }

    fn hello(&mut self, peer: &mut Peer<'_>, version: u32, name: &str) -> Result<(), Fault> {
        if version != VERSION {
            let what = format!("this server speaks version {VERSION}");
            return Err(Fault::new(Code::BadVersion, what));
        }
        let limits = &self.rooms.limits;
        let name: Arc<str> = check::name(name, limits)?.into();
        if self.name.set(Arc::clone(&name)).is_err() {
            return Err(Fault::new(Code::HelloAgain, "hello was said before"));
        }
        peer.send(Event::Welcome { version, name: &name, limits }.encode());
        Ok(())
    }

    fn join(&mut self, peer: &mut Peer<'_>, room: &str, after: Option<&str>) -> Result<(), Fault> {
        let name = self.name()?;
        let room = check::room(room, &self.rooms.limits)?;
        if self.seats.contains_key(&room) {
            return Err(Fault::new(Code::InRoom, "you are in this room already"));
        }
        let most = self.rooms.limits.rooms_each;
        if self.seats.len() >= most {
            return Err(Fault::new(Code::TooManyRooms, format!("you can be in {most} rooms")));
        }
        let seat = self.rooms.join(&room, name, after, peer)?;
        self.seats.insert(room, seat);
        Ok(())
    }

    fn say(
        &self,
        peer: &mut Peer<'_>,
        room: &str,
        text: &str,
        key: Option<&str>,
    ) -> Result<(), Fault> {
        self.name()?;
        key.map_or(Ok(()), check::key)?;
        let room = check::room(room, &self.rooms.limits)?;
        let seat = self.seats.get(&room).ok_or_else(not_in_room)?;
        seat.say(check::text(text, &self.rooms.limits)?, key.map(str::to_owned), peer);
        Ok(())
    }

    fn leave(&mut self, peer: &mut Peer<'_>, room: &str) -> Result<(), Fault> {
        self.name()?;
        let room = check::room(room, &self.rooms.limits)?;
        self.seats.remove(&room).ok_or_else(not_in_room)?;
        peer.send(Event::Left { room: &room }.encode());
        Ok(())
    }

    fn name(&self) -> Result<&Arc<str>, Fault> {
        self.name.get().ok_or_else(|| Fault::new(Code::NoHello, "say hello first"))
    }
}

/// A room or a key that is what was asked about goes back, unless it is nothing that a room or a key can be.
fn refuse(peer: &mut Peer<'_>, fault: &Fault, room: Option<&str>, key: Option<&str>) {
    let room = room.filter(|_| fault.code != Code::BadRoom);
    let key = key.filter(|_| fault.code != Code::BadKey);
    peer.send(Event::Error { code: fault.code, message: &fault.message, room, key }.encode());
}

fn not_in_room() -> Fault {
    Fault::new(Code::NotInRoom, "you are not in this room")
}
