//! `--commands`: hooks that obey the texts that start with `!`, woven under whatever style echoes the
//! other messages.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use futures::SinkExt;
use wsweave::{Bytes, CloseCode, ConnectionExt, Duplex, Error, Handle, Message, Peer};

/// What a client may order.
enum Command<'a> {
    /// `!close CODE [REASON]` closes so.
    Close(CloseCode, &'a str),
    /// `!drop` ends TCP with no Close.
    Drop,
    /// `!push N SIZE` sends N binaries of SIZE bytes, the i-th filled with `i & 255`, then the text
    /// `!pushed N`.
    Push { count: usize, size: usize },
    /// `!ping X` pings with X, and sends the text `pong X` when the pong is there.
    Ping(&'a str),
    /// `!proto` sends the subprotocol, an empty text if there is none.
    Proto,
}

/// Puts on the hooks that obey. Each command is done before the next message is looked at.
pub(crate) fn obey(conn: impl Duplex) -> impl Duplex {
    let pings = Pings::default();
    let awaited = pings.clone();
    conn.on_pong(move |peer, payload| {
        if awaited.take(payload) {
            peer.send(format!("pong {}", String::from_utf8_lossy(payload)));
        }
    })
    .on_each(move |peer, message| obey_at_once(peer, message, &pings))
    .on_each_async(|handle, message| async {
        // It fails only when the connection is closing: then nobody waits for the rest.
        let _ = obey_slowly(handle, message).await;
    })
}

/// Whether a message is left for the echo.
pub(crate) fn is_ordinary(message: &Message) -> bool {
    !message.as_text().is_some_and(|text| text.starts_with('!'))
}

/// Every command but `!push`, and the answer to those that make no sense.
fn obey_at_once(peer: &mut Peer<'_>, message: &Message, pings: &Pings) {
    match message.as_text().and_then(Command::parse) {
        None | Some(Ok(Command::Push { .. })) => {}
        Some(Ok(Command::Close(code, reason))) => peer.close_with(code, reason),
        Some(Ok(Command::Drop)) => peer.abort(),
        Some(Ok(Command::Ping(payload))) => {
            let payload = Bytes::copy_from_slice(payload.as_bytes());
            pings.add(payload.clone());
            peer.ping(payload);
        }
        Some(Ok(Command::Proto)) => {
            let subprotocol = peer.subprotocol().unwrap_or_default().to_owned();
            peer.send(subprotocol);
        }
        Some(Err(why)) => peer.send(format!("!error {why}")),
    }
}

/// `!push`: through the handle, whose sink waits while the client does not read; and flushed, since
/// what is sent elsewhere meanwhile might overtake it.
async fn obey_slowly(mut handle: Handle, message: Message) -> Result<(), Error> {
    let Some(Ok(Command::Push { count, size })) = message.as_text().and_then(Command::parse) else {
        return Ok(());
    };
    for i in 0..count {
        handle.feed(vec![i.to_le_bytes()[0]; size].into()).await?;
    }
    handle.feed(format!("!pushed {count}").into()).await?;
    handle.flush().await
}

impl<'a> Command<'a> {
    /// `None` if the text is not a command; the complaint if it is a bad one.
    fn parse(text: &'a str) -> Option<Result<Self, &'static str>> {
        let (name, rest) = text.strip_prefix('!')?.split_once(' ').unwrap_or((&text[1..], ""));
        Some(match name {
            "close" => Self::parse_close(rest),
            "drop" => Ok(Self::Drop),
            "push" => Self::parse_push(rest),
            "ping" if rest.len() > MAX_PING => Err("a ping carries at most 125 bytes"),
            "ping" => Ok(Self::Ping(rest)),
            "proto" => Ok(Self::Proto),
            _ => Err("no such command"),
        })
    }

    fn parse_close(rest: &'a str) -> Result<Self, &'static str> {
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        match code.parse().map(CloseCode) {
            Ok(code) if code.is_sendable() => Ok(Self::Close(code, reason)),
            _ => Err("not a close code that may be sent"),
        }
    }

    fn parse_push(rest: &str) -> Result<Self, &'static str> {
        let numbers = rest.split_once(' ').and_then(|(count, size)| {
            Some((count.parse().ok()?, size.parse().ok().filter(|&size| size <= MAX_PUSH)?))
        });
        let (count, size) = numbers.ok_or("push wants a number and a size of at most 64 MiB")?;
        Ok(Self::Push { count, size })
    }
}

/// The pings that were ordered and have no pong yet: the connection pings by itself, too, and a
/// client may send pongs that nobody asked for.
#[derive(Clone, Default)]
struct Pings(Arc<Mutex<VecDeque<Bytes>>>);

impl Pings {
    fn add(&self, payload: Bytes) {
        let mut pings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pings.len() == MAX_PINGS {
            pings.pop_front();
        }
        pings.push_back(payload);
    }

    /// Takes `payload` off, and all that are older: a client may answer the latest ping only
    /// (RFC 6455, section 5.5.3).
    fn take(&self, payload: &Bytes) -> bool {
        let mut pings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = pings.iter().position(|ping| ping == payload);
        place.is_some_and(|place| pings.drain(..=place).next().is_some())
    }
}

const MAX_PING: usize = 125;
const MAX_PINGS: usize = 64;
const MAX_PUSH: usize = 64 << 20;
