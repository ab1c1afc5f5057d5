//! Each half of a connection is woken for what the other one's progress lets it do, even where no
//! transport does it, and for nothing else.

mod support;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite, SinkExt};
use wsweave::Connection;

use crate::support::{BOTH, Frame, Rig, Task, quiet};

#[test]
fn taking_a_message_lets_the_sink_half_read_on() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet());
        let sink = Task::new();
        rig.wire.block_writes();
        rig.feed("stuck");
        rig.receive([Frame::text("a")]);
        assert!(sink.flush(&mut rig.conn).is_pending());
        rig.receive([Frame::text("b")]);
        assert!(sink.flush(&mut rig.conn).is_pending());
        let wakes = sink.wakes();
        assert_eq!(rig.next(), Poll::Ready(Some("a".into())));
        assert!(sink.wakes() > wakes, "`b` could be read, and the peer may wait for that");
    }
}

#[test]
fn an_abort_through_the_stream_half_wakes_the_sink_half() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet());
        let sink = Task::new();
        rig.wire.block_writes();
        rig.feed("stuck");
        assert!(sink.flush(&mut rig.conn).is_pending());
        rig.peer().abort();
        assert!(sink.wakes() > 0, "it waits for the writes of a connection that is over");
        assert!(matches!(sink.flush(&mut rig.conn), Poll::Ready(_)));
    }
}

#[test]
fn a_sink_half_that_does_not_wait_is_not_woken() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet());
        let sink = Task::new();
        assert!(rig.next().is_pending());
        rig.wire.block_writes();
        rig.conn.start_send_unpin(vec![0; 100_000].into()).unwrap();
        // There is room, but so much is queued that it has tried to write.
        assert!(matches!(sink.ready(&mut rig.conn), Poll::Ready(Ok(()))));
        let wakes = (rig.task.wakes(), sink.wakes());
        rig.wire.unblock_writes();
        assert!(rig.task.wakes() > wakes.0, "the stream half waits to write");
        assert_eq!(sink.wakes(), wakes.1);
    }
}

/// Has nothing to read, and flushes once it is let; nobody is told of that.
struct Hesitant(Arc<AtomicBool>);

impl AsyncRead for Hesitant {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Hesitant {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.load(Ordering::Relaxed) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn the_sink_half_learns_that_the_stream_half_has_flushed() {
    for role in BOTH {
        let may_flush = Arc::new(AtomicBool::new(false));
        let mut conn = Connection::from_raw(Hesitant(may_flush.clone()), role, quiet());
        let (stream, sink) = (Task::new(), Task::new());
        assert!(stream.next(&mut conn).is_pending());
        conn.start_send_unpin("x".into()).unwrap();
        assert!(sink.flush(&mut conn).is_pending());
        let wakes = sink.wakes();
        may_flush.store(true, Ordering::Relaxed);
        assert!(stream.next(&mut conn).is_pending());
        assert!(sink.wakes() > wakes);
        assert!(matches!(sink.flush(&mut conn), Poll::Ready(Ok(()))));
    }
}
