//! Transports as they may be: interrupted, buffering, slow to end, lying, or another connection.

mod support;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite, FutureExt, Sink, SinkExt, Stream, StreamExt};
use wsweave::{Bytes, Config, Connection, ConnectionExt, ErrorKind, Message, Pipe, Role};

use crate::support::{BOTH, Frame, Op, Pool, Rig, Task, quiet};

#[test]
fn an_interrupted_read_or_write_is_done_again() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.receive([Frame::text("in")]);
        rig.feed("out");
        rig.wire.interrupt(5);
        assert_eq!(rig.settle(), ["in".into()]);
        assert_eq!(rig.sent(), [Frame::text("out")]);
    }
}

#[test]
fn a_flush_waits_for_the_transports_own() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.wire.stick(Op::Flush);
        rig.feed("x");
        assert!(rig.task.flush(&mut rig.conn).is_pending());
        assert_eq!(rig.sent(), [Frame::text("x")]);
        let wakes = rig.task.wakes();
        rig.wire.unstick();
        assert!(rig.task.wakes() > wakes);
        assert!(matches!(rig.task.flush(&mut rig.conn), Poll::Ready(Ok(()))));
    }
}

#[test]
fn a_transport_that_never_flushes_is_left() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().keepalive_interval(None));
        rig.wire.stick(Op::Flush);
        rig.feed("x");
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(40);
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.finish().error.unwrap().kind(), ErrorKind::Timeout);
    }
}

#[test]
fn a_server_waits_until_its_side_is_shut_but_not_for_ever() {
    let mut rig = Rig::new(Role::Server);
    rig.wire.stick(Op::Close);
    assert!(rig.close().is_pending());
    rig.receive([Frame::close(1000, "")]);
    assert!(rig.close().is_pending());
    let wakes = rig.task.wakes();
    rig.wire.unstick();
    assert!(rig.task.wakes() > wakes);
    assert!(matches!(rig.close(), Poll::Ready(Ok(()))));

    let mut rig = Rig::new(Role::Server);
    rig.wire.stick(Op::Close);
    rig.receive([Frame::close(1000, "")]);
    assert!(rig.next().is_pending());
    rig.clock.advance_secs(10);
    assert_eq!(rig.next(), Poll::Ready(None));
    assert!(rig.finish().clean, "both sides sent a Close");
}

/// Says that it read and wrote one byte more than it was given room for.
struct Liar;

impl AsyncRead for Liar {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buffer.len() + 1))
    }
}

impl AsyncWrite for Liar {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buffer.len() + 1))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_transport_that_reports_too_much_is_an_error() {
    for role in BOTH {
        let mut conn = Connection::from_raw(Liar, role, quiet());
        assert_eq!(Task::new().next(&mut conn), Poll::Ready(None));
        assert_eq!(conn.finish().unwrap().code, 1006);

        let mut conn = Connection::from_raw(Liar, role, quiet());
        let error = conn.send("x".into()).now_or_never().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    }
}

/// A byte stream through the binary messages of a connection.
struct Tunnel {
    conn: Connection<Pipe>,
    read: Bytes,
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        while self.read.is_empty() {
            match ready!(Pin::new(&mut self.conn).poll_next(cx)) {
                Some(message) => self.read = message.into_bytes(),
                None => return Poll::Ready(Ok(0)),
            }
        }
        let bytes = buffer.len().min(self.read.len());
        buffer[..bytes].copy_from_slice(&self.read.split_to(bytes));
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut conn = Pin::new(&mut self.conn);
        ready!(conn.as_mut().poll_ready(cx))?;
        let part = &buffer[..buffer.len().min(10_000)];
        conn.start_send(part.to_vec().into())?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_flush(cx).map_err(io::Error::from)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_close(cx).map_err(io::Error::from)
    }
}

#[test]
fn a_connection_runs_over_another_connection() {
    let (client, server) = Connection::pair_with(quiet(), quiet());
    let [client, server] = [client, server].map(|conn| Tunnel { conn, read: Bytes::new() });
    let mut client = Connection::from_raw(client, Role::Client, quiet());
    let mut server = Connection::from_raw(server, Role::Server, quiet());
    let large: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let mut pool = Pool::default();
    pool.spawn(async {
        for message in ["one".into(), Message::from(large.clone()), "three".into()] {
            client.send(message.clone()).await.unwrap();
            assert_eq!(client.next().await, Some(message));
        }
        client.close().await.unwrap();
    });
    pool.spawn(async {
        while let Some(message) = server.next().await {
            server.send(message).await.unwrap();
        }
        assert!(server.finish().unwrap().clean);
    });
    assert!(pool.run());
}
