//! Compressed messages (RFC 7692), in both roles. Anything at all for what a compressor makes: no panic,
//! nothing inflated beyond the limit, the same messages however it is cut into reads. And what one side
//! compresses, whatever the settings, the other one gets back.
//!
//! The input: a byte of [flags](Settings), one of the windows' sizes, two sizes of reads, then messages: a
//! byte of [flags](Piece), one for the payload's length (255: all the rest), the payload.

use std::task::Poll;

use futures::{SinkExt, StreamExt};
use wsweave::{Compression, Config, Connection, ConnectionExt, Message, Pipe, Role};

use crate::{
    observe::{LITTLE, Observed, Seen, check_sent, cut, observe},
    support::{Frame, Task, allocator::peak_of, deflating},
};

#[derive(Debug)]
struct Settings {
    role: Role,
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    /// With a limit that an input can reach.
    narrow: bool,
    fragment_size: Option<usize>,
    level: u32,
    server_bits: u8,
    client_bits: u8,
}

/// One message.
#[derive(Debug)]
struct Piece<'a> {
    text: bool,
    /// Sent as it is.
    plain: bool,
    /// In frames of this size at most.
    fragment_size: usize,
    payload: &'a [u8],
}

/// Checks one input.
pub fn check(data: &[u8]) {
    let Some((&[flags, bits, sizes @ ..], rest)) = data.split_first_chunk::<4>() else { return };
    let settings = Settings::new(flags, bits);
    let pieces: Vec<_> = Pieces(rest).collect();
    if flags >> 7 == 1 {
        settings.check_round_trip(&pieces);
    } else {
        settings.check_inflating(&pieces, sizes);
    }
}

impl Settings {
    fn new(flags: u8, bits: u8) -> Self {
        let is_set = |bit: u8| flags >> bit & 1 == 1;
        Self {
            role: if is_set(0) { Role::Server } else { Role::Client },
            server_no_context_takeover: is_set(1),
            client_no_context_takeover: is_set(2),
            narrow: is_set(3),
            fragment_size: is_set(4).then_some(100),
            level: [6, 1, 9, 0][usize::from(flags >> 5 & 3)],
            // A server that is asked for 8 bits does without compression.
            server_bits: 8 + (bits & 7).max(1),
            client_bits: 8 + (bits >> 4 & 7),
        }
    }

    fn config(&self) -> Config {
        let compression = Compression::default()
            .level(self.level)
            .min_size(0)
            .server_max_window_bits(self.server_bits)
            .client_max_window_bits(self.client_bits)
            .server_no_context_takeover(self.server_no_context_takeover)
            .client_no_context_takeover(self.client_no_context_takeover);
        Config::default()
            .no_timer()
            .compression(compression)
            .fragment_size(self.fragment_size)
            .max_message_size(if self.narrow { 1_000 } else { 1 << 16 })
    }

    fn check_inflating(&self, messages: &[Piece<'_>], sizes: [u8; 2]) {
        let bytes: Vec<u8> =
            messages.iter().flat_map(|message| message.encode(self.role)).collect();
        let [whole, pieces] = [cut(&bytes, [0; 2]), cut(&bytes, sizes)].map(|pieces| {
            let mut observed = None;
            let peak = peak_of(|| observed = Some(self.observe(&pieces)));
            let limit = self.config().max_message_size;
            let seen = observed.iter().flat_map(Observed::messages).map(Message::len);
            let all: usize = seen.inspect(|&len| assert!(len <= limit)).sum();
            // A buffer that grows is there twice.
            let most = LITTLE + 2 * all + 2 * limit + 64 * bytes.len();
            assert!(peak < most, "{peak} bytes for {} and messages of {all}", bytes.len());
            observed.unwrap_or_default()
        });
        let ends = [&whole, &pieces].map(Observed::is_refused);
        if ends == [true; 2] {
            // A piece of a message that breaks several rules, of deflate, of UTF-8 and of the limit, is
            // refused by the one that is looked at first.
            assert!(whole.events().eq(pieces.events()), "{whole:?} {pieces:?}");
        } else {
            assert_eq!(whole, pieces, "{self:?}");
        }
    }

    fn observe(&self, pieces: &[&[u8]]) -> Observed {
        let mut parameters = format!(
            "permessage-deflate; server_max_window_bits={}; client_max_window_bits={}",
            self.server_bits, self.client_bits
        );
        if self.server_no_context_takeover {
            parameters += "; server_no_context_takeover";
        }
        if self.client_no_context_takeover {
            parameters += "; client_no_context_takeover";
        }
        let (mut conn, wire) = deflating(self.role, self.config(), &parameters);
        for piece in pieces {
            wire.give(piece);
        }
        wire.end();
        let observed = observe(&mut conn, false);
        check_sent(&wire, self.role);
        observed
    }

    fn check_round_trip(&self, pieces: &[Piece<'_>]) {
        let unlimited = self.config().max_message_size(usize::MAX);
        let (client, server) = Connection::pair_with(unlimited.clone(), unlimited);
        let (mut sender, mut receiver) = match self.role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        let task = Task::new();
        let mut messages = Vec::new();
        for piece in pieces {
            assert!(matches!(task.ready(&mut sender), Poll::Ready(Ok(()))), "{self:?}");
            sender.start_send_unpin(piece.message()).expect("the connection is open");
            while task.flush(&mut sender).is_pending() {
                receive(&task, &mut receiver, &mut messages);
            }
        }
        receive(&task, &mut receiver, &mut messages);
        assert!(receiver.finish().is_none(), "{:?}", receiver.finish());
        assert!(messages.into_iter().eq(pieces.iter().map(Piece::message)), "{self:?}");
    }
}

fn receive(task: &Task, receiver: &mut Connection<Pipe>, messages: &mut Vec<Message>) {
    while let Poll::Ready(Some(message)) = task.until_stalled(|cx| receiver.poll_next_unpin(cx)) {
        messages.push(message);
    }
}

impl Observed {
    fn is_refused(&self) -> bool {
        matches!(self.seen.last(), Some(Seen::Error(_)))
    }

    /// What was seen before the end.
    fn events(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(|seen| !matches!(seen, Seen::Error(_)))
    }
}

impl Piece<'_> {
    /// The payload is what a compressor has made, unless it is plain.
    fn encode(&self, role: Role) -> Vec<u8> {
        let mut chunks: Vec<_> = self.payload.chunks(self.fragment_size).collect();
        let last = chunks.pop().unwrap_or_default();
        let mut frames: Vec<_> =
            chunks.into_iter().map(|chunk| Frame::continuation(chunk).unfinished()).collect();
        frames.push(Frame::continuation(last));
        frames[0].opcode = if self.text { 1 } else { 2 };
        frames[0].rsv = if self.plain { 0 } else { 4 };
        frames.into_iter().flat_map(|frame| frame.to(role)).collect()
    }

    /// The payload is what is said, again and again.
    fn message(&self) -> Message {
        let payload = self.payload.repeat(1 + self.fragment_size % 8);
        if self.text {
            String::from_utf8_lossy(&payload).into_owned().into()
        } else {
            payload.into()
        }
    }
}

struct Pieces<'a>(&'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let (&[flags, len], rest) = self.0.split_first_chunk()?;
        let len = if len == u8::MAX { rest.len() } else { rest.len().min(len.into()) };
        let (payload, rest) = rest.split_at(len);
        self.0 = rest;
        let fragment_size = if flags & 4 == 0 { usize::MAX } else { 1 + usize::from(flags >> 3) };
        Some(Piece { text: flags & 1 == 1, plain: flags & 2 == 2, fragment_size, payload })
    }
}
