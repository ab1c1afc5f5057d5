//! What each fuzz target does with its input: a module for each. A panic is a finding.

pub mod client_handshake;
pub mod deflate;
pub mod differential;
mod extension;
pub mod frames;
mod head;
mod observe;
pub mod server_handshake;
mod support;

use crate::support::allocator::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
