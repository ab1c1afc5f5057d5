//! Peers that speak TLS to whom does not, and the other way round.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, SinkExt, StreamExt, join};
use smol::net::TcpStream;
use wsweave::{Client, ClientTls, Config, ErrorKind, Server};

use crate::{
    certificates::{Authority, LOOPBACK},
    peers::{
        assert_meet, client, connect_tls, listener, meet, refused, serve, trusting, while_serving,
    },
    rt::within,
};

#[test]
fn a_plain_server_is_told_from_one_with_tls() {
    within(async {
        let mut server = Server::new().bind("127.0.0.1:0").await.unwrap();
        let addr = server.handle().local_addrs()[0];
        let error =
            refused(&client(addr, ClientTls::new().danger_accept_invalid_certs()), &mut server)
                .await;
        assert_eq!(error.kind(), ErrorKind::Tls);
        assert_eq!(error.to_string(), "localhost does not speak TLS at this port; is it ws://?");
        assert!(!error.is_retryable());
    });
}

#[test]
fn a_server_that_speaks_first_is_told_from_one_with_tls() {
    within(async {
        let (listener, addr) = listener().await;
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
            stream
        };
        let tls = ClientTls::new().danger_accept_invalid_certs();
        let client = client(addr, tls);
        let (connected, _open) = join!(client.connect(), server);
        let error = connected.unwrap_err();
        assert!(error.to_string().ends_with("is it ws://?"), "{error}");
    });
}

#[test]
fn a_server_that_vanishes_in_the_tls_handshake_is_an_error_of_the_network() {
    within(async {
        let (listener, addr) = listener().await;
        let tls = ClientTls::new().danger_accept_invalid_certs();
        let client = client(addr, tls);
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
        };
        let (connected, ()) = join!(client.connect(), server);
        let error = connected.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.is_retryable());
        assert!(error.to_string().contains("use ws://"), "{error}");
    });
}

#[test]
fn a_server_with_tls_is_told_from_a_plain_one() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let plain = Client::new(&format!("ws://{addr}/")).unwrap();
        let error = refused(&plain, &mut server).await;
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert_eq!(error.to_string(), "the server speaks TLS at this port; is it wss://?");
        assert!(!error.is_retryable());
        assert_meet(&client(addr, trusting(&authority)), &mut server).await;
    });
}

#[test]
fn a_plain_client_gets_an_alert_from_a_server_with_tls() {
    within(async {
        let (mut server, addr) = serve(Authority::new().issue(&LOOPBACK).server()).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // More than one read takes: what is left must not make the end a reset.
        stream.write_all(&b"GET / HTTP/1.1\r\n".repeat(2000)).await.unwrap();
        let mut answer = Vec::new();
        while_serving(stream.read_to_end(&mut answer), &mut server).await.unwrap();
        assert_eq!(answer[..2], [0x15, 3], "{answer:?}");
    });
}

#[test]
fn a_slow_handshake_does_not_stop_the_others() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let mut silent = Vec::new();
        for _ in 0..20 {
            silent.push(TcpStream::connect(addr).await.unwrap());
        }
        let (mut client, mut conn) = meet(&client(addr, trusting(&authority)), &mut server).await;
        client.send("hello".into()).await.unwrap();
        assert_eq!(conn.next().await, Some("hello".into()));
        assert!(server.next().now_or_never().is_none());
    });
}

#[test]
fn the_time_of_a_handshake_covers_tls_and_the_request_together() {
    within(async {
        let authority = Authority::new();
        let (server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let limit = Config::default().handshake_timeout(Duration::from_millis(300));
        let mut server = server.config(limit);
        // Half a record's header, and then a whole TLS handshake without a request.
        let mut silent = TcpStream::connect(addr).await.unwrap();
        silent.write_all(&[22, 3]).await.unwrap();
        let end = while_serving(silent.read(&mut [0]), &mut server).await;
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");

        let mut greeted = while_serving(connect_tls(addr, &authority), &mut server).await;
        greeted.write_all(b"GET").await.unwrap();
        let end = while_serving(greeted.read(&mut [0]), &mut server).await;
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    });
}
