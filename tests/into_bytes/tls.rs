//! A session of TLS through a connection.

use std::io::ErrorKind;

use futures::{
    AsyncReadExt, AsyncWriteExt,
    future::join,
    io::{copy, sink},
};
use futures_rustls::{client, server};
use wsweave::{ByteStream, Config, Connection, ConnectionExt};

use crate::support::{rt::within, session::tls, tcp_pair};

#[test]
fn a_session_of_tls_has_its_bytes_both_ways_and_its_end() {
    within(async {
        let (mut client, mut server) = session().await;

        let data: Vec<u8> = (0..251).cycle().take(1 << 20).collect();
        let ask = async {
            client.write_all(&data).await.unwrap();
            client.flush().await.unwrap();
            let mut echo = vec![0; data.len()];
            client.read_exact(&mut echo).await.unwrap();
            assert!(echo == data);
            client.close().await.unwrap();
            // Its close_notify (RFC 8446, section 6.1) comes before its Close.
            assert_eq!(copy(&mut client, &mut sink()).await.unwrap(), 0);
        };
        let answer = async {
            let (mut reader, mut writer) = (&mut server).split();
            assert_eq!(copy(&mut reader, &mut writer).await.unwrap(), 1 << 20);
            // The client's Close comes behind its close_notify, and is not read yet.
            writer.close().await.unwrap();
        };
        join(ask, answer).await;
    });
}

#[test]
fn a_session_that_is_cut_is_known_for_that() {
    within(async {
        let (mut client, mut server) = session().await;
        client.write_all(b"half of").await.unwrap();
        client.flush().await.unwrap();
        // The connection ends as it should, the session in it does not.
        client.get_mut().0.close().await.unwrap();
        let mut read = Vec::new();
        let error = server.read_to_end(&mut read).await.unwrap_err();
        assert_eq!((&read[..], error.kind()), (&b"half of"[..], ErrorKind::UnexpectedEof));
    });
}

/// One of TLS, inside of a connection.
async fn session()
-> (client::TlsStream<ByteStream<Connection>>, server::TlsStream<ByteStream<Connection>>) {
    let [client, server] = tcp_pair(&Config::default());
    let (connector, acceptor) = tls::both_ends();
    let (client, server) = join(
        connector.connect("inside".try_into().unwrap(), client.into_bytes()),
        acceptor.accept(server.into_bytes()),
    )
    .await;
    (client.unwrap(), server.unwrap())
}
