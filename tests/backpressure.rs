//! Backpressure: what waits to be sent is bounded, and waiting never stops the reading.

mod support;

use std::{cell::Cell, task::Poll, time::Duration};

use futures::SinkExt;
use wsweave::{Bytes, Config, ConnectionExt, ErrorKind, Initiator, Message};

use crate::support::{BOTH, Frame, Rig, quiet};

/// A connection without keepalive whose outbox is `size` bytes.
fn rig(role: wsweave::Role, size: usize) -> Rig {
    Rig::with(role, Config::default().outbox_size(size).keepalive_interval(None))
}

/// Feeds messages of `size` bytes until the sink makes the caller wait; returns how many.
fn fill(rig: &mut Rig, size: usize) -> usize {
    for fed in 0..10_000 {
        match rig.task.ready(&mut rig.conn) {
            Poll::Ready(result) => result.expect("an open connection"),
            Poll::Pending => return fed,
        }
        rig.conn.start_send_unpin(vec![1; size].into()).expect("there is room");
    }
    panic!("the sink takes messages without end");
}

#[test]
fn the_sink_waits_when_the_outbox_is_full() {
    for role in BOTH {
        let mut rig = rig(role, 10_000);
        rig.wire.block_writes();
        let fed = fill(&mut rig, 1_000);
        assert!((5..=11).contains(&fed), "{fed} messages of 1,000 bytes in 10,000");
    }
}

#[test]
fn the_sink_wakes_its_task_when_there_is_room() {
    for role in BOTH {
        let mut rig = rig(role, 10_000);
        rig.wire.block_writes();
        fill(&mut rig, 1_000);
        let wakes = rig.task.wakes();
        rig.wire.unblock_writes();
        assert!(rig.task.wakes() > wakes);
        assert!(matches!(rig.task.ready(&mut rig.conn), Poll::Ready(Ok(()))));
    }
}

#[test]
fn many_tiny_messages_are_bounded_too() {
    for role in BOTH {
        let mut rig = rig(role, 1_000);
        rig.wire.block_writes();
        let fed = fill(&mut rig, 0);
        assert!(fed <= 1_000, "{fed} empty messages: their headers count");
    }
}

#[test]
fn pings_are_bounded_too() {
    for role in BOTH {
        let mut rig = rig(role, 10_000);
        rig.wire.block_writes();
        let refused = (0..10_000).find_map(|_| rig.conn.ping("twenty bytes of ping").err());
        assert_eq!(refused.expect("200,000 bytes of pings wait").kind(), ErrorKind::Full);
        rig.wire.unblock_writes();
        rig.settle();
        rig.conn.ping("there is room again").unwrap();
    }
}

#[test]
fn an_outbox_of_size_zero_has_room_for_one() {
    for role in BOTH {
        let mut rig = rig(role, 0);
        assert!(rig.next().is_pending());
        rig.wire.block_writes();
        assert_eq!(fill(&mut rig, 100), 1);
        rig.wire.unblock_writes();
        rig.conn.handle().try_send("from a handle").unwrap();
        rig.settle();
        assert_eq!(rig.sent(), [Frame::binary([1; 100]), Frame::text("from a handle")]);
    }
}

#[test]
fn a_message_larger_than_the_outbox_is_taken_when_that_is_empty() {
    for role in BOTH {
        let mut rig = rig(role, 1_000);
        rig.feed(vec![7; 5_000]);
        rig.settle();
        assert_eq!(rig.sent(), [Frame::binary([7; 5_000])]);
    }
}

#[test]
fn a_full_outbox_does_not_stop_the_reading() {
    for role in BOTH {
        let mut rig = rig(role, 1_000);
        rig.wire.block_writes();
        fill(&mut rig, 100);
        for n in 0..500 {
            rig.receive([Frame::text(n.to_string())]);
        }
        assert_eq!(rig.settle().len(), 500);
        assert_eq!(rig.wire.unread(), 0);
    }
}

#[test]
fn flushing_reads_neither_too_much_nor_loses_what_it_read() {
    for role in BOTH {
        let mut rig = rig(role, 1_000);
        rig.wire.block_writes();
        rig.feed("unsent");
        for n in 0..1_000u32 {
            rig.receive([Frame::binary([0; 1_000]), Frame::text(n.to_string())]);
        }
        for _ in 0..100 {
            assert!(rig.task.flush(&mut rig.conn).is_pending());
        }
        assert!(rig.wire.unread() > 500_000, "a flush buffers no megabyte for a later reader");
        let texts = rig.settle().into_iter().filter(Message::is_text);
        let expected = (0..1_000).map(|n| n.to_string().into());
        assert!(texts.eq(expected));
    }
}

#[test]
fn answers_of_hooks_stop_the_reading_beyond_the_mark() {
    for role in BOTH {
        let mut rig = rig(role, 10_000);
        rig.wire.block_writes();
        for _ in 0..1_000 {
            rig.receive([Frame::text("more")]);
        }
        let mut answered = 0;
        while rig.message().is_some() {
            rig.peer().send(vec![1; 1_000]);
            answered += 1;
        }
        assert!((5..=12).contains(&answered), "{answered} answers of 1,000 bytes in 10,000");
        assert!(rig.wire.unread() > 0);

        let wakes = rig.task.wakes();
        rig.wire.unblock_writes();
        assert!(rig.task.wakes() > wakes, "progress of the writes wakes the reader");
        while rig.message().is_some() {
            rig.peer().send("");
            answered += 1;
        }
        assert_eq!(answered, 1_000);
    }
}

#[test]
fn messages_already_read_wait_with_the_reading() {
    for role in BOTH {
        let mut rig = rig(role, 10_000);
        rig.wire.block_writes();
        rig.receive(vec![Frame::text("more"); 1_000]);
        let mut answered = 0;
        while rig.message().is_some() {
            rig.peer().send(vec![1; 1_000]);
            answered += 1;
        }
        assert!(answered <= 12, "{answered} answers, although all came in one read");
    }
}

#[test]
fn what_was_not_decoded_for_want_of_room_comes_before_what_is_read() {
    for role in BOTH {
        let rig = Rig::with(role, quiet());
        // One read brings many, and each answer alone passes the mark.
        rig.receive((0..100).map(|i| Frame::text(i.to_string())));
        rig.receive([Frame::text("100")]);
        rig.wire.end();
        let mut rig = rig.weave(|conn| conn.on_each(|peer, _| peer.send(vec![0; 2 << 20])));
        let expected: Vec<Message> = (0..=100).map(|i| i.to_string().into()).collect();
        assert_eq!(rig.settle(), expected, "{}", rig.finish());
    }
}

#[test]
fn pings_whose_answers_did_not_fit_are_answered_when_the_peer_reads() {
    for role in BOTH {
        let mut rig = Rig::with(role, quiet());
        rig.wire.block_writes();
        rig.wire.give(rig.encode([Frame::ping([7; 125])]).repeat(100_000));
        assert_eq!(rig.settle(), []);
        assert!(rig.wire.unread() > 0, "their answers do not fit");
        rig.wire.unblock_writes();
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent().len(), 100_000);
    }
}

#[test]
fn a_hook_may_pass_the_mark_by_what_one_message_brings() {
    for role in BOTH {
        let mut rig = rig(role, 1_000);
        let payload = Bytes::from(vec![1; 1 << 20]);
        for _ in 0..15 {
            rig.peer().send(payload.clone());
        }
        rig.settle();
        assert_eq!(rig.sent().len(), 15);
        assert!(!rig.has_ended());
    }
}

#[test]
fn hooks_that_send_without_end_fail_the_connection_with_1011() {
    for role in BOTH {
        let mut rig = rig(role, 1_000);
        let payload = Bytes::from(vec![1; 1 << 20]);
        let sent = Cell::new(0);
        while rig.peer().is_open() && sent.get() < 100 {
            rig.peer().send(payload.clone());
            sent.set(sent.get() + 1);
        }
        assert!((16..=18).contains(&sent.get()), "{} MiB before it failed", sent.get());
        assert_eq!(rig.settle(), []);
        let finish = rig.finish();
        assert_eq!((finish.initiator, finish.code.0), (Initiator::Us, 1011));
        assert_eq!(finish.error.unwrap().kind(), ErrorKind::Hook);
        assert_eq!(rig.sent().last().unwrap().close_code(), Some(1011));
    }
}

#[test]
fn a_write_without_progress_ends_the_connection() {
    for role in BOTH {
        let mut rig = rig(role, 1_000);
        rig.wire.block_writes();
        rig.feed("stuck");
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(39);
        assert!(rig.next().is_pending());
        let wakes = rig.task.wakes();
        rig.clock.advance_secs(1);
        assert!(rig.task.wakes() > wakes);
        assert_eq!(rig.settle(), []);
        let finish = rig.finish();
        assert!(!finish.clean);
        assert_eq!(finish.error.unwrap().kind(), ErrorKind::Timeout);
    }
}

#[test]
fn a_flush_ends_when_the_write_makes_no_progress() {
    for role in BOTH {
        let mut rig = rig(role, 1_000);
        rig.wire.block_writes();
        rig.feed("stuck");
        assert!(rig.task.flush(&mut rig.conn).is_pending());
        let wakes = rig.task.wakes();
        rig.clock.advance_secs(40);
        assert!(rig.task.wakes() > wakes);
        let Poll::Ready(Err(error)) = rig.task.flush(&mut rig.conn) else { panic!("waits on") };
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
}

#[test]
fn each_byte_written_is_progress() {
    for role in BOTH {
        let mut rig = rig(role, 1_000);
        rig.wire.block_writes();
        rig.feed(vec![1; 500]);
        for _ in 0..10 {
            assert!(rig.next().is_pending());
            rig.clock.advance_secs(30);
            rig.wire.allow(1);
            assert!(rig.next().is_pending());
        }
        rig.clock.advance_secs(40);
        assert_eq!(rig.settle(), []);
        assert!(rig.has_ended());
    }
}

#[test]
fn silence_with_nothing_to_write_is_no_stuck_write() {
    for role in BOTH {
        let mut rig = rig(role, 1_000);
        rig.feed("sent at once");
        for _ in 0..10 {
            assert!(rig.next().is_pending());
            rig.clock.advance(Duration::from_secs(60));
        }
        rig.wire.block_writes();
        rig.feed("the time of a write starts with it");
        assert!(rig.next().is_pending());
        rig.clock.advance_secs(39);
        assert!(rig.next().is_pending());
    }
}

#[test]
fn what_asynchronous_hooks_send_stops_the_reading_beyond_the_mark() {
    for role in BOTH {
        let Rig { conn, wire, task, .. } = Rig::with(role, quiet());
        let echo = conn.on_each_async(|handle, message| async move { handle.send(message).await });
        wire.block_writes();
        for _ in 0..200 {
            wire.give(Frame::binary(vec![0; 100_000]).to(role));
        }
        let mut run = Box::pin(echo.run());
        assert!(task.until_stalled(|cx| run.as_mut().poll(cx)).is_pending());
        assert!(wire.bytes_read() < 4 << 20, "read {} with nothing written", wire.bytes_read());
    }
}
