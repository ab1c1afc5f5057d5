//! [`Session`]: one connection, from its hello to its end.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, OnceLock},
};

use futures::future::{Either, select};
use tokio::{sync::Mutex, time::sleep};
use wsweave::{CloseCode, Connection, ConnectionExt, Handle, Message, RateLimit};

use crate::{
    check,
    limits::Limits,
    protocol::{Code, Event, Fault, Request, VERSION},
    rooms::{Guest, Rooms, Seat},
};

/// Serves a connection to its end.
pub(crate) async fn serve(mut conn: Connection, rooms: Arc<Rooms>) -> Result<(), wsweave::Error> {
    let Limits { rate, burst, hello, .. } = rooms.limits;
    let (handle, name) = (conn.handle(), Arc::new(OnceLock::new()));
    let limit = RateLimit::new().messages(rate)?.burst(burst);
    let session = Arc::new(Mutex::new(Session {
        rooms,
        handle: handle.clone(),
        name: Arc::clone(&name),
        guest: Guest::new(handle.clone()),
        seats: BTreeMap::new(),
    }));
    let conn = conn.limit_rate(limit).on_each_async(move |_, message| {
        let session = Arc::clone(&session);
        // One message at a time: nobody else has it locked.
        async move { session.lock().await.receive(&message).await }
    });
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
    handle: Handle,
    /// From the hello on.
    name: Arc<OnceLock<Arc<str>>>,
    guest: Guest,
    seats: BTreeMap<String, Seat>,
}

impl Session {
    /// Does what a message asks for, or says why not.
    async fn receive(&mut self, message: &Message) {
        let request = match Request::decode(message) {
            Ok(request) => request,
            Err(fault) => return self.refuse(&fault, None, None).await,
        };
        match request {
            Request::Hello { version, name } => {
                if let Err(fault) = self.hello(version, &name).await {
                    self.refuse(&fault, None, None).await;
                }
            }
            Request::Join { room, after } => {
                if let Err(fault) = self.join(&room, after.as_deref()).await {
                    self.refuse(&fault, Some(&room), None).await;
                }
            }
            Request::Say { room, text, key } => {
                if let Err(fault) = self.say(&room, &text, key.as_deref()).await {
                    self.refuse(&fault, Some(&room), key.as_deref()).await;
                }
            }
            Request::Leave { room } => {
                if let Err(fault) = self.leave(&room).await {
                    self.refuse(&fault, Some(&room), None).await;
                }
            }
            Request::Ping {} => self.send(&Event::Pong).await,
        }
    }

    async fn hello(&mut self, version: u32, name: &str) -> Result<(), Fault> {
        if version != VERSION {
            let what = format!("this server speaks version {VERSION}");
            return Err(Fault::new(Code::BadVersion, what));
        }
        let limits = &self.rooms.limits;
        let name: Arc<str> = check::name(name, limits)?.into();
        if self.name.set(Arc::clone(&name)).is_err() {
            return Err(Fault::new(Code::HelloAgain, "hello was said before"));
        }
        self.send(&Event::Welcome { version, name: &name, limits }).await;
        Ok(())
    }

    async fn join(&mut self, room: &str, after: Option<&str>) -> Result<(), Fault> {
        let name = Arc::clone(self.name()?);
        let room = check::room(room, &self.rooms.limits)?;
        if self.seats.contains_key(&room) {
            return Err(Fault::new(Code::InRoom, "you are in this room already"));
        }
        let most = self.rooms.limits.rooms_each;
        if self.seats.len() >= most {
            return Err(Fault::new(Code::TooManyRooms, format!("you can be in {most} rooms")));
        }
        let seat = self.rooms.join(&room, &name, after, &mut self.guest).await?;
        self.seats.insert(room, seat);
        Ok(())
    }

    async fn say(&self, room: &str, text: &str, key: Option<&str>) -> Result<(), Fault> {
        self.name()?;
        key.map_or(Ok(()), check::key)?;
        let room = check::room(room, &self.rooms.limits)?;
        let seat = self.seats.get(&room).ok_or_else(not_in_room)?;
        let text = check::text(text, &self.rooms.limits)?;
        if let Some(before) = seat.say(text, key.map(str::to_owned))? {
            let _ = self.handle.send(before).await;
        }
        Ok(())
    }

    async fn leave(&mut self, room: &str) -> Result<(), Fault> {
        self.name()?;
        let room = check::room(room, &self.rooms.limits)?;
        self.seats.remove(&room).ok_or_else(not_in_room)?;
        self.send(&Event::Left { room: &room }).await;
        Ok(())
    }

    fn name(&self) -> Result<&Arc<str>, Fault> {
        self.name.get().ok_or_else(|| Fault::new(Code::NoHello, "say hello first"))
    }

    /// A room or a key that is what was asked about goes back, unless it is nothing that a room or a key can
    /// be.
    async fn refuse(&self, fault: &Fault, room: Option<&str>, key: Option<&str>) {
        let Fault { code, message } = fault;
        let room = room.filter(|_| *code != Code::BadRoom);
        let key = key.filter(|_| *code != Code::BadKey);
        let retry = code.retry();
        self.send(&Event::Error { code: *code, message, retry, room, key }).await;
    }

    /// Waits for one who does not read.
    async fn send(&self, event: &Event<'_>) {
        // It fails when the connection is closing.
        let _ = self.handle.send(event.encode()).await;
    }
}

fn not_in_room() -> Fault {
    Fault::new(Code::NotInRoom, "you are not in this room")
}
