//! What client and server agree on about compression (RFC 7692, sections 5 and 7.1).

use futures::executor::block_on;
use wsweave::{
    Accept, Acceptor, Client, Compression, Config, Connection, ConnectionExt, Error, ErrorKind,
    Role, handshake::server, http,
};

use crate::{
    client::{client, connect, switching},
    script::{Script, Step},
    server::REQUEST,
    support::header,
};

fn on() -> Compression {
    Compression::default()
}

fn with(compression: Compression) -> Client {
    client().config(Config::default().compression(compression))
}

/// What such a client offers.
fn offer(client: &Client) -> Option<String> {
    let io = Script::default();
    let log = io.log();
    assert_eq!(block_on(client.connect_over(io)).unwrap_err().kind(), ErrorKind::Io);
    header(&log.written(), "sec-websocket-extensions").map(str::to_owned)
}

/// A client that gets an answer with such a header.
fn answered(own: Compression, extensions: &str) -> Result<Connection<Script>, Error> {
    let line = format!("Sec-WebSocket-Extensions: {extensions}\r\n");
    connect(&with(own), move |request| switching(request, &line))
}

/// What a server answers to a request with such a header.
fn answer(config: Config, extensions: &str) -> Option<String> {
    answer_with(&Acceptor::new().config(config), extensions)
}

fn answer_with(acceptor: &Acceptor, extensions: &str) -> Option<String> {
    let line = format!("Sec-WebSocket-Extensions: {extensions}\r\nOrigin");
    let io = Script::new([Step::Send(REQUEST.replacen("Origin", &line, 1).into())]);
    let log = io.log();
    let _conn = block_on(acceptor.accept(io)).unwrap();
    header(&log.written(), "sec-websocket-extensions").map(str::to_owned)
}

fn declines(own: Compression, extensions: &str) {
    let config = Config::default().compression(own);
    assert_eq!(answer(config, extensions), None, "{extensions}");
}

fn accepts(own: Compression, extensions: &str, expected: &str) {
    let config = Config::default().compression(own);
    assert_eq!(answer(config, extensions).as_deref(), Some(expected), "{extensions}");
}

#[test]
fn nothing_is_offered_and_nothing_accepted_unless_it_is_asked_for() {
    assert_eq!(offer(&client()), None);
    assert_eq!(answer(Config::default(), "permessage-deflate"), None);
    let off = Config::default().compression(on()).compression(None);
    assert_eq!(answer(off, "permessage-deflate"), None);
}

#[test]
fn a_client_offers_what_its_configuration_says() {
    for (own, expected) in [
        (on(), "permessage-deflate; client_max_window_bits"),
        (
            on().server_no_context_takeover(true).client_no_context_takeover(true),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             client_max_window_bits",
        ),
        (
            on().server_max_window_bits(10).client_max_window_bits(12),
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12",
        ),
        (
            on().server_max_window_bits(0).client_max_window_bits(99),
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits",
        ),
    ] {
        assert_eq!(offer(&with(own)).as_deref(), Some(expected));
    }
}

#[test]
fn a_client_takes_what_it_has_offered_and_no_answer() {
    assert!(connect(&with(on()), |request| switching(request, "")).is_ok());
    for extensions in [
        "",
        "permessage-deflate",
        " , permessage-deflate ,",
        "permessage-deflate;server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=8; client_max_window_bits = 8",
        "permessage-deflate; server_max_window_bits=\"15\"; client_max_window_bits=\"9\"",
    ] {
        if let Err(error) = answered(on(), extensions) {
            panic!("{extensions}: {error}");
        }
    }
}

#[test]
fn a_client_refuses_what_it_has_not_offered() {
    for (extensions, rule) in [
        ("x-webkit-deflate-frame", "not asked for"),
        ("constructor", "not asked for"),
        (";", "not asked for"),
        ("permessage-deflate, permessage-deflate", "more than one"),
        ("permessage-deflate, mux", "more than one"),
        ("permessage-deflate; client_max_window_bits", "has no value"),
    ] {
        refused(on(), extensions, rule);
    }
    let small = on().server_max_window_bits(10).client_max_window_bits(10);
    for (extensions, rule) in [
        ("permessage-deflate", "server_max_window_bits is more"),
        ("permessage-deflate; server_max_window_bits=11", "server_max_window_bits is more"),
        (
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
            "client_max_window_bits is more",
        ),
    ] {
        refused(small.clone(), extensions, rule);
    }
    refused(on().server_no_context_takeover(true), "permessage-deflate", "is missing");
}

fn refused(own: Compression, extensions: &str, rule: &str) {
    let error = answered(own, extensions).expect_err(extensions);
    assert_eq!(error.kind(), ErrorKind::Handshake, "{extensions}");
    assert!(error.to_string().contains(rule), "{extensions}: {error}");
}

/// Parameters that are none, with the rule that they break.
const BROKEN: [(&str, &str); 18] = [
    ("unknown", "unknown"),
    ("Server_No_Context_Takeover", "unknown"),
    ("", "unknown"),
    ("server_no_context_takeover; server_no_context_takeover", "repeated"),
    ("client_no_context_takeover; client_no_context_takeover", "repeated"),
    ("server_max_window_bits=10; server_max_window_bits=10", "repeated"),
    ("client_max_window_bits=10; client_max_window_bits=11", "repeated"),
    ("server_no_context_takeover=true", "takes none"),
    ("client_no_context_takeover=", "takes none"),
    ("server_max_window_bits", "has no value"),
    ("server_max_window_bits=", "8 to 15"),
    ("server_max_window_bits=7", "8 to 15"),
    ("server_max_window_bits=16", "8 to 15"),
    ("server_max_window_bits=99", "8 to 15"),
    ("server_max_window_bits=08", "8 to 15"),
    ("server_max_window_bits=+9", "8 to 15"),
    ("client_max_window_bits=\"10", "8 to 15"),
    ("client_max_window_bits=99999999999999999999", "8 to 15"),
];

#[test]
fn a_client_refuses_a_parameter_that_is_none() {
    for (parameters, rule) in BROKEN {
        refused(on(), &format!("permessage-deflate; {parameters}"), rule);
    }
}

#[test]
fn a_server_declines_a_parameter_that_is_none_and_takes_the_next_offer() {
    for (parameters, _) in BROKEN {
        let broken = format!("permessage-deflate; {parameters}");
        declines(on(), &broken);
        accepts(on(), &format!("{broken}, permessage-deflate"), "permessage-deflate");
    }
}

#[test]
fn a_server_does_not_mind_other_extensions() {
    for extensions in ["constructor", ",;", ";;=,", "x; a=\"b\"", "Permessage-Deflate", "=", "\""] {
        declines(on(), extensions);
        accepts(on(), &format!("{extensions}, permessage-deflate"), "permessage-deflate");
    }
}

#[test]
fn a_server_does_as_the_client_asks() {
    for (offer, expected) in [
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        (
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover",
        ),
        (
            "permessage-deflate; client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
        ),
        (
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
        ),
        (
            "permessage-deflate;\tserver_max_window_bits=\"9\" ; client_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8",
        ),
    ] {
        accepts(on(), offer, expected);
    }
}

#[test]
fn a_server_keeps_its_own_limits() {
    let frugal = on().server_no_context_takeover(true).client_no_context_takeover(true);
    let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    accepts(frugal, "permessage-deflate", both);

    let small = on().server_max_window_bits(10).client_max_window_bits(11);
    declines(small.clone(), "permessage-deflate");
    let bits = "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11";
    accepts(small.clone(), "permessage-deflate; client_max_window_bits", bits);
    accepts(
        small,
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
    );
}

#[test]
fn a_server_declines_a_window_that_it_cannot_compress_with() {
    declines(on(), "permessage-deflate; server_max_window_bits=8");
}

#[test]
fn a_connection_of_its_own_configuration_is_compressed_by_that() {
    let plain = Config::default();
    let compressed = plain.clone().compression(on().server_no_context_takeover(true));
    for (server, own, expected) in [
        (&plain, &compressed, Some("permessage-deflate; server_no_context_takeover")),
        (&compressed, &plain, None),
    ] {
        let own = own.clone();
        let acceptor = Acceptor::new()
            .config(server.clone())
            .on_request(move |_| Ok(Accept::new().config(own.clone())));
        assert_eq!(answer_with(&acceptor, "permessage-deflate").as_deref(), expected);
    }
}

/// A connection whose handshake was done elsewhere, with such headers.
fn elsewhere(role: Role, lines: &[&str]) -> Result<Connection<Script>, Error> {
    let mut answer = http::Response::builder();
    for line in lines {
        answer = answer.header("Sec-WebSocket-Extensions", *line);
    }
    let conn = Connection::from_raw(Script::default(), role, Config::default());
    conn.with_extensions(answer.body(()).unwrap().headers())
}

#[test]
fn what_was_agreed_on_elsewhere_is_taken_as_it_is() {
    for role in [Role::Client, Role::Server] {
        for none in [&[][..], &[""], &[" , "]] {
            assert_eq!(elsewhere(role, none).unwrap().compression(), None);
        }
        let agreed = |line| elsewhere(role, &[line]).unwrap().compression().unwrap();
        let most = agreed("permessage-deflate");
        assert_eq!((most.server_max_window_bits, most.client_max_window_bits), (15, 15));
        assert!(!most.server_no_context_takeover && !most.client_no_context_takeover);
        let server =
            agreed("permessage-deflate; server_max_window_bits=9; server_no_context_takeover");
        assert_eq!((server.server_max_window_bits, server.client_max_window_bits), (9, 15));
        assert!(server.server_no_context_takeover && !server.client_no_context_takeover);
        let client =
            agreed("permessage-deflate;client_no_context_takeover;client_max_window_bits=8");
        assert_eq!((client.server_max_window_bits, client.client_max_window_bits), (15, 8));
        assert!(!client.server_no_context_takeover && client.client_no_context_takeover);
    }
}

#[test]
fn what_was_agreed_on_elsewhere_and_is_not_known_is_an_error() {
    let refuses = |lines: &[&str], rule: &str| {
        for role in [Role::Client, Role::Server] {
            let error = elsewhere(role, lines).expect_err(rule);
            assert_eq!(error.kind(), ErrorKind::Handshake, "{lines:?}");
            assert!(error.to_string().contains(rule), "{lines:?}: {error}");
        }
    };
    for (parameters, rule) in BROKEN {
        refuses(&[&format!("permessage-deflate; {parameters}")], rule);
    }
    refuses(&["permessage-deflate; client_max_window_bits"], "has no value");
    refuses(&["x-webkit-deflate-frame"], "is unknown");
    refuses(&["Permessage-Deflate"], "is unknown");
    refuses(&["permessage-deflate, mux"], "more than one");
    refuses(&["permessage-deflate", "permessage-deflate"], "more than one");
}

#[test]
fn an_upgrade_answers_what_it_does() {
    let upgrade = |config: Config, offer: &str| {
        let request = http::Request::get("/chat")
            .header("Host", "server.example.com")
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Protocol", "chat")
            .header("Sec-WebSocket-Extensions", offer)
            .body(())
            .unwrap();
        let accept = Accept::new().subprotocol("chat").config(config);
        let plain = server::respond_with(&request, accept.clone()).unwrap();
        assert!(!plain.headers().contains_key("sec-websocket-extensions"));
        let (response, upgrade) = server::upgrade(&request, accept).unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["sec-websocket-protocol"]),
            (101, &http::HeaderValue::from_static("chat"))
        );
        let conn = upgrade.over(Script::default());
        assert_eq!(conn.subprotocol(), Some("chat"));
        let other = Connection::from_raw(Script::default(), Role::Server, Config::default());
        let other = other.with_extensions(response.headers()).unwrap();
        assert_eq!(conn.compression(), other.compression());
        conn.compression().map(|agreed| agreed.server_max_window_bits)
    };
    let small = Config::default().compression(on().server_max_window_bits(11));
    assert_eq!(upgrade(small.clone(), "permessage-deflate"), Some(11));
    assert_eq!(upgrade(small.clone(), "permessage-deflate; server_max_window_bits=10"), Some(10));
    assert_eq!(upgrade(small, "x-webkit-deflate-frame"), None);
    assert_eq!(upgrade(Config::default(), "permessage-deflate"), None);
}

#[test]
fn both_ends_tell_what_they_have_agreed_on() {
    let conn = answered(on().client_max_window_bits(12), "permessage-deflate").unwrap();
    let agreed = conn.compression().unwrap();
    assert_eq!((agreed.server_max_window_bits, agreed.client_max_window_bits), (15, 12));
    let hooked = conn.on_each(|_, _| ()).on_finish(|_| ());
    assert_eq!(hooked.compression(), Some(agreed));
    let plain = connect(&with(on()), |request| switching(request, "")).unwrap();
    assert_eq!(plain.compression(), None);
}

#[test]
fn a_long_list_of_offers_takes_no_time() {
    let config = Config::default().compression(on()).max_head_size(1 << 20);
    let offers = "permessage-deflate; client_max_window_bits=99, ".repeat(10_000);
    let parameters = format!("permessage-deflate{}", "; server_max_window_bits=10".repeat(10_000));
    for extensions in [offers, parameters] {
        assert_eq!(answer(config.clone(), &extensions), None);
    }
}
