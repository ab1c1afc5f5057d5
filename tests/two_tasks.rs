//! The two halves of a connection in two tasks, over a transport that keeps one waker a direction:
//! no wake-up is lost, and nobody is polled for nothing.

mod support;

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures::{
    Sink, SinkExt, Stream, StreamExt,
    future::{join, join4},
};
use wsweave::{Config, Connection, ConnectionExt, Message};

use crate::support::{
    BOTH, Frame, Pool, Rig, Task, quiet,
    rt::{sleep, spawn},
    tcp_pair, within,
};

#[test]
fn one_task_hands_its_own_waker_to_the_transport() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.next().is_pending());
        assert!(rig.wire.reader().unwrap().will_wake(rig.task.waker()));
    }
}

#[test]
fn a_connection_may_move_to_another_task() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        assert!(rig.next().is_pending());
        let other = Task::new();
        assert!(other.next(&mut rig.conn).is_pending());
        rig.receive([Frame::text("x")]);
        assert!(other.wakes() > 0);
        assert_eq!(other.next(&mut rig.conn), Poll::Ready(Some("x".into())));
    }
}

#[test]
fn a_reader_is_woken_although_a_writer_came_after_it() {
    for role in BOTH {
        let Rig { conn, wire, .. } = Rig::new(role);
        let (mut sink, mut stream) = conn.split();
        let (reader, writer) = (Task::new(), Task::new());
        assert!(reader.next(&mut stream).is_pending());
        wire.block_writes();
        assert!(matches!(writer.ready(&mut sink), Poll::Ready(Ok(()))));
        sink.start_send_unpin("stuck".into()).unwrap();
        assert!(writer.flush(&mut sink).is_pending());

        let wakes = reader.wakes();
        wire.give(Frame::text("x").to(role));
        // Whoever the transport woke may have to pass it on.
        if reader.wakes() == wakes {
            assert!(writer.flush(&mut sink).is_pending());
        }
        assert!(reader.wakes() > wakes);
        assert_eq!(reader.next(&mut stream), Poll::Ready(Some("x".into())));
    }
}

#[test]
fn a_writer_is_woken_although_a_reader_came_after_it() {
    for role in BOTH {
        let Rig { conn, wire, .. } = Rig::new(role);
        let (mut sink, mut stream) = conn.split();
        let (reader, writer) = (Task::new(), Task::new());
        wire.block_writes();
        assert!(matches!(writer.ready(&mut sink), Poll::Ready(Ok(()))));
        sink.start_send_unpin("stuck".into()).unwrap();
        assert!(writer.flush(&mut sink).is_pending());
        assert!(reader.next(&mut stream).is_pending());

        let wakes = writer.wakes();
        wire.unblock_writes();
        if writer.wakes() == wakes {
            assert!(reader.next(&mut stream).is_pending());
        }
        assert!(writer.wakes() > wakes);
        assert!(matches!(writer.flush(&mut sink), Poll::Ready(Ok(()))));
    }
}

#[test]
fn what_the_closing_half_reads_reaches_the_reading_half() {
    for role in BOTH {
        let Rig { conn, wire, .. } = Rig::new(role);
        let (mut sink, stream) = conn.split();
        let got = RefCell::new(Vec::new());
        let mut pool = Pool::default();
        pool.spawn(stream.for_each(|message| {
            got.borrow_mut().push(message);
            async {}
        }));
        pool.spawn(async { sink.close().await.unwrap() });
        assert!(!pool.run());
        for n in 1..=5 {
            wire.give(Frame::text("late").to(role));
            assert!(!pool.run());
            assert_eq!(got.borrow().len(), n);
        }
        wire.give(Frame::close(1000, "").to(role));
        wire.end();
        assert!(pool.run(), "both halves end");
    }
}

#[test]
fn both_halves_learn_of_every_kind_of_end() {
    type End = fn(&Rig<()>);
    let ends: [End; 4] = [
        |rig| rig.wire.end(),
        |rig| rig.wire.reset(),
        |rig| rig.wire.give(Frame::text("").with_rsv(1).to(rig.role)),
        |rig| (0..10).for_each(|_| rig.clock.advance_secs(1)),
    ];
    for role in BOTH {
        for end in ends {
            let Rig { conn, wire, clock, task, .. } = Rig::new(role);
            let (mut sink, mut stream) = conn.split();
            let rig = Rig { conn: (), wire, clock, task, role };
            let mut pool = Pool::default();
            pool.spawn(async { assert_eq!(stream.next().await, None) });
            pool.spawn(async { assert!(sink.close().await.is_err()) });
            assert!(!pool.run());
            end(&rig);
            assert!(pool.run(), "a half was not woken");
        }
    }
}

#[test]
fn the_reader_learns_of_an_error_that_only_the_writer_met() {
    for role in BOTH {
        let Rig { conn, wire, task: reader, .. } = Rig::new(role);
        let (mut sink, mut stream) = conn.split();
        assert!(reader.next(&mut stream).is_pending());
        wire.break_writes();
        let writer = Task::new();
        assert!(matches!(writer.ready(&mut sink), Poll::Ready(Ok(()))));
        sink.start_send_unpin("into the void".into()).unwrap();
        assert!(matches!(writer.flush(&mut sink), Poll::Ready(Err(_))));
        assert!(reader.wakes() > 0);
        assert_eq!(reader.next(&mut stream), Poll::Ready(None));
    }
}

#[test]
fn a_half_that_waits_for_room_gets_it_from_the_other_halfs_writes() {
    for role in BOTH {
        let Rig { conn, wire, .. } = Rig::with(role, Config::default().outbox_size(1_000));
        let (mut sink, mut stream) = conn.split();
        let read = Cell::new(0);
        wire.block_writes();
        let mut pool = Pool::default();
        pool.spawn(async {
            for _ in 0..100 {
                sink.feed(vec![1; 300].into()).await.unwrap();
            }
            sink.flush().await.unwrap();
        });
        pool.spawn(async {
            while stream.next().await.is_some() {
                read.set(read.get() + 1);
            }
        });
        for n in 0..100 {
            wire.give(Frame::text("x").to(role));
            pool.run();
            assert_eq!(read.get(), n + 1, "a full outbox does not stop the reading");
        }
        for _ in 0..100 {
            wire.allow(310);
            pool.run();
        }
        wire.end();
        wire.unblock_writes();
        assert!(pool.run());
        assert!(wire.take_written().len() >= 100 * 300);
    }
}

#[test]
fn two_waiting_halves_are_polled_fewer_than_ten_times() {
    for role in BOTH {
        let Rig { conn, wire, clock, .. } = Rig::new(role);
        let (mut sink, mut stream) = conn.split();
        wire.block_writes();
        let mut pool = Pool::default();
        pool.spawn(async { while stream.next().await.is_some() {} });
        pool.spawn(async { sink.send("stuck".into()).await.unwrap() });
        for _ in 0..5 {
            assert!(!pool.run());
            clock.advance_secs(1);
        }
        assert!(pool.polls() < 10, "{} polls", pool.polls());
        wire.unblock_writes();
        assert!(!pool.run());
        wire.end();
        assert!(pool.run());
    }
}

#[test]
fn two_peers_that_both_push_through_their_sinks_do_not_lock_up() {
    const EACH: usize = 2_000;
    let config = || quiet().outbox_size(4_096);
    let (client, server) = Connection::pair_with(config(), config());
    let (client, server) = (client.split(), server.split());
    let read = [Cell::new(0), Cell::new(0)];
    let mut pool = Pool::default();
    for ((mut sink, mut stream), read) in [client, server].into_iter().zip(&read) {
        pool.spawn(async move {
            for _ in 0..EACH {
                sink.feed(vec![7; 1_000].into()).await.unwrap();
            }
            sink.flush().await.unwrap();
        });
        pool.spawn(async move {
            while read.get() < EACH {
                assert_eq!(stream.next().await.unwrap().len(), 1_000);
                read.set(read.get() + 1);
            }
        });
    }
    assert!(pool.run(), "{read:?} of {EACH} arrived");
}

#[test]
fn two_peers_that_flush_every_message_do_not_lock_up() {
    let (client, server) = Connection::pair_with(quiet(), quiet());
    let mut pool = Pool::default();
    for conn in [client, server] {
        let (mut sink, stream) = conn.split();
        pool.spawn(async move {
            for _ in 0..20 {
                sink.send(vec![7; 60_000].into()).await.unwrap();
            }
        });
        pool.spawn(async move { assert_eq!(stream.take(20).count().await, 20) });
    }
    assert!(pool.run());
}

/// `future`, with its polls counted.
async fn counted<F: Future>(polls: Arc<AtomicUsize>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.fetch_add(1, Ordering::Relaxed);
        future.as_mut().poll(cx)
    })
    .await
}

#[test]
fn over_tcp_two_waiting_halves_are_hardly_polled() {
    within(async {
        let [client, server] = tcp_pair(&Config::default());
        let (mut sink, mut stream) = client.split();
        let polls = Arc::new(AtomicUsize::new(0));
        let reader =
            spawn(counted(polls.clone(), async move { while stream.next().await.is_some() {} }));
        let closer = spawn(counted(polls.clone(), async move { sink.close().await }));
        sleep(Duration::from_millis(200)).await;
        let idle = polls.load(Ordering::Relaxed);
        assert!(idle < 10, "{idle} polls while nothing happened");

        server.for_each(|_| async {}).await;
        closer.await.unwrap();
        reader.await;
    });
}

async fn push(
    mut sink: impl Sink<Message, Error = wsweave::Error> + Unpin,
) -> Result<(), wsweave::Error> {
    for _ in 0..300 {
        sink.feed(vec![7; 64 << 10].into()).await?;
    }
    sink.flush().await
}

async fn pull(stream: impl Stream<Item = Message>) {
    let sizes: Vec<_> = stream.take(300).map(|message| message.len()).collect().await;
    assert_eq!(sizes, [64 << 10; 300]);
}

#[test]
fn over_tcp_two_peers_that_both_push_do_not_lock_up() {
    within(async {
        let [client, server] = tcp_pair(&Config::default().outbox_size(100_000));
        let (sink, stream) = client.split();
        let (other_sink, other_stream) = server.split();
        let [a, b] = [sink, other_sink].map(|sink| spawn(push(sink)));
        let (a, b, ..) = join4(a, b, spawn(pull(stream)), pull(other_stream)).await;
        a.and(b).unwrap();
    });
}

#[test]
fn over_tcp_two_peers_that_both_push_through_handles_do_not_lock_up() {
    within(async {
        let mut pair = tcp_pair(&Config::default().outbox_size(100_000));
        let [a, b] = pair.each_mut().map(ConnectionExt::handle);
        let counts = pair.map(|conn| spawn(conn.count()));
        let (pushed, other) = join(spawn(push(a.clone())), spawn(push(b))).await;
        pushed.and(other).unwrap();
        a.close_with(1000, "").unwrap();
        for count in counts {
            assert_eq!(count.await, 300);
        }
    });
}
