//! [`Limits`]: how much of everything there may be.

use std::time::Duration;

use serde::Serialize;

/// How much of everything there may be. What a client needs to know of it is in its `welcome`.
///
/// Lengths of names and texts are in characters (Unicode scalar values).
#[derive(Clone, Debug, Serialize)]
pub struct Limits {
    /// The longest name of a person.
    pub name: usize,
    /// The longest name of a room.
    pub room: usize,
    /// The longest text.
    pub text: usize,
    /// The most lines of a text.
    pub lines: usize,
    /// In how many rooms a connection may be.
    pub rooms_each: usize,
    /// How many messages a connection may send each second, in the long run; what is more waits.
    pub rate: u32,
    /// For how long that may be saved up.
    #[serde(skip)]
    pub burst: Duration,
    /// The largest message, in bytes: every character of the longest text may be escaped.
    #[serde(skip)]
    pub message_size: usize,
    /// How many connections there may be.
    #[serde(skip)]
    pub connections: usize,
    /// How many connections a room may have, at each node.
    #[serde(skip)]
    pub people: usize,
    /// How many names of other nodes a room may have, each once for each node.
    #[serde(skip)]
    pub people_elsewhere: usize,
    /// How many of the rooms that there are one connection may have made.
    #[serde(skip)]
    pub rooms_made: usize,
    /// How many rooms there may be, those included that are empty and not forgotten yet.
    #[serde(skip)]
    pub rooms: usize,
    /// How many messages a room's history has.
    #[serde(skip)]
    pub history: usize,
    /// How many bytes of names and texts that may be.
    #[serde(skip)]
    pub history_bytes: usize,
    /// After how long an empty room is forgotten, with its history.
    #[serde(skip)]
    pub forget: Duration,
    /// How long a connection may take to say hello.
    #[serde(skip)]
    pub hello: Duration,
    /// How many bytes may wait for a member who is slow; beyond that it has to come again.
    #[serde(skip)]
    pub lag: usize,
    /// How many bytes that other nodes have said may wait to be heard, in a room and in all of them; beyond
    /// that, what the broker has kept is read.
    #[serde(skip)]
    pub wire: usize,
    /// How long whoever opens a room waits for what the broker has kept.
    #[serde(skip)]
    pub loading: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            name: 32,
            room: 32,
            text: 2_000,
            lines: 40,
            rooms_each: 8,
            rate: 5,
            burst: Duration::from_secs(4),
            message_size: 32 << 10,
            connections: 10_000,
            people: 500,
            people_elsewhere: 2_000,
            rooms_made: 16,
            rooms: 1_000,
            history: 50,
            history_bytes: 64 << 10,
            forget: Duration::from_secs(600),
            hello: Duration::from_secs(10),
            lag: 256 << 10,
            // Another node's queue comes at once.
            wire: 16 << 20,
            loading: Duration::from_secs(2),
        }
    }
}
