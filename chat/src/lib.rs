//! A chat in rooms on wsweave: [`Chat`] serves a page and the WebSocket that it talks to.
//!
//! From the outside in: `server` takes connections, and answers with the page (`site`) what is none;
//! `session` is one connection, whose messages `protocol` describes and `check` looks at; `rooms` has who
//! is where (`people`), and each room's `history`; `nodes` are the other servers, and `word` what they say.

mod check;
mod descriptors;
mod history;
mod limits;
mod nodes;
mod people;
mod protocol;
mod rooms;
mod server;
mod session;
mod site;
mod word;

pub use self::{
    descriptors::raise_descriptors,
    limits::Limits,
    nodes::Network,
    protocol::VERSION,
    server::{Chat, DRAIN},
};
