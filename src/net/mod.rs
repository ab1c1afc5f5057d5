//! The edge: who connects, and who accepts.

mod acceptor;
mod client;
mod connect;
mod listener;
mod url;

pub use self::{
    acceptor::Acceptor,
    client::Client,
    connect::connect,
    listener::{Listener, listen},
};
