//! RFC 6455 and RFC 7692 after the opening handshake, sans-I/O: bytes in, events out; frames in, bytes out.
//!
//! No async, no I/O, no clock.

mod assembler;
mod buffer;
mod chunk;
mod closing;
mod decoder;
mod deflate;
mod frame;
mod mask;
mod outgoing;
mod published;
mod stretches;
mod utf8;
mod violation;

pub(crate) use self::{
    buffer::Buffer,
    closing::Closing,
    decoder::{Decoded, Decoder},
    deflate::{Deflater, Inflater, Window},
    frame::MAX_CONTROL_PAYLOAD,
    outgoing::{Origin, Outgoing},
    published::Published,
    violation::Violation,
};
