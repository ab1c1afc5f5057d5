//! A server's answers made of anything at all: no panic, no more memory than a head and the start of a
//! body may take; and a connection comes only of an answer that keeps to the rules of RFC 6455, section
//! 4.1, and of RFC 7692, section 7.1.
//!
//! The input: a byte of flags, two sizes of reads, then the answer as it is, or [its parts](Answer), and
//! what is behind it. Where it says `{accept}` stands what fits the client's key.

use std::{pin::pin, task::Poll};

use arbitrary::{Arbitrary, Unstructured};
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use futures::{Future, SinkExt};
use wsweave::{Client, Compression, Config, ConnectionExt, Role};

use crate::{
    extension::Deflate,
    head::{Fields, Head},
    observe::{LITTLE, check_sent, cut, observe},
    support::{Task, Wire, allocator::peak_of},
};

#[derive(Arbitrary, Debug)]
struct Answer<'a> {
    /// 101 without it.
    status: Option<u16>,
    version: Option<u8>,
    fields: Fields<'a>,
    behind: &'a [u8],
}

/// Checks one input.
pub fn check(data: &[u8]) {
    let Some((&[flags, sizes @ ..], input)) = data.split_first_chunk::<3>() else { return };
    let answer = match flags & 1 {
        0 => input.to_vec(),
        _ => match Answer::arbitrary_take_rest(Unstructured::new(input)) {
            Ok(answer) => answer.encode(),
            Err(_) => return,
        },
    };
    let client = client(flags);
    let [whole, pieces] = [[0; 2], sizes].map(|sizes| {
        let mut accepted = false;
        let peak = peak_of(|| accepted = check_answer(&client, &answer, sizes));
        assert!(peak < LITTLE + 64 * answer.len(), "{peak} bytes for {}", answer.len());
        accepted
    });
    assert_eq!(whole, pieces, "accepted or not");
}

/// Tells whether a connection comes of it.
fn check_answer(client: &Client, answer: &[u8], sizes: [u8; 2]) -> bool {
    let (script, wire) = Wire::new();
    let mut connecting = pin!(client.connect_over(script));
    let task = Task::new();
    assert!(task.until_stalled(|cx| connecting.as_mut().poll(cx)).is_pending());
    let request = Head::parse_strictly(&wire.take_written());

    let accept = derive_accept_key(request.only("sec-websocket-key").as_bytes());
    let answer = replace(answer, ACCEPT, accept.as_bytes());
    for piece in cut(&answer, sizes) {
        wire.give(piece);
    }
    wire.end();
    match task.until_stalled(|cx| connecting.as_mut().poll(cx)) {
        Poll::Pending => panic!("the end of TCP is the end"),
        Poll::Ready(Err(error)) => {
            let body = error.response().map(|response| response.body().len());
            assert!(body.is_none_or(|body| body <= 8 << 10), "{body:?} bytes of body");
            false
        }
        Poll::Ready(Ok(mut conn)) => {
            let deflate =
                check_accepted(&request, &final_head(&answer), &accept, conn.subprotocol());
            assert!(conn.response().is_some_and(|response| response.status() == 101));
            assert!(matches!(task.ready(&mut conn), Poll::Ready(Ok(()))));
            conn.start_send_unpin("la ".repeat(100).into()).expect("the connection is open");
            observe(&mut conn, true);
            let compressed = check_sent(&wire, Role::Client).iter().any(|frame| frame.rsv != 0);
            assert!(deflate || !compressed, "compressed without a word");
            true
        }
    }
}

/// RFC 6455, section 4.1; tells whether compression was agreed on.
fn check_accepted(request: &Head, answer: &Head, accept: &str, subprotocol: Option<&str>) -> bool {
    assert_eq!(answer.start, "HTTP/1.1 101");
    assert_eq!(answer.list("upgrade").count(), 1);
    assert!(
        answer.has("upgrade", "websocket") && answer.has("connection", "upgrade"),
        "{answer:?}"
    );
    assert_eq!(answer.only("sec-websocket-accept"), accept);

    let chosen: Vec<_> = answer.all("sec-websocket-protocol").collect();
    let offered: Vec<_> = request.list("sec-websocket-protocol").collect();
    assert_eq!(chosen.is_empty(), offered.is_empty(), "{chosen:?} of {offered:?}");
    assert!(chosen.iter().all(|name| offered.contains(name)) && chosen.len() < 2, "{chosen:?}");
    assert_eq!(chosen.first().copied(), subprotocol);

    let deflate = Deflate::answer(answer);
    if let Some(deflate) = &deflate {
        let offers = Deflate::offers(request);
        assert!(offers.iter().any(|offer| deflate.answers(offer)), "{deflate:?} to {offers:?}");
    }
    deflate.is_some()
}

/// The head that is not for information only (RFC 9110, section 15.2).
fn final_head(mut answer: &[u8]) -> Head {
    loop {
        let head = Head::parse(answer, false);
        if !head.start.starts_with("HTTP/1.1 1") || head.start.ends_with(" 101") {
            return head;
        }
        answer = &answer[answer.len() - head.rest.len()..];
    }
}

fn client(flags: u8) -> Client {
    let is_set = |bit: u8| flags >> bit & 1 == 1;
    let frugal = Compression::default()
        .server_max_window_bits(10)
        .client_max_window_bits(11)
        .server_no_context_takeover(true);
    let compression = match (is_set(1), is_set(2)) {
        (false, _) => None,
        (true, false) => Some(Compression::default()),
        (true, true) => Some(frugal),
    };
    let config = Config::default().no_timer().compression(compression);
    let config = if is_set(3) { config.max_head_size(300).max_headers(8) } else { config };
    let client = Client::new("ws://server.example/").expect("a URL").config(config);
    if !is_set(4) {
        return client;
    }
    ["chat", "mqtt"]
        .into_iter()
        .fold(client, |client, name| client.subprotocol(name).expect("a token"))
}

fn replace(bytes: &[u8], marker: &[u8], value: &[u8]) -> Vec<u8> {
    let Some(at) = bytes.windows(marker.len()).position(|window| window == marker) else {
        return bytes.to_vec();
    };
    [&bytes[..at], value, &replace(&bytes[at + marker.len()..], marker, value)].concat()
}

impl Answer<'_> {
    fn encode(&self) -> Vec<u8> {
        let lines = self.fields.lines(&[
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: {accept}",
        ]);
        let (version, status) = (self.version.unwrap_or(1), self.status.unwrap_or(101));
        let mut bytes = format!("HTTP/1.{version} {status} Reason\r\n{lines}").into_bytes();
        bytes.extend_from_slice(self.behind);
        bytes
    }
}

const ACCEPT: &[u8] = b"{accept}";
