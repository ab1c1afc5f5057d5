//! Messages that arrive while we are closing: a reader misses none, and without one there is no gap.

mod support;

use std::{cell::RefCell, task::Poll};

use futures::{SinkExt, StreamExt};
use wsweave::{ConnectionExt, Message};

use crate::support::{BOTH, Frame, Pool, Rig, Task, quiet, rt::yield_now};

/// A large message that starts with `n`.
fn numbered(n: u8) -> Frame {
    Frame::binary([vec![n], vec![0; 40_000]].concat())
}

fn number(message: &Message) -> u8 {
    message.as_bytes()[0]
}

#[test]
fn a_reader_that_waits_gets_all_although_the_close_is_polled_first() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet());
        let (reader, closer) = (Task::new(), Task::new());
        assert!(reader.next(&mut rig.conn).is_pending());
        assert!(closer.close(&mut rig.conn).is_pending());
        rig.receive((0..4).map(numbered));
        assert!(closer.close(&mut rig.conn).is_pending());
        for n in 0..4 {
            let Poll::Ready(Some(message)) = reader.next(&mut rig.conn) else {
                panic!("{n} is missing")
            };
            assert_eq!(number(&message), n);
        }
    }
}

#[test]
fn a_close_beside_a_reader_loses_nothing_whoever_is_polled_first() {
    for role in BOTH {
        for closer_first in [true, false] {
            let Rig { conn, wire, .. } = Rig::with(role, quiet());
            let (mut sink, stream) = conn.split();
            let got = RefCell::new(Vec::new());
            let close = async { sink.close().await.unwrap() };
            let read = stream.for_each(async |message| got.borrow_mut().push(number(&message)));
            let mut pool = Pool::default();
            if closer_first {
                pool.spawn(close);
                pool.spawn(read);
            } else {
                pool.spawn(read);
                pool.spawn(close);
            }
            for n in 0..50 {
                wire.give(numbered(n).to(role));
                if n % 7 == 0 {
                    assert!(!pool.run());
                }
            }
            wire.give(Frame::close(1000, "").to(role));
            wire.end();
            assert!(pool.run());
            assert!(got.borrow().iter().copied().eq(0..50), "{got:?}");
        }
    }
}

#[test]
fn what_a_close_without_a_reader_drops_leaves_no_gap() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet());
        assert!(rig.close().is_pending());
        rig.receive([numbered(0), numbered(1), numbered(2), Frame::binary([3])]);
        assert!(rig.close().is_pending());
        // Somebody comes to read after all, and makes room for the next one.
        let mut got = vec![rig.message().unwrap()];
        rig.receive([Frame::binary([4])]);
        assert!(rig.close().is_pending());
        got.extend(rig.settle());
        let got: Vec<_> = got.iter().map(number).collect();
        assert_eq!(got, [0, 1], "nothing that comes after one that was dropped");
    }
}

#[test]
fn an_asynchronous_hook_sees_all_behind_a_close_of_ours() {
    for role in BOTH {
        let seen = RefCell::new(Vec::new());
        let Rig { mut conn, wire, task, .. } = Rig::with(role, quiet());
        conn.handle().close_with(1000, "").unwrap();
        let hooked = conn.on_each_async(async |_, message: Message| {
            seen.borrow_mut().push(number(&message));
            yield_now().await;
        });
        for n in 0..50 {
            wire.give(numbered(n).to(role));
        }
        wire.give(Frame::close(1000, "").to(role));
        wire.end();
        let mut run = Box::pin(hooked.run());
        let Poll::Ready(finish) = task.until_stalled(|cx| run.as_mut().poll(cx)) else {
            panic!("it waits on")
        };
        assert!(finish.clean, "{finish}");
        assert!(seen.borrow().iter().copied().eq(0..50), "{seen:?}");
    }
}

#[test]
fn an_asynchronous_hook_that_answers_behind_a_close_of_ours_leaves_it_clean() {
    for role in BOTH {
        let Rig { mut conn, wire, task, .. } = Rig::with(role, quiet());
        conn.handle().close_with(1000, "done").unwrap();
        let echo = conn.on_each_async(|handle, message| async move { handle.send(message).await });
        let mut run = Box::pin(echo.run());
        assert!(task.poll(&mut run).is_pending());
        assert_eq!(wire.sent_by(role), [Frame::close(1000, "done")]);
        wire.give(Frame::text("sent before the peer saw it").to(role));
        wire.give(Frame::close(1000, "").to(role));
        wire.end();
        let Poll::Ready(finish) = task.until_stalled(|cx| run.as_mut().poll(cx)) else {
            panic!("it waits on")
        };
        assert!(finish.clean, "{finish}");
    }
}

#[test]
fn a_hook_that_fails_at_a_message_read_behind_a_clean_end_is_heard_of() {
    for role in BOTH {
        let errors = RefCell::new(Vec::new());
        let mut rig = Rig::with(role, quiet()).weave(|conn| {
            conn.on_each(|_, _| Err("no thanks"))
                .on_error(|error| errors.borrow_mut().push(error.to_string()))
        });
        assert!(rig.close().is_pending());
        rig.receive([Frame::text("late"), Frame::close(1000, "")]);
        rig.wire.end();
        assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
        assert_eq!(rig.settle(), ["late".into()]);
        assert_eq!(*errors.borrow(), ["a hook failed: no thanks"]);
        assert!(rig.finish().clean, "it had ended before");
    }
}

#[test]
fn an_asynchronous_hook_that_answers_behind_a_close_not_yet_taken_leaves_it_clean() {
    for role in BOTH {
        let Rig { mut conn, wire, task, .. } = Rig::with(role, quiet());
        conn.handle().close_with(1000, "done").unwrap();
        let echo = conn.on_each_async(|handle, message| async move { handle.send(message).await });
        let mut run = Box::pin(echo.run());
        wire.give(Frame::text("there before the first poll").to(role));
        assert!(task.poll(&mut run).is_pending());
        assert_eq!(wire.sent_by(role), [Frame::close(1000, "done")]);
        wire.give(Frame::close(1000, "").to(role));
        wire.end();
        let Poll::Ready(finish) = task.until_stalled(|cx| run.as_mut().poll(cx)) else {
            panic!("it waits on")
        };
        assert!(finish.clean, "{finish}");
    }
}

#[test]
fn what_a_close_dropped_leaves_no_gap_before_what_is_read_directly() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet());
        assert!(rig.close().is_pending());
        rig.receive((0..3).map(numbered));
        assert!(rig.close().is_pending());
        let mut got = rig.settle();
        rig.receive([Frame::binary([3])]);
        got.extend(rig.settle());
        let got: Vec<_> = got.iter().map(number).collect();
        assert_eq!(got, [0, 1], "2 was dropped");
    }
}
