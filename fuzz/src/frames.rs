//! Anything at all for frames, in both roles: no panic, no more memory than the input is worth, the
//! same messages and the same end however it is cut into reads, and a proper answer.
//!
//! The input: a byte of [flags](Settings), two sizes of reads, then what arrives.

use std::pin::Pin;

use wsweave::{Config, Connection, Duplex, Role};

use crate::{
    observe::{LITTLE, Observed, check_sent, cut, observe},
    support::{Wire, allocator::peak_of},
};

#[derive(Debug)]
struct Settings {
    role: Role,
    /// With limits that an input can reach.
    narrow: bool,
    /// Sends back each message.
    echo: bool,
    /// In frames of this size at most.
    fragment_size: Option<usize>,
    /// The transport ends behind the input, rather than be silent.
    ends: bool,
    /// We have sent a Close before.
    closing: bool,
}

/// Checks one input.
pub fn check(data: &[u8]) {
    let Some((&[flags, sizes @ ..], bytes)) = data.split_first_chunk::<3>() else { return };
    let settings = Settings::new(flags);
    let [whole, pieces] = [cut(bytes, [0; 2]), cut(bytes, sizes)].map(|pieces| {
        let mut observed = None;
        let peak = peak_of(|| observed = Some(settings.observe(&pieces)));
        // The script takes some for each piece.
        assert!(peak < LITTLE + 64 * data.len(), "{peak} bytes for {}", data.len());
        observed
    });
    assert_eq!(whole, pieces, "{settings:?}");
}

impl Settings {
    fn new(flags: u8) -> Self {
        let is_set = |bit: u8| flags >> bit & 1 == 1;
        Self {
            role: if is_set(0) { Role::Server } else { Role::Client },
            narrow: is_set(1),
            echo: is_set(2),
            fragment_size: is_set(3).then_some(3),
            ends: is_set(4),
            closing: is_set(5),
        }
    }

    fn config(&self) -> Config {
        let config = Config::default().no_timer().fragment_size(self.fragment_size);
        if self.narrow {
            config.max_frame_size(100).max_message_size(150).max_fragments(5)
        } else {
            config
        }
    }

    fn observe(&self, pieces: &[&[u8]]) -> Observed {
        let (script, wire) = Wire::new();
        let mut conn = Connection::from_raw(script, self.role, self.config());
        if self.closing {
            Pin::new(&mut conn).peer().close_with(1000, "enough");
        }
        for piece in pieces {
            wire.give(piece);
        }
        if self.ends {
            wire.end();
        }
        let observed = observe(&mut conn, self.echo);
        let sent = check_sent(&wire, self.role);
        if self.echo && !self.closing {
            let payloads = sent.into_iter().flat_map(|frame| frame.payload);
            let echoes = observed.messages().flat_map(|message| message.as_bytes().to_vec());
            assert!(payloads.eq(echoes), "the echo is another: {observed:?}");
        }
        observed
    }
}
