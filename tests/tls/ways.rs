//! Every way to a server leads to TLS with the host of the URL.

use std::{
    future::Future,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread::{self, JoinHandle},
};

use futures::{StreamExt, join};
use wsweave::{
    Accept, Client, Connection, ConnectionExt, Error, ErrorKind, Proxy, Server,
    http::{Response, header::LOCATION},
};

use crate::{
    certificates::{Authority, LOOPBACK},
    peers::{assert_meet, refused, serve, trusting, while_serving},
    support::{read_head, serve_one, within},
};

/// A proxy that leads one client to `server`, whoever it asks for, which is told.
fn proxy(
    server: SocketAddr,
    negotiate: fn(&mut TcpStream) -> String,
) -> (SocketAddr, JoinHandle<String>) {
    serve_one(move |mut client| {
        let asked = negotiate(&mut client);
        let server = TcpStream::connect(server).unwrap();
        let back = [server.try_clone().unwrap(), client.try_clone().unwrap()];
        for direction in [back, [client, server]] {
            thread::spawn(move || relay(direction));
        }
        asked
    })
}

fn relay([mut from, mut to]: [TcpStream; 2]) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn by_http(client: &mut TcpStream) -> String {
    let asked = read_head(client);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    asked
}

/// For a name, and without a user (RFC 1928).
fn by_socks(client: &mut TcpStream) -> String {
    let mut greeting = [0; 3];
    client.read_exact(&mut greeting).unwrap();
    client.write_all(b"\x05\0").unwrap();
    let mut start = [0; 5];
    client.read_exact(&mut start).unwrap();
    let mut target = vec![0; usize::from(start[4]) + 2];
    client.read_exact(&mut target).unwrap();
    client.write_all(b"\x05\0\0\x01\0\0\0\0\0\0").unwrap();
    target.truncate(start[4].into());
    String::from_utf8(target).unwrap()
}

#[test]
fn a_proxy_leads_to_tls_with_the_server() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&["chat.example"]).server()).await;
        for (scheme, negotiate, expected) in [
            ("http", by_http as fn(&mut TcpStream) -> String, "CONNECT chat.example:443 HTTP/1.1"),
            ("socks5h", by_socks, "chat.example"),
        ] {
            let (proxy, asked) = proxy(addr, negotiate);
            let proxy = Proxy::new(&format!("{scheme}://{proxy}")).unwrap();
            let client = Client::new("wss://chat.example/").unwrap().proxy(proxy);
            assert_meet(&client.tls(trusting(&authority)), &mut server).await;
            assert_eq!(asked.join().unwrap().lines().next(), Some(expected));
        }
    });
}

#[test]
fn a_proxy_cannot_be_the_server() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let (proxy, _asked) = proxy(addr, by_http);
        let proxy = Proxy::new(&format!("http://{proxy}")).unwrap();
        let client = Client::new("wss://chat.example/").unwrap().proxy(proxy);
        let error = refused(&client.tls(trusting(&authority)), &mut server).await;
        assert_eq!(error.kind(), ErrorKind::Tls);
        let text = error.to_string();
        assert!(text.starts_with("the certificate of chat.example is for another name"), "{text}");
    });
}

/// The host that a client asked for which comes by this way.
async fn host_asked_for(
    connecting: impl Future<Output = Result<Connection, Error>>,
    server: &mut Server,
) -> String {
    let (client, server) = join!(connecting, server.next());
    let _client = client.unwrap();
    server.unwrap().request().unwrap().headers()["host"].to_str().unwrap().to_owned()
}

#[test]
fn another_host_and_port_still_has_to_be_the_urls_host() {
    within(async {
        let authority = Authority::new();
        let client = Client::new("wss://chat.example/").unwrap().tls(trusting(&authority));

        let (mut server, addr) = serve(authority.issue(&["chat.example"]).server()).await;
        let connecting = client.connect_to("localhost", addr.port());
        assert_eq!(host_asked_for(connecting, &mut server).await, "chat.example");

        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let connecting = client.connect_to("localhost", addr.port());
        let error = while_serving(connecting, &mut server).await.unwrap_err();
        assert!(error.to_string().contains("chat.example is for another name"), "{error}");
    });
}

#[cfg(unix)]
#[test]
fn a_unix_socket_still_has_to_be_the_urls_host() {
    within(async {
        let authority = Authority::new();
        let client = Client::new("wss://chat.example/").unwrap().tls(trusting(&authority));
        let path = authority.root().with_file_name("socket");

        let tls = authority.issue(&["chat.example"]).server();
        let mut server = Server::new().tls(tls).bind_unix(&path).unwrap();
        let connecting = client.connect_unix(&path);
        assert_eq!(host_asked_for(connecting, &mut server).await, "chat.example");
        drop(server);

        let tls = authority.issue(&LOOPBACK).server();
        let mut server = Server::new().tls(tls).bind_unix(&path).unwrap();
        let error = while_serving(client.connect_unix(&path), &mut server).await.unwrap_err();
        assert!(error.to_string().contains("chat.example is for another name"), "{error}");
    });
}

/// Sends clients of `/start` to `location`.
fn redirecting(server: Server, location: String) -> Server {
    server.on_request(move |request| match request.uri().path() {
        "/start" => {
            let answer = Response::builder().status(302).header(LOCATION, &location);
            Err(answer.body("").unwrap().into())
        }
        _ => Ok(Accept::new()),
    })
}

#[test]
fn a_redirect_is_followed_to_tls_and_never_out_of_it() {
    within(async {
        let authority = Authority::new();
        let identity = authority.issue(&LOOPBACK);
        let (mut secure, secure_addr) = serve(identity.server()).await;
        let plain = Server::new().bind("127.0.0.1:0").await.unwrap();
        let plain_addr = plain.local_addr();

        let mut plain = redirecting(plain, format!("wss://localhost:{}/", secure_addr.port()));
        let client = Client::new(&format!("ws://{plain_addr}/start")).unwrap();
        let client = client.tls(trusting(&authority)).follow_redirects(1);
        let connecting = while_serving(client.connect(), &mut plain);
        let host = host_asked_for(connecting, &mut secure).await;
        assert_eq!(host, format!("localhost:{}", secure_addr.port()));

        let mut secure = redirecting(secure, format!("ws://{plain_addr}/"));
        let client = Client::new(&format!("wss://{secure_addr}/start")).unwrap();
        let client = client.tls(trusting(&authority)).follow_redirects(1);
        let asking_the_plain_one = while_serving(client.connect(), &mut plain);
        let error = while_serving(asking_the_plain_one, &mut secure).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(
            error.to_string(),
            "the redirect is not followed: it leads from wss:// to ws://"
        );
    });
}
