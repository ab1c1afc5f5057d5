//! Echo over TCP on the loopback interface: servers on one thread, and a load generator on another that
//! is the same for all and no WebSocket library.

mod backend;
mod corked;
mod counted;
pub(crate) mod echoes;
mod load;
pub(crate) mod relays;
pub(crate) mod rooms;
mod server;
mod traffic;

pub(crate) use self::{
    load::{Cost, Load},
    server::{Echo, Server},
    traffic::Traffic,
};
