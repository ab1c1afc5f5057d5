//! The edge: who connects, and who accepts.

mod acceptor;
mod client;
mod listener;
mod url;

pub use self::{
    acceptor::Acceptor,
    client::{Client, connect},
    listener::{Listener, listen},
};
