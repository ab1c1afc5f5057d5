//! The groups of [wsweave](wsweave::Group) over many processes: what is published on one node reaches the
//! members on all of them, by NATS or Redis.
//!
//! ```no_run
//! use wsweave::{Connection, ConnectionExt, Group};
//! use wsweave_backplane::{Backplane, Broker};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let group = Group::new();
//! let backplane = Backplane::attach(&group, Broker::redis("redis://127.0.0.1/")).await?;
//! # let (mut conn, _peer) = Connection::pair();
//! let member = group.join("news", &conn.handle())?;
//! backplane.publish("news", "to all nodes")?;
//! println!("{} have joined", backplane.presence("news").total);
//! # Ok(()) }
//! ```
//!
//! What each engine promises, and how far it goes, is written in the
//! [README](https://docs.rs/crate/wsweave-backplane/latest/source/README.md).
//!
//! # Features
//!
//! - `nats`, on by default: [`Broker::nats`], by `async-nats`.
//! - `redis`, on by default: [`Broker::redis`], by `redis`.
//!
//! Both work on tokio alone.

#[cfg(not(any(feature = "nats", feature = "redis")))]
compile_error!("turn on the feature of an engine: `nats` or `redis`");

mod backplane;
mod broker;
mod driver;
mod engine;
mod envelope;
mod error;
mod events;
mod inbox;
mod local;
mod node_id;
mod positions;
mod presence;
mod queue;
mod receiving;
mod sending;
mod shared;
mod stats;
mod status;
mod subject;

pub use crate::{
    backplane::Backplane,
    broker::Broker,
    envelope::Invalid,
    error::{Error, ErrorKind, Unsent, UnsentReason},
    events::{Event, Events},
    node_id::NodeId,
    presence::Presence,
    stats::Stats,
    status::Status,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
