//! [`WithCodec::calls`](crate::WithCodec::calls): requests and their answers.

mod call_error;
mod caller;
mod pending;
mod with_calls;

pub use self::{call_error::CallError, caller::Caller, with_calls::WithCalls};
