//! Groups: who gets what is published, in which order, and what becomes of it for those who are slow.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

#[path = "../support/allocator.rs"]
mod allocator;
#[path = "../support/mod.rs"]
mod support;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

mod changes;
mod draining;
mod encoding;
mod lagging;
mod members;
mod threads;

use wsweave::{Config, ConnectionExt, Group, LagPolicy, Membership, Message, Role};

use crate::support::{Frame, Rig};

/// A server's connection that has waited for its peer once, and is a member of the topic "t".
fn member(group: &Group) -> (Rig, Membership) {
    member_with(group, LagPolicy::default())
}

fn member_with(group: &Group, policy: LagPolicy) -> (Rig, Membership) {
    let mut rig = Rig::with(Role::Server, Config::default());
    let membership = group.join_with("t", &rig.conn.handle(), policy).unwrap();
    assert!(rig.next().is_pending());
    (rig, membership)
}

/// The payloads of the messages that were written since the last call, each in one plain frame.
fn texts(rig: &Rig) -> Vec<String> {
    texts_of(&rig.sent())
}

fn texts_of(frames: &[Frame]) -> Vec<String> {
    let text = |frame: &Frame| {
        assert_eq!((frame.opcode, frame.rsv), (1, 0));
        String::from_utf8(frame.payload.clone()).unwrap()
    };
    frames.iter().map(text).collect()
}

/// What gets through when the peer takes everything again.
fn drained(rig: &mut Rig) -> Vec<String> {
    rig.wire.unblock_writes();
    assert!(rig.next().is_pending());
    texts(rig)
}

/// A text of this many bytes, with a number to know it by.
fn numbered(number: usize, len: usize) -> Message {
    let digits = number.to_string();
    ("0".repeat(len - digits.len()) + &digits).into()
}
