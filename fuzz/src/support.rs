//! What the fuzz targets share with the tests.

#![allow(dead_code, reason = "the tests use the rest")]
#![allow(clippy::unwrap_used, reason = "a panic is how a check fails")]

#[path = "../../tests/support/allocator.rs"]
pub(crate) mod allocator;
#[path = "../../tests/differential/compare.rs"]
pub(crate) mod compare;
#[path = "../../tests/support/deflate.rs"]
mod deflate;
#[path = "../../tests/support/frames.rs"]
mod frames;
#[path = "../../tests/support/heads.rs"]
mod heads;
#[path = "../../tests/support/task.rs"]
mod task;
#[path = "../../tests/support/wire.rs"]
mod wire;

pub(crate) use self::{
    deflate::deflating,
    frames::{Frame, parse},
    heads::{header, request, switching},
    task::Task,
    wire::{Script, Wire},
};
