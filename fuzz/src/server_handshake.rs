//! Requests made of anything at all: no panic, no more memory than a head may take, a proper answer; and
//! who is accepted has kept to the rules of RFC 6455, section 4.2.1, and of RFC 7692, section 7.1.
//!
//! The input: a byte of flags, two sizes of reads, then the request as it is, or [its parts](Request), and
//! what is behind it.

use std::{pin::pin, task::Poll};

use arbitrary::{Arbitrary, Unstructured};
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use futures::Future;
use wsweave::{
    Accept, Acceptor, Compression, Config, Connection, ConnectionExt, Error, Role,
    handshake::server::respond, http,
};

use crate::{
    extension::Deflate,
    head::{Fields, Head},
    observe::{LITTLE, check_sent, cut, observe},
    support::{Script, Task, Wire, allocator::peak_of},
};

#[derive(Arbitrary, Debug)]
struct Request<'a> {
    method: Option<&'a str>,
    target: Option<&'a str>,
    version: Option<u8>,
    fields: Fields<'a>,
    behind: &'a [u8],
}

/// Checks one input.
pub fn check(data: &[u8]) {
    let Some((&[flags, sizes @ ..], input)) = data.split_first_chunk::<3>() else { return };
    let request = match flags & 1 {
        0 => input.to_vec(),
        _ => match Request::arbitrary_take_rest(Unstructured::new(input)) {
            Ok(request) => request.encode(),
            Err(_) => return,
        },
    };
    let acceptor = acceptor(flags);
    let [whole, pieces] = [cut(&request, [0; 2]), cut(&request, sizes)].map(|pieces| {
        let mut answer = None;
        let peak = peak_of(|| answer = check_request(&acceptor, &request, &pieces));
        assert!(peak < LITTLE + 64 * request.len(), "{peak} bytes for {}", request.len());
        answer
    });
    assert_eq!(whole, pieces, "accepted or not, or in another way");
}

/// The answer, if that accepts the request.
fn check_request(acceptor: &Acceptor, request: &[u8], pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let (outcome, wire) = serve(acceptor, pieces);
    let written = wire.take_written();
    match outcome {
        Ok(mut conn) => {
            let request = Head::parse(request, true);
            let answer = Head::parse_strictly(&written);
            check_accepted(&request, &answer);
            assert_eq!(conn.subprotocol(), answer.all("sec-websocket-protocol").next());
            let parsed = conn.request().expect("the head is kept");
            let again = respond(&parsed).expect("accepted before");
            assert_eq!(
                again.headers()["sec-websocket-accept"],
                answer.only("sec-websocket-accept")
            );
            observe(&mut conn, true);
            check_sent(&wire, Role::Server);
            Some(written)
        }
        Err(_) if written.is_empty() => None,
        Err(error) => {
            check_refusal(&Head::parse_strictly(&written), &error);
            None
        }
    }
}

fn serve(acceptor: &Acceptor, pieces: &[&[u8]]) -> (Result<Connection<Script>, Error>, Wire) {
    let (script, wire) = Wire::new();
    for piece in pieces {
        wire.give(piece);
    }
    wire.end();
    let mut accepting = pin!(acceptor.accept(script));
    match Task::new().until_stalled(|cx| accepting.as_mut().poll(cx)) {
        Poll::Ready(outcome) => (outcome, wire),
        Poll::Pending => panic!("the end of TCP is the end"),
    }
}

/// RFC 6455, section 4.2.
fn check_accepted(request: &Head, answer: &Head) {
    assert!(
        request.start.starts_with("GET ") && request.start.ends_with(" HTTP/1.1"),
        "{request:?}"
    );
    request.only("host");
    assert!(
        request.has("upgrade", "websocket") && request.has("connection", "upgrade"),
        "{request:?}"
    );
    assert_eq!(request.only("sec-websocket-version"), "13");
    let key = request.only("sec-websocket-key");
    let (characters, padding) = key.split_at(key.len().min(22));
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    assert!(characters.bytes().all(is_base64) && padding == "==", "{key}");
    assert!(request.all("content-length").all(|length| length == "0"), "{request:?}");
    assert_eq!(request.all("transfer-encoding").next(), None);

    assert_eq!(answer.start, "HTTP/1.1 101 Switching Protocols");
    answer.assert_names(&[
        "connection",
        "upgrade",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
    ]);
    assert_eq!(answer.only("connection"), "Upgrade");
    assert_eq!(answer.only("upgrade"), "websocket");
    assert_eq!(answer.only("sec-websocket-accept"), derive_accept_key(key.as_bytes()));
    if answer.all("sec-websocket-protocol").next().is_some() {
        let chosen = answer.only("sec-websocket-protocol");
        assert!(SUBPROTOCOLS.contains(&chosen), "{chosen}");
        assert!(
            request.list("sec-websocket-protocol").any(|offered| offered == chosen),
            "{chosen}"
        );
    }
    if let Some(deflate) = Deflate::answer(answer) {
        let offers = Deflate::offers(request);
        assert!(offers.iter().any(|offer| deflate.answers(offer)), "{deflate:?} to {offers:?}");
    }
}

fn check_refusal(answer: &Head, error: &Error) {
    assert!(answer.start.starts_with("HTTP/1.1 4"), "{} for {error}", answer.start);
    answer.assert_names(&[
        "allow",
        "connection",
        "content-length",
        "content-type",
        "sec-websocket-version",
        "upgrade",
    ]);
    assert!(answer.has("connection", "close"), "{answer:?}");
    assert_eq!(answer.only("content-length"), answer.rest.len().to_string());
}

fn acceptor(flags: u8) -> Acceptor {
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
    let choose =
        |request: &http::Request<()>| Ok(Accept::new().choose_subprotocol(request, SUBPROTOCOLS));
    let acceptor = Acceptor::new().config(config).on_request(choose);
    if is_set(4) { acceptor.any_origin() } else { acceptor }
}

impl Request<'_> {
    fn encode(&self) -> Vec<u8> {
        let lines = self.fields.lines(&[
            "Host: server.example",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ]);
        let (method, target) = (self.method.unwrap_or("GET"), self.target.unwrap_or("/"));
        let version = self.version.unwrap_or(1);
        let mut bytes = format!("{method} {target} HTTP/1.{version}\r\n{lines}").into_bytes();
        bytes.extend_from_slice(self.behind);
        bytes
    }
}

const SUBPROTOCOLS: [&str; 2] = ["chat", "mqtt"];
