//! How a server is shut down.

#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{
    future::pending,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{
    AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt,
    channel::{mpsc, oneshot},
    future::{RemoteHandle, join, join_all},
    stream::FusedStream,
};
use smol::net::TcpStream;
use wsweave::{
    Accept, CloseCode, Config, Connection, ConnectionExt, Finish, Initiator, Role, Server,
    ServerHandle, Shutdown, connect, listen,
};

use crate::support::{Frame, ManualClock, rt::spawn, upgraded, within};

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(50);

/// Serves, in the background, with connections that run until they end.
async fn serving() -> (SocketAddr, ServerHandle, RemoteHandle<Shutdown>) {
    let server = listen("127.0.0.1:0").await.unwrap();
    let (addr, handle) = (server.local_addr(), server.handle());
    (addr, handle, spawn(server.serve(ConnectionExt::run)))
}

async fn client(addr: SocketAddr) -> RemoteHandle<Finish> {
    spawn(connect(&format!("ws://{addr}")).await.unwrap().run())
}

/// Reads the server's Close.
async fn read_close(client: &mut TcpStream) {
    let close = Frame::close(1001, "the server is shutting down").to(Role::Client);
    let mut read = vec![0; close.len()];
    client.read_exact(&mut read).await.unwrap();
    assert_eq!(read, close);
}

fn counts(shutdown: Shutdown) -> (usize, usize) {
    (shutdown.drained, shutdown.aborted)
}

#[test]
fn every_connection_is_closed_with_1001_and_drains() {
    within(async {
        let (addr, handle, serving) = serving().await;
        let clients = [client(addr).await, client(addr).await, client(addr).await];
        assert_eq!(handle.connections(), 3);
        let shutdown = handle.shutdown(LONG).await;
        assert_eq!(counts(shutdown), (3, 0));
        assert_eq!(handle.connections(), 0);
        for finish in join_all(clients).await {
            assert_eq!((finish.initiator, finish.code), (Initiator::Peer, CloseCode::GOING_AWAY));
            assert!(finish.clean && finish.reason == "the server is shutting down", "{finish}");
        }
        assert_eq!(serving.await, shutdown);
    });
}

#[test]
fn at_once_nobody_is_accepted_any_more() {
    within(async {
        let mut server = listen("127.0.0.1:0").await.unwrap();
        let addr = server.local_addr();
        // Nobody polls the server meanwhile.
        assert_eq!(counts(server.handle().shutdown(LONG).await), (0, 0));
        assert!(TcpStream::connect(addr).await.is_err());
        assert!(!server.is_terminated());
        assert!(server.next().await.is_none());
        assert!(server.is_terminated() && server.next().await.is_none());
        assert_eq!(server.local_addr(), addr);
    });
}

#[test]
fn a_listener_that_comes_after_it_is_closed_at_once() {
    within(async {
        let server = Server::new();
        assert_eq!(counts(server.handle().shutdown(LONG).await), (0, 0));
        let server = server.bind("127.0.0.1:0").await.unwrap();
        assert!(TcpStream::connect(server.local_addr()).await.is_err());
        assert_eq!(counts(server.serve(ConnectionExt::run).await), (0, 0));
    });
}

#[test]
fn a_server_that_waits_is_woken_and_ends() {
    within(async {
        let mut server = listen("127.0.0.1:0").await.unwrap();
        let handle = server.handle();
        let (end, _) = join(server.next(), handle.shutdown(LONG)).await;
        assert!(end.is_none());
    });
}

#[test]
fn handshakes_under_way_are_dropped() {
    within(async {
        let (addr, handle, serving) = serving().await;
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        // A later client is served: the server has seen the earlier one.
        let _other = upgraded(addr).await;
        assert_eq!(counts(handle.shutdown(Duration::ZERO).await), (0, 1));
        serving.await;
        assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
    });
}

#[test]
fn what_is_left_after_the_timeout_is_aborted() {
    within(async {
        let (addr, handle, serving) = serving().await;
        let mut silent = upgraded(addr).await;
        let polite = client(addr).await;
        let shutdown = spawn({
            let handle = handle.clone();
            async move { handle.shutdown(Duration::from_secs(1)).await }
        });
        read_close(&mut silent).await;
        assert!(polite.await.clean);
        assert_eq!(counts(shutdown.await), (1, 1));
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(counts(serving.await), (1, 1));
        assert_eq!(handle.connections(), 0);
    });
}

#[test]
fn the_configurations_clock_counts_the_timeout() {
    within(async {
        let clock = ManualClock::new();
        let config = Config::default().timer(clock.clone());
        let server = listen("127.0.0.1:0").await.unwrap().config(config);
        let (addr, handle) = (server.local_addr(), server.handle());
        let _serving = spawn(server.serve(ConnectionExt::run));
        let mut silent = upgraded(addr).await;
        let mut shutdown = Box::pin(handle.shutdown(Duration::from_secs(5)));
        assert!(shutdown.as_mut().now_or_never().is_none());
        read_close(&mut silent).await;
        clock.advance_secs(4);
        assert!(shutdown.as_mut().now_or_never().is_none());
        clock.advance_secs(1);
        assert_eq!(counts(shutdown.await), (0, 1));
    });
}

#[test]
fn a_handle_made_outside_of_the_runtime_counts_the_timeout_too() {
    let server = within(listen("127.0.0.1:0")).unwrap();
    let (addr, handle) = (server.local_addr(), server.handle());
    within(async {
        let _serving = spawn(server.serve(ConnectionExt::run));
        let _silent = upgraded(addr).await;
        assert_eq!(counts(handle.shutdown(Duration::ZERO).await), (0, 1));
    });
}

#[test]
fn a_connection_that_lingers_is_waited_for_and_aborted() {
    within(async {
        for answers in [true, false] {
            let server = listen("127.0.0.1:0").await.unwrap();
            let (addr, handle) = (server.local_addr(), server.handle());
            let _serving = spawn(server.serve(|conn| async { drop(conn) }));
            let mut silent = upgraded(addr).await;
            silent.read_exact(&mut [0; 4]).await.unwrap();
            assert_eq!(handle.connections(), 1);
            let timeout = if answers { LONG } else { Duration::ZERO };
            let mut shutdown = Box::pin(handle.shutdown(timeout));
            if answers {
                assert!(shutdown.as_mut().now_or_never().is_none());
                silent.write_all(&Frame::close(1001, "").to(Role::Server)).await.unwrap();
            }
            let (end, shutdown) = join(silent.read(&mut [0]), shutdown).await;
            assert_eq!(end.unwrap(), 0);
            assert_eq!(counts(shutdown), if answers { (1, 0) } else { (0, 1) });
        }
    });
}

#[test]
fn tasks_that_do_not_end_are_cancelled() {
    struct Guard(Arc<AtomicBool>);

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    within(async {
        let cancelled = Arc::new(AtomicBool::new(false));
        let server = listen("127.0.0.1:0").await.unwrap();
        let (addr, handle) = (server.local_addr(), server.handle());
        let guard = Arc::clone(&cancelled);
        let _serving = spawn(server.serve(move |conn: Connection| {
            let guard = Guard(Arc::clone(&guard));
            async move {
                pending::<()>().await;
                drop((conn, guard));
            }
        }));
        let mut silent = upgraded(addr).await;
        assert_eq!(counts(handle.shutdown(Duration::ZERO).await), (0, 1));
        assert!(cancelled.load(Ordering::SeqCst));
        assert_eq!(handle.connections(), 0);
        // Without a word, although it was dropped and not polled.
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn what_a_task_does_after_its_connection_is_waited_for() {
    within(async {
        let server = listen("127.0.0.1:0").await.unwrap();
        let (addr, handle) = (server.local_addr(), server.handle());
        let (ended, mut has_ended) = mpsc::unbounded();
        let (save, may_save) = oneshot::channel();
        let may_save = may_save.shared();
        let serving = spawn(server.serve(move |conn| {
            let (ended, may_save) = (ended.clone(), may_save.clone());
            async move {
                conn.run().await;
                ended.unbounded_send(()).unwrap();
                may_save.await
            }
        }));
        let client = client(addr).await;
        let mut shutdown = Box::pin(handle.shutdown(LONG));
        assert!(shutdown.as_mut().now_or_never().is_none());
        has_ended.next().await;
        assert!(client.await.clean);
        assert!(shutdown.as_mut().now_or_never().is_none());
        save.send(()).unwrap();
        assert_eq!(counts(shutdown.await), (1, 0));
        serving.await;
    });
}

#[test]
fn a_connection_that_nobody_polls_does_not_hold_it_up() {
    within(async {
        let mut server = listen("127.0.0.1:0").await.unwrap();
        let (addr, handle) = (server.local_addr(), server.handle());
        let (mut client, conn) = join(upgraded(addr), server.next()).await;
        let start = Instant::now();
        assert_eq!(counts(handle.shutdown(Duration::ZERO).await), (0, 1));
        assert!(start.elapsed() < LONG);
        assert_eq!(handle.connections(), 1);
        drop(conn);
        assert_eq!(handle.connections(), 0);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn connections_of_the_stream_are_closed_too() {
    within(async {
        let mut server = listen("127.0.0.1:0").await.unwrap();
        let (addr, handle) = (server.local_addr(), server.handle());
        let (client, conn) = join(client(addr), server.next()).await;
        let (shutdown, finish) = join(handle.shutdown(LONG), conn.unwrap().run()).await;
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode::GOING_AWAY));
        assert!(finish.clean && client.await.clean);
        assert_eq!(counts(shutdown), (1, 0));
    });
}

#[test]
fn a_server_that_was_dropped_has_its_connections_shut_down() {
    within(async {
        let mut server = listen("127.0.0.1:0").await.unwrap();
        let (addr, handle) = (server.local_addr(), server.handle());
        let (client, conn) = join(client(addr), server.next()).await;
        drop(server);
        assert!(TcpStream::connect(addr).await.is_err());
        let (shutdown, _) = join(handle.shutdown(LONG), conn.unwrap().run()).await;
        assert_eq!(counts(shutdown), (1, 0));
        assert!(client.await.clean);
    });
}

#[test]
fn all_who_ask_get_the_same_and_the_shortest_timeout_counts() {
    within(async {
        let (addr, handle, _serving) = serving().await;
        let _silent = upgraded(addr).await;
        let others = handle.clone();
        let (long, short) = join(handle.shutdown(LONG), others.shutdown(Duration::ZERO)).await;
        assert_eq!(counts(long), (0, 1));
        assert_eq!(long, short);
        assert_eq!(handle.shutdown(LONG).await, long);
    });
}

#[test]
fn a_shutdown_dropped_half_way_can_be_asked_for_again() {
    within(async {
        let (addr, handle, serving) = serving().await;
        let mut silent = upgraded(addr).await;
        assert!(handle.shutdown(LONG).now_or_never().is_none());
        read_close(&mut silent).await;
        assert_eq!(counts(handle.shutdown(Duration::ZERO).await), (0, 1));
        assert_eq!(counts(serving.await), (0, 1));
    });
}

#[test]
fn the_callback_may_ask_for_it() {
    within(async {
        let server = listen("127.0.0.1:0").await.unwrap();
        let (addr, handle) = (server.local_addr(), server.handle());
        let server = server.on_request(move |_| {
            assert!(handle.shutdown(Duration::ZERO).now_or_never().is_some());
            Ok(Accept::new())
        });
        let serving = spawn(server.serve(ConnectionExt::run));
        // Nobody is let in any more.
        let answer = support::ask(addr, &support::request("/")).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert_eq!(counts(serving.await), (0, 0));
    });
}

#[test]
fn the_report_is_one_readable_line() {
    within(async {
        let (_, handle, _serving) = serving().await;
        let shutdown = handle.shutdown(LONG).await;
        assert_eq!(shutdown.to_string(), "0 connections drained, 0 aborted");
    });
}
