//! `Server` over loopback: where it listens, whom it lets in, what it answers.

#![cfg(feature = "runtime")]

mod support;

use std::{
    net::{SocketAddr, TcpListener},
    pin::pin,
    time::Duration,
};

use futures::{
    AsyncReadExt, AsyncWriteExt, SinkExt, StreamExt,
    channel::mpsc,
    future::{Either, join, select},
};
use smol::net::TcpStream;
use wsweave::{
    Accept, CloseCode, Config, Connection, ConnectionExt, ErrorKind, Refusal, Server, Socket,
    connect,
    http::{Response, StatusCode},
    listen,
};

use crate::support::{
    Frame, ManualClock, ask, greet, request,
    rt::{in_time, spawn, yield_now},
    upgraded, within,
};

fn url(server: &Server) -> String {
    format!("ws://{}", server.local_addr())
}

/// Has `server` accept whoever comes, in the background; the connections arrive here.
fn accepting(server: Server) -> (SocketAddr, mpsc::UnboundedReceiver<Connection>) {
    let addr = server.local_addr();
    let (sender, receiver) = mpsc::unbounded();
    spawn(server.map(Ok).forward(sender)).forget();
    (addr, receiver)
}

#[test]
fn one_server_listens_at_several_addresses() {
    within(async {
        let server = listen("127.0.0.1:0").await.unwrap().bind("127.0.0.2:0").await.unwrap();
        let mut server = server.bind("localhost:0").await.unwrap();
        let addrs = server.local_addrs();
        assert_eq!((addrs.len(), addrs[0]), (3, server.local_addr()));
        assert_eq!(server.handle().local_addrs(), addrs);
        for addr in addrs {
            let url = format!("ws://{addr}/{}", addr.port());
            let (client, conn) = join(connect(&url), server.next()).await;
            assert!(client.is_ok());
            assert_eq!(conn.unwrap().request().unwrap().uri().path(), format!("/{}", addr.port()));
        }
    });
}

#[test]
fn what_is_no_host_and_port_is_an_error() {
    within(async {
        for addr in ["", "localhost", "127.0.0.1", "localhost:", "localhost:http", "a:65536"] {
            let error = listen(addr).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{addr}");
            assert_eq!(error.to_string(), format!("`{addr}` is no HOST:PORT to listen on"));
        }
        let error = listen("name.invalid:0").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().starts_with("cannot listen on name.invalid:0: "), "{error}");
    });
}

#[test]
fn a_listener_made_elsewhere_is_served() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut server = Server::new().listener(listener).unwrap();
        assert_eq!(server.local_addr(), addr);
        let url = url(&server);
        let (client, conn) = join(connect(&url), server.next()).await;
        assert!(client.is_ok() && conn.is_some());
    });
}

#[test]
fn a_server_that_listens_nowhere_ends_at_once() {
    within(async {
        let mut server = Server::new();
        assert!(server.next().await.is_none());
        assert_eq!(server.serve(ConnectionExt::run).await.drained, 0);
    });
}

#[test]
fn settings_hold_whether_made_before_bind_or_after() {
    within(async {
        let refusing =
            |server: Server| server.on_request(|_| Err(Refusal::new(StatusCode::GONE, "over")));
        let before = refusing(Server::new()).bind("127.0.0.1:0").await.unwrap();
        let after = refusing(Server::new().bind("127.0.0.1:0").await.unwrap());
        for server in [before, after] {
            let (addr, _conns) = accepting(server);
            assert!(ask(addr, &request("/")).await.starts_with("HTTP/1.1 410 "));
        }
    });
}

#[test]
fn each_side_knows_the_address_of_the_other() {
    within(async {
        let (addr, mut conns) = accepting(listen("127.0.0.1:0").await.unwrap());
        let client = upgraded(addr).await;
        let mut conn = conns.next().await.unwrap();
        assert_eq!(conn.peer_addr(), Some(client.local_addr().unwrap()));
        conn.forget_head();
        let conn = conn.on_each(|_, _| ());
        assert_eq!(conn.peer_addr(), Some(client.local_addr().unwrap()));
        assert_eq!(connect(&format!("ws://{addr}")).await.unwrap().peer_addr(), Some(addr));
    });
}

#[test]
fn each_refusal_says_what_is_wrong() {
    within(async {
        let server = listen("127.0.0.1:0").await.unwrap().max_connections(0);
        let (addr, _conns) = accepting(server.on_request(|request| match request.uri().path() {
            "/chat" => Ok(Accept::new()),
            path => Err(Refusal::new(StatusCode::NOT_FOUND, format!("there is no {path}"))),
        }));
        let with = |from: &str, to: &str| request("/chat").replace(from, to);
        for (request, status, text) in [
            (with("Key: d", "Key: "), "400 Bad Request", "Sec-WebSocket-Key of 16 bytes"),
            (with("Host:", "Origin: null\r\nHost:"), "403 Forbidden", "Origins::list"),
            (with("/chat", "/x"), "404 Not Found", "there is no /x"),
            (with("GET", "POST"), "405 Method Not Allowed", "is a GET request"),
            (with("websocket", "h2c"), "426 Upgrade Required", "`Upgrade: websocket` is missing"),
            (with("n: 13", "n: 8"), "426 Upgrade Required", "one `Sec-WebSocket-Version: 13`"),
            (
                with("Host:", &format!("X: {:20000}\r\nHost:", "y")),
                "431 Request Header Fields Too Large",
                "larger than 16384 bytes",
            ),
            (with("", ""), "503 Service Unavailable", "as many connections as it may have"),
        ] {
            let answer = ask(addr, &request).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
            assert!(head.contains("content-type: text/plain; charset=utf-8"), "{head}");
            assert!(body.contains(text) && body.ends_with('\n'), "{status}: {body}");
        }
    });
}

#[test]
fn pages_live_beside_the_connections() {
    within(async {
        let server = listen("127.0.0.1:0").await.unwrap().max_connections(0);
        let (addr, _conns) = accepting(server.on_request(|request| match request.uri().path() {
            "/health" => Err(Response::new("fine\n").into()),
            _ => Ok(Accept::new()),
        }));
        let plain = |path| format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let answer = ask(addr, &plain("/health")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nfine\n"));
        // Of whatever origin: a page protects itself.
        let foreign = plain("/health").replace("Host", "Origin: null\r\nHost");
        assert!(ask(addr, &foreign).await.starts_with("HTTP/1.1 200 OK\r\n"));
        // To accept what is no handshake is not possible.
        assert!(ask(addr, &plain("/chat")).await.starts_with("HTTP/1.1 426 "));
        // With every place taken, too.
        assert!(ask(addr, &request("/health")).await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(ask(addr, &request("/chat")).await.starts_with("HTTP/1.1 503 "));
    });
}

#[test]
fn a_frame_right_behind_the_request_is_the_first_message() {
    within(async {
        let (addr, mut conns) = accepting(listen("127.0.0.1:0").await.unwrap());
        let mut client = TcpStream::connect(addr).await.unwrap();
        let frame = Frame::text("early").to(wsweave::Role::Server);
        client.write_all(&[request("/").into_bytes(), frame].concat()).await.unwrap();
        assert_eq!(conns.next().await.unwrap().next().await, Some("early".into()));
    });
}

#[test]
fn a_frame_behind_a_refused_request_is_dropped() {
    within(async {
        let refuse = |_: &_| Err(Refusal::new(StatusCode::NOT_FOUND, "nothing here"));
        let (addr, mut conns) = accepting(listen("127.0.0.1:0").await.unwrap().on_request(refuse));
        let answer = ask(addr, &format!("{}\u{1}\u{1}x", request("/"))).await;
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("nothing here\n"));
        assert!(conns.try_recv().is_err());
    });
}

#[test]
fn a_head_that_drips_has_ten_seconds_in_all() {
    within(async {
        let clock = ManualClock::new();
        let config = Config::default().timer(clock.clone());
        let (addr, mut conns) = accepting(listen("127.0.0.1:0").await.unwrap().config(config));
        let mut client = TcpStream::connect(addr).await.unwrap();
        let mut drips = 0;
        for byte in request("/").bytes() {
            // It fails once the server has ended the connection.
            let _ = client.write_all(&[byte]).await;
            clock.advance_secs(1);
            drips += 1;
            if let Some(end) = in_time(Duration::from_millis(20), client.read(&mut [0])).await {
                assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
                break;
            }
        }
        assert!((10..100).contains(&drips), "{drips}");
        assert!(conns.try_recv().is_err());
    });
}

#[test]
fn a_path_may_have_limits_of_its_own() {
    within(async {
        let mut server = listen("127.0.0.1:0").await.unwrap().on_request(|request| {
            Ok(match request.uri().path() {
                "/small" => Accept::new().config(Config::default().max_message_size(3)),
                _ => Accept::new(),
            })
        });
        let url = url(&server);
        for (path, code) in [("small", CloseCode::MESSAGE_TOO_BIG), ("large", CloseCode::NORMAL)] {
            let url = format!("{url}/{path}");
            let (client, conn) = join(connect(&url), server.next()).await;
            let mut client = client.unwrap();
            client.send("four".into()).await.unwrap();
            let (finish, _) = join(conn.unwrap().run(), client.close()).await;
            assert_eq!(finish.code, code);
        }
    });
}

#[test]
fn beyond_the_cap_requests_are_refused_for_now() {
    within(async {
        let server = listen("127.0.0.1:0").await.unwrap().max_connections(2);
        let handle = server.handle();
        let (addr, mut conns) = accepting(server);
        let (_one, two) = (upgraded(addr).await, upgraded(addr).await);
        let answer = ask(addr, &request("/")).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 10\r\n"));
        assert_eq!(handle.connections(), 2);

        let (_first, second) = (conns.next().await.unwrap(), conns.next().await.unwrap());
        assert_eq!(handle.connections(), 2);
        drop(two);
        second.run().await;
        // Nothing is left of it.
        assert_eq!(handle.connections(), 1);
        let _three = upgraded(addr).await;
    });
}

#[test]
fn a_connection_that_lingers_counts() {
    within(async {
        let server = listen("127.0.0.1:0").await.unwrap().max_connections(1);
        let handle = server.handle();
        let (addr, mut conns) = accepting(server);
        let mut silent = upgraded(addr).await;
        drop(conns.next().await.unwrap());
        // Its Close is out, and the client has not answered.
        silent.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(handle.connections(), 1);
        assert!(ask(addr, &request("/")).await.starts_with("HTTP/1.1 503 "));
        silent.write_all(&Frame::close(1001, "").to(wsweave::Role::Server)).await.unwrap();
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
        while handle.connections() > 0 {
            yield_now().await;
        }
        let _next = upgraded(addr).await;
    });
}

#[test]
fn the_transport_of_a_connection_counts() {
    within(async {
        let server = listen("127.0.0.1:0").await.unwrap();
        let handle = server.handle();
        let (addr, mut conns) = accepting(server);
        let _client = upgraded(addr).await;
        let transport: Socket = conns.next().await.unwrap().into_inner();
        assert_eq!(handle.connections(), 1);
        drop(transport);
        assert_eq!(handle.connections(), 0);
    });
}

#[test]
fn connections_are_served_side_by_side() {
    within(async {
        let server = listen("127.0.0.1:0").await.unwrap();
        let url = url(&server);
        let echo = server.serve(|conn| conn.on_each(|peer, m| peer.send(m.clone())).run());
        let _serving = spawn(echo);
        let mut clients = [connect(&url).await.unwrap(), connect(&url).await.unwrap()];
        for client in clients.iter_mut().rev() {
            client.send("hello".into()).await.unwrap();
            assert_eq!(client.next().await, Some("hello".into()));
        }
    });
}

#[test]
fn a_panic_in_one_task_does_not_end_the_server() {
    within(async {
        let server = listen("127.0.0.1:0").await.unwrap();
        let url = url(&server);
        let serving = server.serve(|conn| {
            let path = conn.request().unwrap().uri().path().to_owned();
            assert_ne!(path, "/at-once");
            async move {
                assert_ne!(path, "/later");
                conn.run().await
            }
        });
        let talk = async {
            for path in ["at-once", "later"] {
                let mut client = connect(&format!("{url}/{path}")).await.unwrap();
                assert_eq!(client.next().await, None);
                assert_eq!(client.finish().unwrap().code, CloseCode::INTERNAL_ERROR);
            }
            connect(&url).await.unwrap().close().await.unwrap();
        };
        assert!(matches!(select(pin!(talk), pin!(serving)).await, Either::Left(_)));
    });
}

#[test]
fn a_slow_handshake_holds_up_nobody() {
    within(async {
        let (addr, mut conns) = accepting(listen("127.0.0.1:0").await.unwrap());
        let mut slow = TcpStream::connect(addr).await.unwrap();
        let (start, rest) = (&request("/slow")[..30], &request("/slow")[30..]);
        slow.write_all(start.as_bytes()).await.unwrap();
        let _quick = upgraded(addr).await;
        let path = |conn: Option<Connection>| conn.unwrap().request().unwrap().uri().clone();
        assert_eq!(path(conns.next().await), "/");
        greet(&mut slow, rest).await;
        assert_eq!(path(conns.next().await), "/slow");
    });
}
