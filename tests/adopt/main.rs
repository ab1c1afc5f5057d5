//! Connections over streams and sinks of tungstenite's messages.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod ends;
mod messages;
mod plain;
#[path = "../support/mod.rs"]
mod support;
mod writes;

use async_tungstenite::{
    WebSocketStream,
    tungstenite::{self, protocol::WebSocketConfig},
};
use futures::FutureExt;
use wsweave::{Config, Connection, Role, adopt::Adopted};

use crate::support::{ManualClock, Rig, Script, Task, Wire};

type Inner = WebSocketStream<Script>;
type Adoption = Rig<Connection<Adopted<Inner>>>;

fn adopted(role: Role) -> Adoption {
    adopted_with(role, Config::default(), None)
}

/// A connection over tungstenite in `role`, over a wire.
fn adopted_with(role: Role, config: Config, inner: Option<WebSocketConfig>) -> Adoption {
    let (script, wire) = Wire::new();
    let ws = WebSocketStream::from_raw_socket(script, inner_role(role), inner);
    let ws = ws.now_or_never().expect("it does not wait");
    let clock = ManualClock::new();
    let conn = wsweave::adopt(ws, config.timer(clock.clone()));
    Rig { conn, wire, clock, task: Task::new(), role }
}

fn inner_role(role: Role) -> tungstenite::protocol::Role {
    match role {
        Role::Client => tungstenite::protocol::Role::Client,
        Role::Server => tungstenite::protocol::Role::Server,
    }
}
