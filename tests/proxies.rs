//! Proxies: HTTP CONNECT and SOCKS5, played by hand.

#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::JoinHandle,
    time::Duration,
};

use futures::StreamExt;
use wsweave::{Client, Config, Connection, ConnectionExt, Error, ErrorKind, Proxy};

use crate::support::{answering, header, read_head, serve_one, switching, wait_for_end, within};

const OK: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// Connects by way of a proxy at that address; `TCP` in its URL stands for it.
fn connect_by(proxy: &str, addr: SocketAddr, url: &str) -> Result<Connection, Error> {
    let proxy = Proxy::new(&proxy.replace("TCP", &addr.to_string())).unwrap();
    within(Client::new(url).unwrap().proxy(proxy).connect())
}

/// A proxy that answers so, then is the server, too, and tells what it was asked.
fn tunnelling(answer: &'static str) -> (SocketAddr, JoinHandle<[String; 2]>) {
    serve_one(move |mut stream| {
        let asked = read_head(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        [asked, be_the_server(&mut stream)]
    })
}

/// Accepts the handshake, and sends a message right behind.
fn be_the_server(stream: &mut TcpStream) -> String {
    let request = read_head(stream);
    stream.write_all(&[switching(&request).as_bytes(), b"\x81\x05Hello"].concat()).unwrap();
    request
}

#[test]
fn an_http_proxy_is_asked_for_a_tunnel() {
    for (url, authority) in [
        ("ws://nobody.invalid/room", "nobody.invalid:80"),
        ("ws://nobody.invalid:8080/room", "nobody.invalid:8080"),
        ("ws://bücher.invalid/room", "xn--bcher-kva.invalid:80"),
        ("ws://[2001:db8::1]/room", "[2001:db8::1]:80"),
        ("ws://127.0.0.1/room", "127.0.0.1:80"),
    ] {
        let (addr, proxy) = tunnelling(OK);
        let mut conn = connect_by("http://TCP", addr, url).unwrap();
        assert_eq!(within(conn.next()), Some("Hello".into()));
        assert_eq!(conn.peer_addr(), None);
        let [asked, request] = proxy.join().unwrap();
        assert_eq!(asked, format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
        assert!(request.starts_with("GET /room HTTP/1.1\r\n"));
    }
}

#[test]
fn an_http_proxy_learns_its_user_and_the_server_does_not() {
    let (addr, proxy) = tunnelling(OK);
    let _conn = connect_by("http://Aladdin:open%20sesame@TCP", addr, "ws://a.example/").unwrap();
    let [asked, request] = proxy.join().unwrap();
    let basic = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(header(&asked, "proxy-authorization"), basic);
    assert_eq!(header(&request, "proxy-authorization"), None);
}

#[test]
fn a_proxy_does_not_learn_what_is_for_the_server() {
    let (addr, proxy) = tunnelling(OK);
    let _conn = connect_by("http://TCP", addr, "ws://user:password@a.example/").unwrap();
    let [asked, request] = proxy.join().unwrap();
    assert_eq!(header(&asked, "authorization"), None);
    assert!(header(&request, "authorization").is_some());
}

#[test]
fn any_success_and_any_interim_answer_will_do() {
    for answer in [
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nVia: x\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    ] {
        let (addr, _) = tunnelling(answer);
        let _conn = connect_by("http://TCP", addr, "ws://a.example/").unwrap();
    }
}

#[test]
fn what_comes_behind_a_proxys_answer_is_the_servers() {
    let (addr, _) = serve_one(|mut stream| {
        read_head(&mut stream);
        let refusal = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
        stream.write_all(format!("{OK}{refusal}").as_bytes()).unwrap();
        wait_for_end(&mut stream);
    });
    let error = connect_by("http://TCP", addr, "ws://a.example/").unwrap_err();
    assert_eq!(error.to_string(), "the server answered the handshake with 404 Not Found");
    assert_eq!(error.response().unwrap().body(), "no");
}

#[test]
fn a_proxy_that_refuses_is_an_error_that_says_so() {
    for (status, retryable) in [
        ("403 Forbidden", false),
        ("302 Found", false),
        ("429 Too Many Requests", true),
        ("503 Service Unavailable", true),
        ("101 Switching Protocols", false),
    ] {
        let (addr, _) = answering(move |_| {
            format!("HTTP/1.1 {status}\r\nLocation: /x\r\nContent-Length: 3\r\n\r\nno!")
        });
        let proxy = Proxy::new(&format!("http://{addr}")).unwrap();
        let client = Client::new("ws://a.example/").unwrap().proxy(proxy).follow_redirects(3);
        let error = within(client.connect()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        let text = format!("the proxy {addr} refused the way to a.example:80 with {status}");
        assert_eq!(error.to_string(), text);
        assert_eq!(error.is_retryable(), retryable, "{status}");
        assert_eq!(error.response().unwrap().headers()["location"], "/x");
        assert_eq!(error.response().unwrap().body(), "no!");
    }
}

#[test]
fn a_proxy_that_wants_a_user_is_an_error_that_says_so() {
    let (addr, _) = answering(|_| {
        "HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n".to_owned()
    });
    let error = connect_by("http://TCP", addr, "ws://a.example/").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!error.is_retryable());
    assert_eq!(
        error.to_string(),
        format!(
            "the proxy {addr} wants a user and a password, or others than those in its URL \
             (407 Proxy Authentication Required)"
        )
    );
    assert_eq!(error.response().unwrap().headers()["proxy-authenticate"], "Basic");
}

/// What a SOCKS5 proxy was asked for: the user and the password, and the address with its type.
struct Socks {
    login: Option<(String, String)>,
    target: Vec<u8>,
}

fn read_exactly(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn read_counted(stream: &mut TcpStream) -> Vec<u8> {
    let count = read_exactly(stream, 1)[0];
    read_exactly(stream, count.into())
}

/// Reads what a SOCKS5 client asks for (RFC 1928), and asks for a user if that is wanted.
fn accept_socks(stream: &mut TcpStream, wants_login: bool) -> Socks {
    assert_eq!(read_exactly(stream, 1), [5]);
    let methods = read_counted(stream);
    let method = if wants_login { 2 } else { 0 };
    assert!(methods.contains(&method), "{methods:?}");
    stream.write_all(&[5, method]).unwrap();
    let login = wants_login.then(|| {
        assert_eq!(read_exactly(stream, 1), [1]);
        let [user, password] = [(); 2].map(|()| String::from_utf8(read_counted(stream)).unwrap());
        stream.write_all(&[1, 0]).unwrap();
        (user, password)
    });
    assert_eq!(read_exactly(stream, 3), [5, 1, 0]);
    let kind = read_exactly(stream, 1)[0];
    let addr = match kind {
        1 => read_exactly(stream, 4),
        3 => read_counted(stream),
        _ => read_exactly(stream, 16),
    };
    let port = read_exactly(stream, 2);
    Socks { login, target: [&[kind], &addr[..], &port].concat() }
}

/// A SOCKS5 proxy that is the server, too.
fn socks(wants_login: bool) -> (SocketAddr, JoinHandle<Socks>) {
    serve_one(move |mut stream| {
        let socks = accept_socks(&mut stream, wants_login);
        // Bound to a name, which is the longest answer; the tunnel begins right behind it.
        stream.write_all(b"\x05\0\0\x03\x05bound\0\x50").unwrap();
        be_the_server(&mut stream);
        socks
    })
}

#[test]
fn a_socks_proxy_connects_to_addresses() {
    for scheme in ["socks5", "socks5h"] {
        for (url, target) in [
            ("ws://10.1.2.3:258/", &b"\x01\x0a\x01\x02\x03\x01\x02"[..]),
            ("ws://[::1]/", b"\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50"),
        ] {
            let (addr, proxy) = socks(false);
            let mut conn = connect_by(&format!("{scheme}://TCP"), addr, url).unwrap();
            assert_eq!(within(conn.next()), Some("Hello".into()));
            assert_eq!(conn.peer_addr(), None);
            let asked = proxy.join().unwrap();
            assert_eq!((asked.target.as_slice(), asked.login), (target, None), "{scheme} {url}");
        }
    }
}

#[test]
fn names_are_looked_up_by_the_proxy_of_socks5h_and_by_nobody_else() {
    let (addr, proxy) = socks(false);
    let _conn = connect_by("socks5h://TCP", addr, "ws://nobody.invalid/").unwrap();
    assert_eq!(proxy.join().unwrap().target, b"\x03nobody.invalid\0\x50");

    let (addr, proxy) = socks(false);
    let _conn = connect_by("socks5://TCP", addr, "ws://localhost/").unwrap();
    let target = proxy.join().unwrap().target;
    assert!([1, 4].contains(&target[0]), "{target:?}");
}

#[test]
fn a_socks_proxy_learns_its_user() {
    let (addr, proxy) = socks(true);
    let _conn = connect_by("socks5h://Aladdin:open%20sesame@TCP", addr, "ws://a.example/").unwrap();
    let login = proxy.join().unwrap().login.unwrap();
    assert_eq!(login, ("Aladdin".to_owned(), "open sesame".to_owned()));
}

#[test]
fn each_refusal_of_a_socks_proxy_is_an_error_that_says_so() {
    for (code, kind, text) in [
        (1, ErrorKind::Io, "opened no way to a.example:80: General SOCKS server failure"),
        (2, ErrorKind::Refused, "refused the way to a.example:80: "),
        (3, ErrorKind::Io, "opened no way to a.example:80: Network unreachable"),
        (4, ErrorKind::Io, "opened no way to a.example:80: Host unreachable"),
        (5, ErrorKind::Io, "opened no way to a.example:80: Connection refused"),
        (6, ErrorKind::Io, "opened no way to a.example:80: TTL expired"),
        (7, ErrorKind::Refused, "refused the way to a.example:80: "),
        (8, ErrorKind::Refused, "refused the way to a.example:80: "),
        (9, ErrorKind::Handshake, "does not speak SOCKS5: "),
    ] {
        let (addr, _) = serve_one(move |mut stream| {
            accept_socks(&mut stream, false);
            stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            wait_for_end(&mut stream);
        });
        let error = connect_by("socks5h://TCP", addr, "ws://a.example/").unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().starts_with(&format!("the proxy {addr} {text}")), "{error}");
        assert_eq!(error.is_retryable(), kind == ErrorKind::Io);
    }
}

/// A SOCKS5 proxy that reads so much before each of its answers.
fn scripted(answers: &'static [(usize, &[u8])]) -> SocketAddr {
    let (addr, _) = serve_one(move |mut stream| {
        for (count, answer) in answers {
            read_exactly(&mut stream, *count);
            stream.write_all(answer).unwrap();
        }
        wait_for_end(&mut stream);
    });
    addr
}

#[test]
fn a_socks_proxy_that_wants_a_user_is_an_error_that_says_so() {
    let wrong_password: &[(usize, &[u8])] = &[(4, b"\x05\x02"), (7, b"\x01\x01")];
    for (proxy, answers) in [
        ("socks5h://TCP", &[(3, b"\x05\xff" as &[u8])][..]),
        ("socks5h://TCP", &[(3, b"\x05\x02")]),
        ("socks5h://us:er@TCP", wrong_password),
        ("socks5h://us:er@TCP", &[(4, b"\x05\xff")]),
    ] {
        let error = connect_by(proxy, scripted(answers), "ws://a.example/").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("wants a user and a password"), "{error}");
        assert!(!error.is_retryable());
    }
}

#[test]
fn garbage_of_a_socks_proxy_is_an_error() {
    for answers in [
        &[(3, b"HTTP/1.1 400 Bad Request" as &[u8])][..],
        &[(3, b"\x05\x07")],
        &[(3, b"\x05\0"), (10, b"\x04\0\0\x01\0\0\0\0\0\0")],
        &[(3, b"\x05\0"), (10, b"\x05\0\0\x07\0\0\0\0\0\0")],
        &[(3, b"\x05\0"), (10, b"\x05\0\x01\x01\0\0\0\0\0\0")],
    ] {
        let error = connect_by("socks5h://TCP", scripted(answers), "ws://10.0.0.1/").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert!(error.to_string().contains("does not speak SOCKS5"), "{error}");
    }
}

#[test]
fn a_socks_proxy_that_goes_is_an_error_of_the_network() {
    let (addr, _) = serve_one(|mut stream| stream.write_all(b"\x05").unwrap());
    let error = connect_by("socks5h://TCP", addr, "ws://a.example/").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.is_retryable());
}

#[test]
fn a_silent_proxy_is_an_error_in_time() {
    for scheme in ["http", "socks5", "socks5h"] {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::new(&format!("{scheme}://{}", silent.local_addr().unwrap())).unwrap();
        let config = Config::default().connect_timeout(Duration::from_millis(50));
        let client = Client::new("ws://127.0.0.1/").unwrap().proxy(proxy).config(config);
        let error = within(client.connect()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{scheme}");
    }
}

#[test]
fn a_proxy_that_is_not_there_is_an_error_that_names_it() {
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["http", "socks5h"] {
        let error = connect_by(&format!("{scheme}://TCP"), addr, "ws://a.example/").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        let text = format!(
            "the proxy cannot be reached: cannot connect to 127.0.0.1 port {}",
            addr.port()
        );
        assert!(error.to_string().starts_with(&text), "{error}");
    }
}

#[test]
fn a_proxy_leads_to_the_other_host_of_connect_to() {
    let (addr, proxy) = tunnelling(OK);
    let client = Client::new("ws://a.example/").unwrap();
    let client = client.proxy(Proxy::new(&format!("http://{addr}")).unwrap());
    let _conn = within(client.connect_to("b.example", 8080)).unwrap();
    let [asked, request] = proxy.join().unwrap();
    assert!(asked.starts_with("CONNECT b.example:8080 "), "{asked}");
    assert_eq!(header(&request, "host"), Some("a.example"));
}

#[test]
fn what_is_no_proxy_is_an_error_when_built() {
    let long = format!("socks5://{}:x@proxy", "u".repeat(256));
    for (url, text) in [
        ("", "http://, socks5:// or socks5h://"),
        ("proxy:3128", "http://, socks5:// or socks5h://"),
        ("https://proxy", "http://, socks5:// or socks5h://"),
        ("socks4://proxy", "http://, socks5:// or socks5h://"),
        ("http://", "not valid"),
        ("http:proxy", "not valid"),
        ("http://proxy\n", "not valid"),
        ("socks5://", "no host"),
        ("socks5:proxy", "no host"),
        ("socks5://user@", "host"),
        ("http://proxy:0", "port 0"),
        ("http://proxy:99999", "port"),
        ("http://proxy/path", "ends with"),
        ("http://proxy?x", "ends with"),
        ("http://proxy#x", "ends with"),
        ("http://a%3Ab:c@proxy", "colon"),
        ("socks5://user@proxy", "RFC 1929"),
        ("socks5://:password@proxy", "RFC 1929"),
        ("socks5://%ff:password@proxy", "RFC 1929"),
        (&long, "RFC 1929"),
    ] {
        let error = Proxy::new(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
        assert!(error.to_string().contains(text), "{url}: {error}");
    }
}

#[test]
fn a_proxys_password_does_not_show() {
    for url in ["http://user:hush@proxy", "socks5://user:hush@proxy"] {
        let proxy = Proxy::new(url).unwrap();
        let client = Client::new("ws://a.example/").unwrap().proxy(proxy.clone());
        let shown = format!("{proxy:?} {client:?}");
        assert!(!shown.contains("hush") && !shown.contains("dXNlcjpodXNo"), "{shown}");
    }
}
