//! What it takes to drive each peer: as its documentation says, and as it is fastest.

use std::hint::black_box;

use crate::transport::Payload;

pub(crate) mod fastwebsockets;
pub(crate) mod ratchet;
pub(crate) mod sockudo;
pub(crate) mod soketto;
pub(crate) mod tokio_websockets;
pub(crate) mod tungstenite;
pub(crate) mod web_socket;
pub(crate) mod wsweave;
pub(crate) mod wtx;
pub(crate) mod yawc;

/// A connection that reads.
pub(crate) trait Read: 'static {
    /// Reads one whole message.
    async fn read(&mut self, got: &mut Got);
}

/// A connection that writes.
pub(crate) trait Write: 'static {
    /// As it takes them: cheap to give again and again, if it has such a thing.
    type Message: 'static;

    fn message(payload: &Payload) -> Self::Message;

    /// Writes one message, or keeps it for the next write.
    async fn feed(&mut self, message: &Self::Message);

    /// Writes what it has kept.
    async fn flush(&mut self);
}

/// What was read: enough to tell whether that was the right thing, and cheap.
#[derive(Default)]
pub(crate) struct Got {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// The first and the last byte of each message, added.
    pub(crate) ends: usize,
    /// Compare each message with these, in turn, from the first to the last.
    expected: Vec<Payload>,
}

impl Got {
    pub(crate) fn comparing(expected: &[Payload]) -> Self {
        Self { expected: expected.to_vec(), ..Self::default() }
    }

    #[inline]
    pub(crate) fn see(&mut self, payload: &[u8], text: bool) {
        let payload = black_box(payload);
        if !self.expected.is_empty() {
            let expected = &self.expected[self.messages % self.expected.len()];
            assert_eq!(expected.text, text, "the kind of message {}", self.messages);
            assert!(expected.bytes == payload, "the content of message {}", self.messages);
        }
        self.messages += 1;
        self.bytes += payload.len();
        self.ends += usize::from(payload[0]) + usize::from(payload[payload.len() - 1]);
    }
}

/// Panics, out of line, at what no peer is sent here.
#[cold]
pub(crate) fn unexpected(what: impl std::fmt::Debug) -> ! {
    panic!("not a message: {what:?}");
}
