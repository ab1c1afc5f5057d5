//! Peers that speak another protocol: there is nothing to wait for.

use futures::{executor::block_on, future::poll_immediate};
use wsweave::{Acceptor, Client, Error, ErrorKind};

use crate::{
    client::{client, connect, switching},
    script::{Script, Step},
};

/// What becomes of a client whose server sends this and then waits, for an hour if need be.
fn answered(client: &Client, start: &[u8]) -> Option<Error> {
    let sent = client.connect_over(Script::whole(start));
    // The script wakes once for each thing that it does.
    block_on(async {
        let mut sent = std::pin::pin!(sent);
        for _ in 0..3 {
            if let Some(result) = poll_immediate(&mut sent).await {
                return Some(result.unwrap_err());
            }
        }
        None
    })
}

#[test]
fn an_answer_that_is_not_http_is_known_by_its_first_bytes() {
    for start in
        ["SSH-2.0-OpenSSH", "220 mail", "HTTQ", "h", "\0", "\r\nhttp/1.1", "\n\rx", "GET /"]
    {
        let error = answered(&client(), start.as_bytes()).expect(start);
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert_eq!(error.to_string(), "the server's answer is not HTTP", "{start}");
    }
    for start in ["H", "HTTP/", "\r", "\r\n", "\n\r\nHTTP/1.1 101"] {
        assert!(answered(&client(), start.as_bytes()).is_none(), "{start}");
    }
}

#[test]
fn a_server_that_speaks_tls_is_known_by_its_first_bytes() {
    let alert: &[u8] = &[0x15, 3, 1, 0, 2, 2, 70];
    for length in [1, 2, alert.len()] {
        let error = answered(&client(), &alert[..length]).unwrap();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert_eq!(error.to_string(), "the server speaks TLS at this port; is it wss://?");
        assert!(!error.is_retryable());

        let over_tls = Client::new("wss://server.example.com/").unwrap();
        let error = answered(&over_tls, &alert[..length]).unwrap();
        assert_eq!(error.to_string(), "the server's answer is not HTTP");
    }
}

#[test]
fn an_end_instead_of_an_answer_is_explained() {
    for (url, length, words) in [
        ("ws://a.example/", 0, "use wss://"),
        ("ws://a.example/", 1, "before its handshake was complete"),
        ("wss://a.example/", 0, "before its handshake was complete"),
    ] {
        let answer = move |request: &str| switching(request, "").as_bytes()[..length].to_vec();
        let io = Script::new([Step::Answer(Box::new(answer))]);
        let error = block_on(Client::new(url).unwrap().connect_over(io)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn an_answer_behind_an_informational_one_is_looked_at_too() {
    let answer = |_: &str| "HTTP/1.1 100 Continue\r\n\r\nSSH".to_owned();
    assert_eq!(connect(&client(), answer).unwrap_err().kind(), ErrorKind::Handshake);
}

#[test]
fn a_client_that_speaks_tls_is_answered_at_once() {
    let hello: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    for length in [1, 2, hello.len()] {
        let io = Script::new([Step::Send(hello[..length].to_vec())]);
        let log = io.log();
        let error = block_on(Acceptor::new().accept(io)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert!(error.to_string().contains("not HTTP but TLS"), "{error}");
        assert!(log.written().starts_with("HTTP/1.1 400 "), "{}", log.written());
    }
}
