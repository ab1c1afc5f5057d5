//! [`Published`]: one message for many connections, each of its encodings made once.

use std::{fmt, sync::PoisonError};

use bytes::Bytes;

use super::{
    deflate,
    frame::{FIN, HeaderBytes, OpCode, RSV1},
};
use crate::{message::Message, sync::Mutex};

/// A message, and what servers send of it: a frame that all of them have in common.
pub(crate) struct Published {
    message: Message,
    plain: Frame,
    /// What has been asked for so far: few, for servers have few configurations.
    deflated: Mutex<Vec<(Setting, Option<Frame>)>>,
}

/// A frame without a mask.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) header: HeaderBytes,
    pub(super) payload: Bytes,
}

/// What a compressed message without context depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) level: u32,
    /// The size of the window, as a power of 2.
    pub(super) bits: u8,
}

impl Published {
    pub(crate) fn new(message: Message) -> Self {
        let plain = Frame::new(FIN, &message, message.clone().into_bytes());
        Self { message, plain, deflated: Mutex::new(Vec::new()) }
    }

    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    pub(super) fn plain(&self) -> &Frame {
        &self.plain
    }

    /// The compressed frame; `None` if that would be no smaller. Whoever is first makes it, and the others
    /// wait for that: they would have to do the same.
    pub(super) fn deflated(&self, setting: Setting) -> Option<Frame> {
        let mut deflated = self.deflated.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, frame)) = deflated.iter().find(|(known, _)| *known == setting) {
            return frame.clone();
        }
        let payload = deflate::alone(setting, &self.message);
        let frame = payload.map(|payload| Frame::new(FIN | RSV1, &self.message, payload));
        deflated.push((setting, frame.clone()));
        frame
    }
}

impl Frame {
    fn new(bits: u8, message: &Message, payload: Bytes) -> Self {
        let opcode = if message.is_text() { OpCode::Text } else { OpCode::Binary };
        Self { header: HeaderBytes::new(bits, opcode, None, payload.len()), payload }
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Published").field(&self.message).finish()
    }
}
