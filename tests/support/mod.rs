//! What the tests share: a scripted transport, a clock that the test moves, frames, and tasks that
//! are polled by hand; and the runtime that they run on.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod clock;
mod deflate;
mod frames;
mod heads;
mod loopback;
mod pool;
mod raw;
mod rig;
pub(crate) mod rt;
pub(crate) mod session;
mod task;
mod tcp;
mod wire;

#[allow(unused_imports, reason = "as above")]
pub(crate) use self::{
    clock::ManualClock,
    frames::{Frame, parse},
    heads::{header, request, switching},
    loopback::{answering, read_head, serve, serve_one, wait_for_end},
    pool::Pool,
    raw::{ask, greet, upgraded},
    rig::{BOTH, Rig, quiet},
    rt::within,
    task::Task,
    tcp::tcp_pair,
    wire::{Op, Script, Wire},
};
