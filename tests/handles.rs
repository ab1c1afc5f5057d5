//! Handles: sending, closing and waiting from other tasks and threads.

mod support;

use std::{cell::Cell, task::Poll};

use futures::{FutureExt, SinkExt, StreamExt};
use wsweave::{
    CloseCode, Config, Connection, ConnectionExt, ErrorKind, Handle, Initiator, TrySendError,
};

use crate::support::{BOTH, Frame, Pool, Rig, Task, quiet, within};

/// Sends messages of 100 bytes until the handle says that it is full; returns how many.
fn fill(handle: &Handle) -> usize {
    let full = |_: &usize| matches!(handle.try_send(vec![0; 100]), Err(TrySendError::Full(_)));
    (0..10_000).find(full).expect("a bound")
}

#[test]
fn what_a_handle_sends_moves_when_the_connection_is_polled() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        handle.send("a").now_or_never().unwrap().unwrap();
        handle.try_send("b").unwrap();
        assert_eq!(rig.wire.writes(), 0);
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent(), [Frame::text("a"), Frame::text("b")]);
    }
}

#[test]
fn a_handle_wakes_the_task_that_polls_the_connection() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        for _ in 0..3 {
            assert!(rig.next().is_pending());
            let wakes = rig.task.wakes();
            handle.try_send("x").unwrap();
            assert!(rig.task.wakes() > wakes);
            assert!(rig.next().is_pending());
            assert_eq!(rig.sent(), [Frame::text("x")]);
        }
    }
}

#[test]
fn a_handle_wakes_the_task_that_waits_in_close() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        assert!(rig.next().is_pending());
        let wakes = rig.task.wakes();
        handle.close_with(4000, "from afar").unwrap();
        assert!(rig.task.wakes() > wakes);
        assert!(rig.next().is_pending());
        assert_eq!(rig.sent(), [Frame::close(4000, "from afar")]);
    }
}

#[test]
fn many_messages_of_handles_share_a_write() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handles = [rig.conn.handle(), rig.conn.handle(), rig.peer().handle()];
        for n in 0..50 {
            for handle in &handles {
                handle.try_send(format!("{n}")).unwrap();
            }
        }
        assert!(rig.next().is_pending());
        assert_eq!(rig.wire.writes(), 1);
        let order = (0..50).flat_map(|n| vec![Frame::text(n.to_string()); 3]);
        assert!(rig.sent().into_iter().eq(order));
    }
}

#[test]
fn try_send_gives_a_message_back_when_there_is_no_room() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().outbox_size(1_000));
        let handle = rig.conn.handle();
        rig.wire.block_writes();
        let sent = fill(&handle);
        assert!((1..=11).contains(&sent), "{sent} messages of 100 bytes in 1,000");
        rig.settle();
        assert!(sent + fill(&handle) <= 22, "the handles' queue and the outbox are one bound each");
        let Err(TrySendError::Full(message)) = handle.try_send("me") else { panic!("not full") };
        assert_eq!(message, "me".into());

        rig.wire.unblock_writes();
        rig.settle();
        handle.try_send("me").unwrap();
    }
}

#[test]
fn try_send_gives_a_message_back_after_a_close() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        handle.close_with(1000, "").unwrap();
        let Err(TrySendError::Closed(message)) = handle.try_send("me") else { panic!("open") };
        assert_eq!(message, "me".into());
        let error = handle.send("me").now_or_never().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        rig.settle();
        assert_eq!(rig.sent(), [Frame::close(1000, "")]);
    }
}

#[test]
fn a_message_larger_than_the_bound_is_taken_when_nothing_waits() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().outbox_size(100));
        let handle = rig.conn.handle();
        handle.try_send(vec![1; 5_000]).unwrap();
        assert!(matches!(handle.try_send(vec![2; 5_000]), Err(TrySendError::Full(_))));
        rig.settle();
        handle.try_send(vec![3; 5_000]).unwrap();
        rig.settle();
        assert_eq!(rig.sent(), [Frame::binary([1; 5_000]), Frame::binary([3; 5_000])]);
    }
}

#[test]
fn send_waits_for_room_and_no_waiting_sender_is_forgotten() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().outbox_size(500));
        let handle = rig.conn.handle();
        rig.wire.block_writes();
        let done = Cell::new(0);
        let (wire, conn) = (rig.wire.clone(), &mut rig.conn);
        let mut pool = Pool::default();
        pool.spawn(async { while conn.next().await.is_some() {} });
        for _ in 0..20 {
            pool.spawn(async {
                for _ in 0..50 {
                    handle.send(vec![7; 100]).await.unwrap();
                    done.set(done.get() + 1);
                }
            });
        }
        pool.run();
        assert!(done.get() <= 12, "{} of 100 bytes in 2 x 500", done.get());
        for _ in 0..100 {
            wire.allow(250);
            pool.run();
        }
        wire.unblock_writes();
        assert!(!pool.run());
        assert_eq!(done.get(), 1_000);
        drop(pool);
        assert_eq!(rig.sent(), vec![Frame::binary([7; 100]); 1_000]);
    }
}

#[test]
fn a_waiting_send_that_is_dropped_sends_nothing_and_passes_its_turn_on() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().outbox_size(300));
        let handle = rig.conn.handle();
        rig.wire.block_writes();
        rig.settle();
        while fill(&handle) > 0 {
            rig.settle();
        }
        let tasks = [Task::new(), Task::new()];
        let mut dropped = Box::pin(handle.send("dropped"));
        let mut kept = Box::pin(handle.send("kept"));
        assert!(tasks[0].poll(&mut dropped).is_pending());
        assert!(tasks[1].poll(&mut kept).is_pending());
        rig.wire.unblock_writes();
        rig.settle();
        drop(dropped);
        assert!(tasks[1].wakes() > 0, "the turn of the dropped one is not lost");
        assert!(matches!(tasks[1].poll(&mut kept), Poll::Ready(Ok(()))));
        rig.settle();
        let texts: Vec<_> = rig.sent().into_iter().filter(|frame| frame.opcode == 1).collect();
        assert_eq!(texts, [Frame::text("kept")]);
    }
}

#[test]
fn waiting_senders_fail_when_the_connection_ends() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default().outbox_size(300));
        let handle = rig.conn.handle();
        rig.wire.block_writes();
        while fill(&handle) > 0 {
            rig.settle();
        }
        let task = Task::new();
        let mut waiting = Box::pin(handle.send("too late"));
        assert!(task.poll(&mut waiting).is_pending());
        drop(rig.conn);
        assert!(task.wakes() > 0);
        let Poll::Ready(Err(error)) = task.poll(&mut waiting) else { panic!("waits on") };
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[test]
fn closed_tells_everybody_how_it_ended() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        let tasks = [Task::new(), Task::new()];
        let mut waiting = [0, 1].map(|_| Box::pin(handle.closed()));
        for (task, closed) in tasks.iter().zip(&mut waiting) {
            assert!(task.poll(closed).is_pending());
        }
        assert!(handle.is_open());
        rig.receive([Frame::close(4000, "bye")]);
        rig.wire.end();
        rig.settle();
        for (task, closed) in tasks.iter().zip(&mut waiting) {
            assert!(task.wakes() > 0);
            let Poll::Ready(finish) = task.poll(closed) else { panic!("waits on") };
            assert_eq!((finish.initiator, finish.code), (Initiator::Peer, CloseCode(4000)));
            assert!(finish.clean);
        }
        assert!(!handle.is_open());
        assert!(handle.closed().now_or_never().is_some(), "later askers, too");
    }
}

#[test]
fn closed_tells_of_a_drop() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        drop(rig.conn);
        let finish = handle.closed().now_or_never().expect("it has ended");
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode::GOING_AWAY));
        assert!(!finish.clean && !handle.is_open());
        assert!(matches!(handle.try_send("x"), Err(TrySendError::Closed(_))));
        assert_eq!(handle.ping("x").unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[test]
fn close_with_goes_behind_what_the_handle_sent() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let handle = rig.conn.handle();
        handle.try_send("first").unwrap();
        handle.ping("second").unwrap();
        handle.close_with(4000, "last").unwrap();
        assert!(!handle.is_open());
        rig.settle();
        let order = [Frame::text("first"), Frame::ping("second"), Frame::close(4000, "last")];
        assert_eq!(rig.sent(), order);
    }
}

#[test]
fn whoever_closes_what_handles_were_promised_goes_first() {
    type Close = fn(&mut Rig);
    let closes: [Close; 4] = [
        |rig| assert!(rig.close().is_pending()),
        |rig| rig.peer().close_with(1000, ""),
        |rig| rig.receive([Frame::close(1000, "")]),
        |rig| rig.receive([Frame::text("").with_rsv(1)]),
    ];
    for role in BOTH {
        for close in closes {
            let mut rig = Rig::new(role);
            rig.conn.handle().try_send("promised").unwrap();
            close(&mut rig);
            rig.settle();
            let sent = rig.sent();
            assert_eq!(sent[0], Frame::text("promised"));
            assert!(sent.len() == 2 && sent[1].close_code().is_some(), "{sent:?}");
        }
    }
}

#[test]
fn a_ping_of_more_than_125_bytes_is_refused() {
    let mut rig = Rig::new(wsweave::Role::Client);
    let refused = rig.conn.handle().ping(vec![0; 126]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

#[test]
fn dropping_handles_ends_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        drop(rig.conn.handle());
        rig.receive([Frame::text("x")]);
        assert_eq!(rig.settle(), ["x".into()]);
        assert!(rig.conn.handle().is_open());
    }
}

#[test]
fn a_handle_is_a_sink_that_is_flushed_when_the_bytes_are_out() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let mut handle = rig.conn.handle();
        rig.wire.block_writes();
        let task = Task::new();
        assert!(matches!(task.ready(&mut handle), Poll::Ready(Ok(()))));
        handle.start_send_unpin("x".into()).unwrap();
        assert!(task.flush(&mut handle).is_pending());
        rig.settle();
        assert!(task.flush(&mut handle).is_pending());
        rig.wire.unblock_writes();
        rig.settle();
        assert!(task.wakes() > 0);
        assert!(matches!(task.flush(&mut handle), Poll::Ready(Ok(()))));
        assert_eq!(rig.sent(), [Frame::text("x")]);
    }
}

#[test]
fn closing_the_sink_of_a_handle_retires_that_handle_alone() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let mut handle = rig.conn.handle();
        let other = handle.clone();
        let task = Task::new();
        assert!(matches!(task.ready(&mut handle), Poll::Ready(Ok(()))));
        handle.start_send_unpin("x".into()).unwrap();
        assert!(task.close(&mut handle).is_pending());
        rig.settle();
        assert!(matches!(task.close(&mut handle), Poll::Ready(Ok(()))));
        assert!(matches!(task.ready(&mut handle), Poll::Ready(Err(_))));
        assert!(matches!(handle.try_send("late"), Err(TrySendError::Closed(_))));

        assert!(other.is_open());
        other.try_send("y").unwrap();
        rig.settle();
        assert_eq!(rig.sent(), [Frame::text("x"), Frame::text("y")]);
        assert!(!rig.has_ended());
    }
}

#[test]
fn streams_forward_into_handles() {
    let (mut client, mut server) = Connection::pair_with(quiet().outbox_size(200), quiet());
    let handle = client.handle();
    let mut pool = Pool::default();
    pool.spawn(async move {
        let messages = futures::stream::iter((0..1_000).map(|n| Ok(n.to_string().into())));
        messages.forward(handle.clone()).await.unwrap();
        handle.close_with(1000, "").unwrap();
    });
    pool.spawn(async move { client.for_each(|_| async {}).await });
    pool.spawn(async move {
        for n in 0..1_000 {
            assert_eq!(server.next().await, Some(n.to_string().into()));
        }
        assert_eq!(server.next().await, None);
        assert!(server.finish().unwrap().clean);
    });
    assert!(pool.run());
}

#[test]
fn handles_work_from_other_threads() {
    let (mut client, mut server) = Connection::pair_with(quiet().outbox_size(2_000), quiet());
    let handle = client.handle();
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            std::thread::spawn(move || {
                for _ in 0..1_000 {
                    futures::executor::block_on(handle.send(vec![1; 50])).unwrap();
                }
            })
        })
        .collect();
    within(async {
        let read = async {
            for _ in 0..4_000 {
                assert!(server.next().await.is_some());
            }
            handle.close_with(1000, "").unwrap();
            assert_eq!(server.next().await, None);
        };
        let ((), end) = futures::join!(read, client.next());
        assert_eq!(end, None);
    });
    for sender in senders {
        sender.join().unwrap();
    }
}
