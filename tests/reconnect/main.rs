//! A connection that is made anew when it is lost: against a real server on loopback that misbehaves, by
//! a clock that the test moves.

#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod closing;
mod groups;
mod halves;
mod hooks;
mod limits;
mod lost;
mod restarts;
mod site;
