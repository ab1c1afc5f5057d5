//! Transports as they may be: interrupted, buffering, slow to end, lying, panicking, or another
//! connection.

mod support;

use std::{
    cell::{Cell, OnceCell},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite, FutureExt, Sink, SinkExt, Stream, StreamExt};
use wsweave::{Bytes, Config, Connection, ConnectionExt, ErrorKind, Handle, Message, Pipe, Role};

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
fn an_interrupted_read_is_no_silence() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(20);
        assert!(rig.next().is_pending());
        // It is answered in time, but the task is busy elsewhere.
        rig.receive([Frame::text("here I am")]);
        rig.clock.advance_secs(20);
        rig.wire.interrupt(1);
        assert_eq!(rig.next(), Poll::Ready(Some("here I am".into())));
        assert!(rig.next().is_pending(), "it is not judged silent");
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

/// Never has anything to read, and writes as it is told to.
struct WriteOnly<W>(W);

impl<W: Unpin> AsyncRead for WriteOnly<W> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl<W: FnMut(&[u8]) -> io::Result<usize> + Unpin> AsyncWrite for WriteOnly<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready((self.0)(buffer))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_drop_passes_on_no_panic_of_its_transport() {
    for role in BOTH {
        let bomb = WriteOnly(|_: &[u8]| panic!("a write panics"));
        drop(Connection::from_raw(bomb, role, quiet()));
    }
}

#[test]
fn a_transport_that_panics_again_in_the_drop_is_no_abort_of_the_process() {
    for role in BOTH {
        let writes = Cell::new(0);
        let bomb = WriteOnly(|_: &[u8]| {
            writes.set(writes.get() + 1);
            panic!("a write panics")
        });
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let mut conn = Connection::from_raw(bomb, role, quiet());
            conn.send("x".into()).now_or_never()
        }));
        assert!(unwound.is_err(), "the panic reaches whoever polls");
        assert_eq!(writes.get(), 2, "one in the poll, one in the drop");
    }
}

#[test]
fn nothing_is_written_behind_a_frame_that_was_cut_off() {
    for role in BOTH {
        let mut written = 0;
        let hiccup = WriteOnly(|bytes: &[u8]| {
            let result = match written {
                0 => Ok(2),
                2 => Err(io::ErrorKind::TimedOut.into()),
                _ => Ok(bytes.len()),
            };
            written += *result.as_ref().unwrap_or(&1);
            result
        });
        let mut conn = Connection::from_raw(hiccup, role, quiet());
        conn.handle().try_send("later").unwrap();
        assert!(conn.send("cut off".into()).now_or_never().unwrap().is_err());
        let _ = Task::new().next(&mut conn);
        drop(conn);
        assert_eq!(written, 3, "two bytes and an error");
    }
}

#[test]
fn handles_that_send_as_fast_as_it_writes_do_not_keep_the_executor() {
    for role in BOTH {
        let (handle, writes) = (OnceCell::<Handle>::new(), Cell::new(0));
        let refilled = WriteOnly(|bytes: &[u8]| {
            writes.set(writes.get() + 1);
            assert!(writes.get() < 10_000, "an endless poll");
            handle.get().unwrap().try_send("more").unwrap();
            Ok(bytes.len())
        });
        let mut conn = Connection::from_raw(refilled, role, quiet());
        handle.get_or_init(|| conn.handle()).try_send("first").unwrap();
        let task = Task::new();
        assert!(task.next(&mut conn).is_pending());
        assert!(task.wakes() > 0, "it yields");
        assert!(writes.get() <= 128, "{} writes in one poll", writes.get());
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
