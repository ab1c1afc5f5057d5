//! Opening handshakes that are huge, slow, poisoned or followed by more than was asked for.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::Poll,
    time::{Duration, Instant},
};

use futures::StreamExt;
use wsweave::{
    Accept, Acceptor, Client, Compression, Config, Connection, ConnectionExt, Error, ErrorKind,
    Role,
};

use crate::{
    LITTLE, allocator,
    support::{BOTH, Frame, ManualClock, Script, Task, Wire, request, switching},
};

type Outcome = Poll<Result<Connection<Script>, Error>>;

/// A server that agrees to whatever subprotocol is offered first.
fn acceptor(config: Config) -> Acceptor {
    let chat = |request: &wsweave::http::Request<()>| {
        Ok(Accept::new().choose_subprotocol(request, ["chat"]))
    };
    Acceptor::new().config(config).any_origin().on_request(chat)
}

fn roomy() -> Config {
    Config::default().no_timer().max_head_size(1 << 20)
}

/// The request with these lines in it.
fn request_with(lines: &str) -> String {
    request("/").replace("\r\n\r\n", &format!("\r\n{lines}\r\n\r\n"))
}

/// What a server answers to `bytes`, behind which the client has ended its side, and what comes of it.
fn serve(config: Config, bytes: impl AsRef<[u8]>) -> (Outcome, Wire) {
    let (script, wire) = Wire::new();
    wire.give_in_pieces(bytes.as_ref(), 1_024);
    wire.end();
    let acceptor = acceptor(config);
    let mut accepting = pin!(acceptor.accept(script));
    (Task::new().until_stalled(|cx| accepting.as_mut().poll(cx)), wire)
}

/// Connects to a server that answers with `answer` of the request.
fn connect<A: AsRef<[u8]>>(config: Config, answer: impl FnOnce(&str) -> A) -> (Outcome, Wire) {
    let (script, wire) = Wire::new();
    let client = Client::new("ws://server.example/").unwrap().config(config);
    let mut connecting = pin!(client.connect_over(script));
    let task = Task::new();
    assert!(task.until_stalled(|cx| connecting.as_mut().poll(cx)).is_pending());
    let request = String::from_utf8(wire.take_written()).unwrap();
    wire.give(answer(&request));
    (task.until_stalled(|cx| connecting.as_mut().poll(cx)), wire)
}

fn error_of(outcome: Outcome) -> Error {
    match outcome {
        Poll::Ready(Err(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn answer_of(wire: &Wire) -> String {
    String::from_utf8(wire.take_written()).unwrap()
}

#[test]
fn a_head_without_end_is_read_no_further_than_its_limit() {
    for endless in ["x", "\n", "X: y\r\n", "X:\r\n", ":", " \r\n"] {
        let rest = endless.repeat((4 << 20) / endless.len());
        let head = format!("GET / HTTP/1.1\r\n{rest}");
        let peak = allocator::peak_of(|| {
            let (outcome, wire) = serve(Config::default().no_timer(), &head);
            assert_eq!(error_of(outcome).kind(), ErrorKind::Handshake, "{endless:?}");
            assert!(wire.bytes_read() < 128 << 10, "{} bytes of {endless:?}", wire.bytes_read());
        });
        // The test's copy is the most of it.
        assert!(peak < head.len() + LITTLE, "{endless:?}: {peak} bytes");

        let config = Config::default().no_timer();
        let (outcome, wire) = connect(config, |_| format!("HTTP/1.1 101 Switching\r\n{rest}"));
        let error = error_of(outcome);
        let kinds = [ErrorKind::LimitExceeded, ErrorKind::Handshake];
        assert!(kinds.contains(&error.kind()), "{endless:?}: {error}");
        assert!(wire.bytes_read() < 18 << 10, "{} bytes of {endless:?}", wire.bytes_read());
    }
}

type Opening = Pin<Box<dyn Future<Output = Result<Connection<Script>, Error>>>>;

/// An opening handshake by the test's clock, and what the peer has to say in it.
fn opening(role: Role, clock: &ManualClock) -> (Opening, Wire, String) {
    let config = Config::default().timer(clock.clone());
    let (script, wire) = Wire::new();
    match role {
        Role::Client => {
            let client = Client::new("ws://server.example/").unwrap().config(config);
            let connecting = async move { client.connect_over(script).await };
            (Box::pin(connecting), wire, switching("Sec-WebSocket-Key: x"))
        }
        Role::Server => {
            let acceptor = acceptor(config);
            let accepting = async move { acceptor.accept(script).await };
            (Box::pin(accepting), wire, request("/"))
        }
    }
}

/// How long a handshake may take.
fn patience(role: Role) -> u64 {
    if role == Role::Client { 30 } else { 10 }
}

#[test]
fn a_handshake_of_one_byte_a_second_ends_in_time_and_costs_a_poll_a_byte() {
    for role in BOTH {
        let clock = ManualClock::new();
        let (mut opening, wire, head) = opening(role, &clock);
        let (task, mut bytes, mut seconds) = (Task::new(), head.bytes(), 0);
        let mut outcome = task.poll(&mut opening);
        while outcome.is_pending() {
            let wakes = task.wakes();
            wire.give([bytes.next().unwrap()]);
            clock.advance_secs(1);
            seconds += 1;
            assert!(task.wakes() - wakes <= 2, "woken for the byte and for the time");
            outcome = task.poll(&mut opening);
        }
        assert_eq!(error_of(outcome).kind(), ErrorKind::Timeout);
        assert_eq!(seconds, patience(role));
    }
}

#[test]
fn a_peer_that_reads_nothing_of_a_handshake_is_left_in_time() {
    for role in BOTH {
        let clock = ManualClock::new();
        let (mut opening, wire, head) = opening(role, &clock);
        wire.block_writes();
        if role == Role::Server {
            wire.give(head);
        }
        let task = Task::new();
        assert!(task.until_stalled(|cx| opening.as_mut().poll(cx)).is_pending());
        clock.advance_secs(patience(role) - 1);
        assert!(task.until_stalled(|cx| opening.as_mut().poll(cx)).is_pending());
        clock.advance_secs(1);
        let outcome = task.until_stalled(|cx| opening.as_mut().poll(cx));
        assert_eq!(error_of(outcome).kind(), ErrorKind::Timeout);
    }
}

#[test]
fn half_a_handshake_and_then_an_end_is_an_error_at_once() {
    for role in BOTH {
        for reset in [false, true] {
            let (mut opening, wire, head) = opening(role, &ManualClock::new());
            let task = Task::new();
            assert!(task.until_stalled(|cx| opening.as_mut().poll(cx)).is_pending());
            wire.give(&head[..head.len() / 2]);
            let reads = wire.reads();
            assert!(task.until_stalled(|cx| opening.as_mut().poll(cx)).is_pending());
            if reset {
                wire.reset();
            } else {
                wire.end();
            }
            let outcome = task.until_stalled(|cx| opening.as_mut().poll(cx));
            assert_eq!(error_of(outcome).kind(), ErrorKind::Io);
            assert!(wire.reads() - reads <= 2 && wire.is_dropped());
        }
    }
}

#[test]
fn thousands_of_headers_are_refused_in_little_memory() {
    let crowd = "X-Crowd: y\r\n".repeat(20_000);
    let small = Config::default().no_timer();
    for (config, most) in [(small, 96 << 10), (roomy().max_headers(usize::MAX), usize::MAX)] {
        let peak = allocator::peak_of(|| {
            let (outcome, wire) = serve(config.clone(), request_with(crowd.trim_end()));
            assert_eq!(error_of(outcome).kind(), ErrorKind::Handshake);
            assert!(answer_of(&wire).starts_with("HTTP/1.1 431 "));
            assert!(wire.bytes_read() < most, "{} bytes", wire.bytes_read());
        });
        assert!(peak < 8 * crowd.len() + LITTLE, "{peak} bytes for {}", crowd.len());
        let peak = allocator::peak_of(|| {
            let (outcome, wire) = connect(config, |request| answer_with(request, crowd.trim_end()));
            assert!(wire.bytes_read() < most, "{} bytes", wire.bytes_read());
            assert_eq!(error_of(outcome).kind(), ErrorKind::LimitExceeded);
        });
        assert!(peak < 8 * crowd.len() + LITTLE, "{peak} bytes for {}", crowd.len());
    }
}

/// The least time that `work` took.
fn time_of(work: impl Fn()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..20).map(once).min().unwrap()
}

#[test]
fn lists_of_any_shape_are_read_in_linear_time() {
    let shapes: [(&str, &dyn Fn(usize) -> String); 9] = [
        ("spaces in a list", &|n| format!("Sec-WebSocket-Protocol: b{}x", " ".repeat(n))),
        ("spaces before a comma", &|n| format!("Sec-WebSocket-Protocol: b{},x", " ".repeat(n))),
        ("tabs at the end", &|n| format!("Sec-WebSocket-Protocol: b{}", "\t".repeat(n))),
        ("commas", &|n| format!("Sec-WebSocket-Protocol: {}", ",".repeat(n))),
        ("names", &|n| format!("Sec-WebSocket-Protocol: {}", "a,".repeat(n / 2))),
        ("parameters", &|n| format!("Sec-WebSocket-Extensions: x{}", ";".repeat(n))),
        ("known parameters", &|n| {
            format!(
                "Sec-WebSocket-Extensions: permessage-deflate{}",
                "; server_max_window_bits=9".repeat(n / 26)
            )
        }),
        ("offers", &|n| {
            let offers = "permessage-deflate; server_max_window_bits=99, ".repeat(n / 47);
            format!("Sec-WebSocket-Extensions: {offers}")
        }),
        ("quotes", &|n| format!("Sec-WebSocket-Extensions: x;y=\"{}", "\\\"".repeat(n / 2))),
    ];
    let compressing = || roomy().compression(Compression::default());
    for (shape, header) in shapes {
        let answering =
            |header: &str| drop(connect(compressing(), |asked| answer_with(asked, header)));
        let serving = |header: &str| {
            let (outcome, _) = serve(compressing(), request_with(header));
            assert!(matches!(outcome, Poll::Ready(Ok(_))), "{shape}: {outcome:?}");
        };
        assert_linear(shape, header, serving);
        assert_linear(shape, header, answering);
    }
}

/// The answer to the request `asked`, with these lines in it.
fn answer_with(asked: &str, lines: &str) -> String {
    switching(asked).replace("\r\n\r\n", &format!("\r\n{lines}\r\n\r\n"))
}

fn assert_linear(shape: &str, header: impl Fn(usize) -> String, work: impl Fn(&str)) {
    let [few, many] = [8_000, 128_000].map(|n| {
        let header = header(n);
        (allocator::total_of(|| work(&header)), time_of(|| work(&header)))
    });
    // 256 times as much would be quadratic; a busy machine may take its time.
    assert!(many.0 < 32 * few.0, "{shape}: 16 times as long, {few:?} to {many:?}");
    assert!(many.1 < 80 * few.1, "{shape}: 16 times as long, {few:?} to {many:?}");
}

#[test]
fn extensions_of_any_name_are_declined_by_a_server_and_refused_by_a_client() {
    let names = [
        "constructor",
        "__proto__",
        "toString;__proto__=1",
        ",;",
        ";",
        ";;=,=",
        "=",
        "\"",
        "x;y=\"",
        "x-webkit-deflate-frame",
        "permessage-bzip2; q=99999999999999999999",
    ];
    for name in names {
        let (outcome, wire) =
            serve(roomy(), request_with(&format!("Sec-WebSocket-Extensions: {name}")));
        assert!(matches!(outcome, Poll::Ready(Ok(_))), "{name}: {outcome:?}");
        let answer = answer_of(&wire).to_lowercase();
        assert!(!answer.contains("extensions"), "{name}: {answer}");

        let (outcome, _) = connect(roomy(), |request| {
            answer_with(request, &format!("Sec-WebSocket-Extensions: {name}"))
        });
        assert_eq!(error_of(outcome).kind(), ErrorKind::Handshake, "{name}");
    }
}

#[test]
fn nothing_of_a_poisoned_request_gets_into_the_answer() {
    for poison in ["\r", "\n", "\r\n", "\0", "\u{b}", "\u{85}", "\u{2028}"] {
        let evil = format!("chat{poison}Set-Cookie: evil=1");
        for request in [
            request_with(&format!("Sec-WebSocket-Protocol: {evil}")),
            request_with(&format!("Origin: http://server.example{poison}Set-Cookie: evil=1")),
            request("/").replace("GET / ", &format!("GET /{evil} ")),
            request("/").replace("server.example", &format!("server.example{evil}")),
            request("/").replace("ZQ==", &format!("ZQ=={poison}Set-Cookie: evil=1")),
        ] {
            let (outcome, wire) = serve(roomy(), &request);
            let answer = answer_of(&wire);
            assert!(matches!(outcome, Poll::Ready(_)), "{request:?}");
            assert!(!answer.contains("evil"), "{request:?} is answered with {answer:?}");
        }
    }
}

#[test]
fn what_is_pipelined_behind_a_request_waits_at_the_client() {
    let first = Frame::binary(vec![7; 3_000]).to(Role::Server);
    let mut bytes = request("/").into_bytes();
    bytes.extend_from_slice(&first);
    let head = bytes.len();
    bytes.resize(4 << 20, 0);
    let (outcome, wire) = serve(roomy(), &bytes);
    let Poll::Ready(Ok(mut conn)) = outcome else { panic!("{outcome:?}") };
    assert!(wire.bytes_read() < head + 1_024, "{} bytes with the head", wire.bytes_read());

    let first = Task::new().until_stalled(|cx| conn.poll_next_unpin(cx));
    assert_eq!(first, Poll::Ready(Some(vec![7; 3_000].into())));
}

#[test]
fn what_comes_with_the_101_is_read_no_further_than_the_first_frames() {
    let first = Frame::binary(vec![7; 3_000]).to(Role::Client);
    let mut head = 0;
    let (outcome, wire) = connect(roomy(), |request| {
        let mut bytes = [switching(request).as_bytes(), &first].concat();
        head = bytes.len();
        bytes.resize(4 << 20, 0);
        bytes
    });
    let Poll::Ready(Ok(mut conn)) = outcome else { panic!("{outcome:?}") };
    assert!(wire.bytes_read() < head + 1_024, "{} bytes with the head", wire.bytes_read());

    let first = Task::new().until_stalled(|cx| conn.poll_next_unpin(cx));
    assert_eq!(first, Poll::Ready(Some(vec![7; 3_000].into())));
}

#[test]
fn what_is_pipelined_behind_a_refused_request_is_never_decoded() {
    let bad = request("/").replace("Version: 13", "Version: 12").into_bytes();
    let (outcome, wire) = serve(roomy(), [bad, Frame::close(1000, "").to(Role::Server)].concat());
    assert_eq!(error_of(outcome).kind(), ErrorKind::Handshake);
    let answer = answer_of(&wire);
    assert!(answer.starts_with("HTTP/1.1 426 ") && wire.is_closed(), "{answer}");
}

#[test]
fn a_masked_frame_with_the_101_fails_the_connection_and_not_the_handshake() {
    let (outcome, wire) = connect(roomy(), |request| {
        [switching(request).into_bytes(), Frame::text("ghost").to(Role::Server)].concat()
    });
    let Poll::Ready(Ok(mut conn)) = outcome else { panic!("{outcome:?}") };
    let next = Task::new().until_stalled(|cx| conn.poll_next_unpin(cx));
    assert_eq!(next, Poll::Ready(None));
    assert_eq!(conn.finish().unwrap().code, 1002);
    assert_eq!(wire.sent_by(Role::Client)[0].close_code(), Some(1002));
}
