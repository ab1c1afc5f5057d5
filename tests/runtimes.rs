//! Every runtime: its clock, its sockets, and a connection that leaves its context.

#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::time::Duration;

use futures::{
    AsyncReadExt, AsyncWriteExt, FutureExt, SinkExt, StreamExt, executor::block_on, future::join,
};
use wsweave::{
    Client, CloseCode, Config, Connection, ConnectionExt, ErrorKind, Role, Socket, listen,
};

use crate::support::{
    rt::{socket, tcp_streams},
    tcp_pair, within,
};

const SHORT: Duration = Duration::from_millis(10);

/// A connection to a peer that says nothing, and that peer.
fn beside_a_silent_peer(config: Config) -> (Connection, std::net::TcpStream) {
    let [near, far] = tcp_streams();
    (Connection::from_raw(socket(near), Role::Client, config), far)
}

#[test]
fn keepalive_notices_a_silent_peer() {
    within(async {
        let config = Config::default().keepalive_interval(Some(SHORT)).keepalive_timeout(SHORT);
        let (mut conn, _peer) = beside_a_silent_peer(config);
        assert_eq!(conn.next().await, None);
        let finish = conn.finish().unwrap();
        assert!(!finish.clean);
        assert_eq!(finish.error.as_ref().unwrap().to_string(), "no answer to keepalive");
    });
}

#[test]
fn keepalive_measures_the_round_trip() {
    within(async {
        let [client, server] = tcp_pair(&Config::default().keepalive_interval(Some(SHORT)));
        let mut client = client.on_pong(|peer, _| peer.close_with(CloseCode::NORMAL, ""));
        join(client.next(), server.collect::<Vec<_>>()).await;
        assert!(client.latency().is_some());
    });
}

#[test]
fn the_closing_handshake_has_its_limit() {
    within(async {
        let (mut conn, _peer) = beside_a_silent_peer(Config::default().close_timeout(SHORT));
        let error = conn.close_with(CloseCode::NORMAL, "").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    });
}

#[test]
fn a_stuck_write_has_its_limit() {
    within(async {
        let (mut conn, _peer) = beside_a_silent_peer(Config::default().write_timeout(SHORT));
        let error = conn.send(vec![0; 64 << 20].into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    });
}

#[test]
fn the_idle_timeout_closes_both_sides() {
    within(async {
        let [mut client, mut server] = tcp_pair(&Config::default().idle_timeout(Some(SHORT)));
        assert_eq!(join(client.next(), server.next()).await, (None, None));
        for conn in [client, server] {
            let finish = conn.finish().unwrap();
            assert!(finish.clean, "{finish}");
            assert_eq!(
                (finish.code, finish.reason.as_str()),
                (CloseCode::GOING_AWAY, "idle timeout")
            );
        }
    });
}

#[test]
fn a_connection_may_be_polled_and_dropped_outside_of_the_context_it_was_made_in() {
    let config = Config::default().keepalive_interval(Some(SHORT)).keepalive_timeout(SHORT);
    let (mut conn, _peer) = within(async { beside_a_silent_peer(config) });
    block_on(conn.next());
    assert_eq!(conn.finish().unwrap().error.as_ref().unwrap().kind(), ErrorKind::Timeout);

    let [client, mut server] =
        within(async { tcp_pair(&Config::default()).map(Connection::linger_on_drop) });
    drop(client);
    assert_eq!(block_on(server.next()), None);
    assert_eq!(server.finish().unwrap().code, CloseCode::GOING_AWAY);
}

#[test]
fn connecting_and_listening_go_on_outside_of_the_context_they_began_in() {
    let mut listener = within(listen("127.0.0.1:0")).unwrap();
    let client = Client::new(&format!("ws://localhost:{}", listener.local_addr().port())).unwrap();
    let mut connecting = Box::pin(client.connect());
    within(async { assert!((&mut connecting).now_or_never().is_none()) });
    let (client, server) = block_on(join(connecting, listener.next()));
    assert!(client.is_ok() && server.is_some());
}

/// Makes sockets of the streams; closing one ends its sending side, and not the other one.
async fn closing_ends_one_side<S: Into<Socket>>((near, far): (S, S)) {
    let (mut near, mut far) = (near.into(), far.into());
    near.close().await.unwrap();
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    far.write_all(b"x").await.unwrap();
    assert_eq!(near.read(&mut [0]).await.unwrap(), 1);
    drop(far);
    near.close().await.unwrap();
}

#[test]
fn closing_a_socket_ends_its_sending_side_and_not_the_other() {
    within(closing_ends_one_side(tcp_streams().map(socket).into()));
}

#[cfg(all(unix, feature = "async-std"))]
#[test]
fn closing_a_unix_socket_of_async_std_ends_its_sending_side() {
    within(async {
        closing_ends_one_side(async_std::os::unix::net::UnixStream::pair().unwrap()).await;
    });
}

#[cfg(all(unix, feature = "smol"))]
#[test]
fn closing_a_unix_socket_of_smol_ends_its_sending_side() {
    within(async {
        closing_ends_one_side(smol::net::unix::UnixStream::pair().unwrap()).await;
    });
}

#[cfg(all(unix, feature = "tokio"))]
#[test]
fn closing_a_unix_socket_of_tokio_ends_its_sending_side() {
    within(async {
        closing_ends_one_side(tokio::net::UnixStream::pair().unwrap()).await;
    });
}
