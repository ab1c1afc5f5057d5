//! What only tokio asks: contexts, drivers that may be missing, and runtimes that end.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{
    future::pending,
    io::{Read, Write},
    task::Context,
    time::Duration,
};

use futures::{FutureExt, SinkExt, StreamExt, executor::block_on, future::join};
use futures_test::task::new_count_waker;
use tokio::{
    runtime::{Builder, Runtime},
    task::coop,
};
use wsweave::{Config, Connection, ConnectionExt, ErrorKind, Role, Socket, connect, listen};

use crate::support::{
    BOTH, Frame, ManualClock, Rig, parse,
    rt::{in_time, socket, tcp_streams, yield_now},
    within,
};

/// A runtime of each flavor.
fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.enable_all().build().unwrap())
}

/// A connection that lingers on `runtime`.
fn lingering_on(runtime: &Runtime, role: wsweave::Role) -> Rig {
    let _context = runtime.enter();
    Rig::new(role).weave(Connection::linger_on_drop)
}

/// Lets the runtime work until `condition` holds; a test that would wait for ever fails instead.
async fn until(condition: impl Fn() -> bool) {
    let work = async {
        while !condition() {
            yield_now().await;
        }
    };
    in_time(Duration::from_secs(10), work).await.expect("it comes in time");
}

#[test]
fn a_drop_lingers_on_the_runtime_whose_context_the_connection_was_made_in() {
    for role in BOTH {
        for runtime in runtimes() {
            let Rig { conn, wire, .. } = lingering_on(&runtime, role);
            drop(conn);
            assert_eq!(runtime.metrics().num_alive_tasks(), 1);
            wire.give(Frame::close(1001, "").to(role));
            wire.end();
            runtime.block_on(until(|| wire.is_dropped()));
        }
    }
}

#[test]
fn a_runtime_that_ends_lets_go_of_what_lingers() {
    for role in BOTH {
        for runtime in runtimes() {
            let Rig { conn, wire, .. } = lingering_on(&runtime, role);
            wire.block_writes();
            drop(conn);
            assert!(!wire.is_dropped());
            drop(runtime);
            assert!(wire.is_dropped());
        }
    }
}

#[test]
fn what_a_runtime_drops_as_it_ends_makes_the_one_attempt() {
    for role in BOTH {
        for runtime in runtimes() {
            let Rig { conn, wire, .. } = lingering_on(&runtime, role);
            let (started, has_started) = futures::channel::oneshot::channel();
            runtime.spawn(async move {
                let _conn = conn;
                started.send(()).unwrap();
                pending::<()>().await;
            });
            runtime.block_on(has_started).unwrap();
            drop(runtime);
            assert_eq!(wire.sent_by(role), [Frame::close(1001, "")]);
            assert!(wire.is_dropped());
        }
    }
}

#[test]
fn a_drop_after_the_runtime_ended_makes_the_one_attempt() {
    for role in BOTH {
        for runtime in runtimes() {
            let Rig { conn, wire, .. } = lingering_on(&runtime, role);
            drop(runtime);
            drop(conn);
            assert_eq!(wire.sent_by(role), [Frame::close(1001, "")]);
            assert!(wire.is_dropped());
        }
    }
}

/// A client and a server that met on `runtime`.
fn pair_on(runtime: &Runtime) -> (Connection, Connection) {
    runtime.block_on(async {
        let mut listener = listen("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr());
        let (client, server) = join(connect(&url), listener.next()).await;
        (client.unwrap(), server.unwrap())
    })
}

#[test]
fn after_the_runtime_ended_its_sockets_give_errors() {
    for runtime in runtimes() {
        let (mut client, mut server) = pair_on(&runtime);
        drop(runtime);
        assert_eq!(block_on(client.next()), None);
        assert_eq!(client.finish().unwrap().error.as_ref().unwrap().kind(), ErrorKind::Io);
        assert_eq!(block_on(server.send("x".into())).unwrap_err().kind(), ErrorKind::Io);
    }
}

#[test]
fn after_the_runtime_ended_its_clock_stands_still() {
    for runtime in runtimes() {
        let (mut conn, _peer) = {
            let _context = runtime.enter();
            Connection::pair()
        };
        assert!(conn.next().now_or_never().is_none());
        drop(runtime);
        assert!(conn.next().now_or_never().is_none());
        assert!(conn.close().now_or_never().is_none());
    }
}

#[test]
fn without_the_io_driver_connecting_and_listening_are_errors() {
    let url = "ws://127.0.0.1:1/";
    Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
        for error in [connect(url).await.unwrap_err(), listen("127.0.0.1:0").await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(error.to_string().contains("enable_io"), "{error}");
        }
    });
}

#[test]
fn without_the_time_driver_no_time_passes() {
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    let (mut client, server) = pair_on(&runtime);
    runtime.block_on(async {
        let (closed, rest) = join(client.close(), server.collect::<Vec<_>>()).await;
        assert!(closed.is_ok() && rest.is_empty());
    });
}

#[test]
fn a_transport_of_tokios_traits_is_a_socket() {
    within(async {
        let (near, far) = tokio::io::duplex(64);
        let [mut client, mut server] =
            [(near, Role::Client), (far, Role::Server)].map(|(io, role)| {
                Connection::from_raw(Socket::from_tokio(io), role, Config::default())
            });
        let talk = async {
            client.send(vec![7; 1000].into()).await?;
            client.close().await
        };
        let (talked, heard) = join(talk, server.by_ref().collect::<Vec<_>>()).await;
        talked.unwrap();
        assert_eq!(heard, [vec![7; 1000].into()]);
        assert!(server.finish().unwrap().clean);
    });
}

#[test]
fn a_drop_says_goodbye_although_the_tasks_budget_is_spent() {
    within(async {
        let [near, mut far] = tcp_streams();
        let mut conn = Connection::from_raw(socket(near), Role::Server, Config::default());
        conn.send("first".into()).await.unwrap();
        conn.feed("last".into()).await.unwrap();
        spend_budget().await;
        drop(conn);
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        let all = [Frame::text("first"), Frame::text("last"), Frame::close(1001, "")];
        assert_eq!(parse(&received).0, all);
    });
}

#[test]
fn keepalive_hears_what_has_arrived_although_the_tasks_budget_is_spent() {
    within(async {
        let [near, mut far] = tcp_streams();
        let clock = ManualClock::new();
        let config = Config::default().timer(clock.clone());
        let mut conn = Connection::from_raw(socket(near), Role::Client, config);
        conn.send("first".into()).await.unwrap();
        let (waker, count) = new_count_waker();
        let mut cx = Context::from_waker(&waker);
        assert!(conn.poll_next_unpin(&mut cx).is_pending());
        clock.advance_secs(20);
        assert!(conn.poll_next_unpin(&mut cx).is_pending(), "the peer is asked");
        let before = count.get();
        far.write_all(&Frame::text("alive").to(Role::Client)).unwrap();
        until(|| count.get() > before).await;
        clock.advance_secs(20);
        spend_budget().await;
        assert_eq!(conn.next().await, Some("alive".into()));
    });
}

/// Uses up what tokio lets a task do before others have their turn.
async fn spend_budget() {
    while coop::has_budget_remaining() {
        coop::consume_budget().await;
    }
}
