//! The closing handshake over TLS, with peers that have manners of their own.

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, join};
use futures_rustls::server::TlsStream;
use smol::net::TcpStream;
use wsweave::{Acceptor, Client, Connection, ConnectionExt, Initiator};

use crate::{
    certificates::{Authority, LOOPBACK},
    peers::{accept_tls, client, connect_tls, listener, serve, trusting},
    rt::within,
};

#[test]
fn a_server_ends_tls_and_tcp_in_order() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let peer = async {
            let tls = connect_tls(addr, &authority).await;
            let client = Client::new("wss://localhost/").unwrap();
            client.connect_over(tls).await.unwrap().into_inner()
        };
        let (mut peer, conn) = join!(peer, server.next());
        let mut conn = conn.unwrap();
        let peer = async {
            // A masked Close without a code, and then the answer.
            peer.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
            let mut rest = Vec::new();
            // Without close_notify it would be an error.
            peer.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"\x88\x00");
            let (mut tcp, _) = peer.into_inner();
            assert_eq!(tcp.read(&mut [0]).await.unwrap(), 0);
        };
        let (end, ()) = join!(conn.next(), peer);
        assert!(end.is_none() && conn.finish().unwrap().clean);
    });
}

#[test]
fn a_client_ends_tls_and_tcp_in_order() {
    within(async {
        let (mut conn, mut peer) = client_and_peer().await;
        let peer = async {
            peer.write_all(b"\x88\x00").await.unwrap();
            assert_answered(&mut peer).await;
            peer.close().await.unwrap();
            assert_eq!(peer.read(&mut [0]).await.unwrap(), 0, "close_notify");
            let (mut tcp, _) = peer.into_inner();
            assert_eq!(tcp.read(&mut [0]).await.unwrap(), 0);
        };
        let (end, ()) = join!(conn.next(), peer);
        assert!(end.is_none() && conn.finish().unwrap().clean);
    });
}

#[test]
fn an_end_without_close_notify_is_clean_behind_both_closes() {
    within(async {
        let (mut conn, mut peer) = client_and_peer().await;
        let peer = async {
            peer.write_all(b"\x88\x00").await.unwrap();
            assert_answered(&mut peer).await;
            // Here it is dropped, which ends TCP alone.
            drop(peer);
        };
        let (end, ()) = join!(conn.next(), peer);
        assert!(end.is_none());
        assert!(conn.finish().unwrap().clean);
    });
}

#[test]
fn an_end_without_close_notify_is_unclean_before_that() {
    within(async {
        for (sent, words) in [
            (b"\x81\x05Hello".as_slice(), "the peer ended the connection without a Close"),
            (b"\x81\x05Hello\x81\x05Hel", "the peer ended the connection in the middle of"),
        ] {
            let (mut conn, mut peer) = client_and_peer().await;
            peer.write_all(sent).await.unwrap();
            peer.flush().await.unwrap();
            drop(peer);
            assert_eq!(conn.next().await, Some("Hello".into()));
            assert_eq!(conn.next().await, None);
            let finish = conn.finish().unwrap();
            assert!(!finish.clean);
            assert_eq!(finish.initiator, Initiator::Network);
            let text = finish.error.as_ref().unwrap().to_string();
            assert!(text.starts_with(words), "{text}");
        }
    });
}

/// Reads the Close that answers an empty one.
async fn assert_answered(peer: &mut TlsStream<TcpStream>) {
    let mut answer = [0; 6];
    peer.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[..2], [0x88, 0x80]);
}

/// Our client and the other side's bare TLS stream, after the opening handshake.
async fn client_and_peer() -> (Connection, TlsStream<TcpStream>) {
    let authority = Authority::new();
    let identity = authority.issue(&LOOPBACK);
    let (listener, addr) = listener().await;
    let peer = async {
        let tls = accept_tls(&listener, &identity).await;
        Acceptor::new().accept(tls).await.unwrap().into_inner()
    };
    let client = client(addr, trusting(&authority));
    let (conn, peer) = join!(client.connect(), peer);
    (conn.unwrap(), peer)
}
