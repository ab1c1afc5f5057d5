//! Backpressure, and who is woken for what.

use std::task::Poll;

use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use futures::{FutureExt, SinkExt, StreamExt};
use wsweave::Config;

use crate::{
    adopted, adopted_with,
    support::{BOTH, Frame, Rig, Task, quiet},
};

#[test]
fn a_sink_that_takes_nothing_makes_ours_wait() {
    for role in BOTH {
        let mut rig = adopted_with(role, Config::default().outbox_size(200_000), None);
        rig.wire.block_writes();
        let mut fed = 0;
        while rig.task.ready(&mut rig.conn).is_ready() {
            rig.conn.start_send_unpin(vec![7; 50_000].into()).unwrap();
            fed += 1;
            assert!(fed < 20, "without bounds");
        }
        // tungstenite buffers 128 KiB, and what was one write is on the way to it.
        assert!(fed >= 4, "{fed}");
        let wakes = rig.task.wakes();
        rig.wire.unblock_writes();
        assert!(rig.task.wakes() > wakes);
        rig.settle();
        assert_eq!(rig.sent(), vec![Frame::binary(vec![7; 50_000]); fed]);
    }
}

#[test]
fn a_bounded_buffer_of_tungstenite_loses_no_message() {
    for role in BOTH {
        let inner = WebSocketConfig::default().write_buffer_size(4000).max_write_buffer_size(5000);
        let mut rig = adopted_with(role, Config::default(), Some(inner));
        rig.wire.block_writes();
        for length in [3000, 3000, 100, 4900] {
            rig.feed(vec![7; length]);
        }
        rig.settle();
        for _ in 0..12 {
            rig.wire.allow(1000);
            rig.settle();
        }
        let sent = rig.sent().into_iter().map(|frame| frame.payload.len()).collect::<Vec<_>>();
        assert_eq!(sent, [3000, 3000, 100, 4900]);
    }
}

#[test]
fn a_bounded_buffer_of_tungstenite_loses_no_close() {
    for role in BOTH {
        let inner = WebSocketConfig::default().write_buffer_size(4999).max_write_buffer_size(5000);
        let mut rig = adopted_with(role, Config::default(), Some(inner));
        // It waits in the buffer, and leaves no room for the Close.
        rig.feed(vec![7; 4900]);
        let reason = "x".repeat(100);
        rig.peer().close_with(1000, &reason);
        rig.settle();
        assert_eq!(rig.sent(), [Frame::binary(vec![7; 4900]), Frame::close(1000, &reason)]);
    }
}

#[test]
fn a_message_that_never_fits_tungstenite_is_an_error() {
    for role in BOTH {
        let inner = WebSocketConfig::default().write_buffer_size(1000).max_write_buffer_size(5000);
        let mut rig = adopted_with(role, Config::default(), Some(inner));
        rig.feed(vec![7; 6000]);
        rig.settle();
        let error = rig.finish().error.unwrap();
        assert_eq!(error.to_string(), "the adopted WebSocket failed: Write buffer is full");
    }
}

#[test]
fn reading_goes_on_while_writing_is_blocked() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.wire.block_writes();
        rig.feed(vec![7; 300_000]);
        rig.receive([Frame::text("a"), Frame::text("b")]);
        assert_eq!(rig.settle(), ["a".into(), "b".into()]);
    }
}

#[test]
fn an_idle_one_is_left_alone() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.receive([Frame::text("a"), Frame::ping("b")]);
        rig.feed("c");
        rig.settle();
        let wakes = rig.task.wakes();
        assert!(rig.next().is_pending());
        assert_eq!(rig.task.wakes(), wakes);
    }
}

#[test]
fn two_tasks_are_each_woken_for_their_half() {
    for role in BOTH {
        let Rig { conn, wire, .. } = adopted_with(role, quiet().outbox_size(1), None);
        let (mut sink, mut stream) = conn.split();
        let [reads, sends] = [Task::new(), Task::new()];
        let next =
            |stream: &mut _| reads.until_stalled(|cx| StreamExt::poll_next_unpin(stream, cx));
        wire.block_writes();
        assert!(next(&mut stream).is_pending());
        let mut send = sink.send(vec![7; 300_000].into());
        assert!(sends.until_stalled(|cx| send.poll_unpin(cx)).is_pending());

        let wakes = reads.wakes();
        wire.give(Frame::text("a").to(role));
        assert!(reads.wakes() > wakes);
        assert_eq!(next(&mut stream), Poll::Ready(Some("a".into())));
        assert!(next(&mut stream).is_pending());

        let wakes = sends.wakes();
        wire.unblock_writes();
        assert!(sends.wakes() > wakes);
        assert!(sends.until_stalled(|cx| send.poll_unpin(cx)).is_ready());
        assert_eq!(wire.sent_by(role), [Frame::binary(vec![7; 300_000])]);
    }
}
