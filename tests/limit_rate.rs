//! `limit_rate`: no more messages in a time than a `RateLimit` says.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::{sync::mpsc, task::Poll, time::Duration};

use futures::{Stream, StreamExt, stream::FusedStream};
use wsweave::{
    Config, Connection, ConnectionExt, ErrorKind, Initiator, LimitRate, Message, RateLimit, Role,
};

use crate::support::{BOTH, Frame, Rig, Script, quiet, rt::yield_now};

type Limited = Rig<LimitRate<Connection<Script>>>;

fn limited(limit: RateLimit) -> Limited {
    Rig::new(Role::Server).weave(|conn| conn.limit_rate(limit))
}

fn messages(per_second: f64) -> RateLimit {
    RateLimit::new().messages(per_second).unwrap()
}

fn bytes(per_second: f64) -> RateLimit {
    RateLimit::new().bytes(per_second).unwrap()
}

fn numbered(count: usize) -> impl Iterator<Item = Frame> {
    (0..count).map(|number| Frame::text(number.to_string()))
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_burst_passes_at_once_and_then_one_message_at_each_tick() {
    let mut rig = limited(messages(10.0));
    rig.receive(numbered(40));
    assert_eq!(rig.settle().len(), 10);
    for tick in 0..30 {
        rig.clock.advance(millis(99));
        assert!(rig.settle().is_empty(), "tick {tick} came early");
        rig.clock.advance(millis(1));
        assert_eq!(rig.settle(), [Message::from((10 + tick).to_string())]);
    }
}

#[test]
fn a_rate_may_be_a_fraction() {
    let mut rig = limited(messages(0.25));
    rig.receive(numbered(3));
    assert_eq!(rig.settle().len(), 1);
    for _ in 0..2 {
        rig.clock.advance(millis(3_999));
        assert!(rig.settle().is_empty());
        rig.clock.advance(millis(1));
        assert_eq!(rig.settle().len(), 1);
    }
}

#[test]
fn a_burst_is_whole_whatever_a_message_costs() {
    for rate in [3_u32, 7, 49, 999, 9_973] {
        // All at one moment of the clock.
        let mut rig = limited(messages(rate.into()).or_close());
        rig.receive(numbered(rate as usize));
        assert_eq!(rig.settle().len(), rate as usize);
        rig.receive(numbered(1));
        assert!(rig.settle().is_empty());
        assert_eq!(rig.sent_codes(), [Some(1008)]);
    }
}

#[test]
fn only_one_burst_is_saved_up() {
    let mut rig = limited(messages(10.0).burst(Duration::from_secs(2)));
    rig.clock.advance_secs(3_600);
    rig.receive(numbered(100));
    assert_eq!(rig.settle().len(), 20);
    rig.clock.advance_secs(1);
    assert_eq!(rig.settle_with_time(millis(0)), 10);
    // Nothing is saved up while messages wait.
    rig.clock.advance_secs(1);
    assert_eq!(rig.settle_with_time(millis(0)), 10);

    let mut rig = limited(messages(10.0));
    rig.receive(numbered(10));
    assert_eq!(rig.settle().len(), 10);
    rig.clock.advance(millis(300));
    rig.receive(numbered(10));
    assert_eq!(rig.settle().len(), 3);
}

trait SettleWithTime {
    /// How many messages come while the clock moves in small steps for `time`.
    fn settle_with_time(&mut self, time: Duration) -> usize;
}

impl SettleWithTime for Limited {
    fn settle_with_time(&mut self, time: Duration) -> usize {
        let mut count = self.settle().len();
        for _ in 0..time.as_millis() {
            self.clock.advance(millis(1));
            count += self.settle().len();
        }
        count
    }
}

#[test]
fn bytes_are_counted_as_they_are_delivered() {
    let mut rig = limited(bytes(1_000.0));
    rig.receive([Frame::binary([1; 400]).unfinished(), Frame::continuation([1; 100])]);
    rig.receive([Frame::text(""), Frame::binary([2; 500]), Frame::text(""), Frame::text("x")]);
    assert_eq!(rig.settle().len(), 4);
    rig.clock.advance(Duration::from_micros(999));
    assert!(rig.settle().is_empty());
    rig.clock.advance(Duration::from_micros(1));
    assert_eq!(rig.settle(), [Message::from("x")]);

    // RFC 7692, section 7.2.3.1: 5 bytes in 7.
    let mut rig = Rig::deflating(Role::Server, Config::default(), "permessage-deflate")
        .weave(|conn| conn.limit_rate(bytes(5.0)));
    let hello = Frame::text([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]).with_rsv(4);
    rig.receive([hello]);
    rig.receive([Frame::text("x")]);
    assert_eq!(rig.settle(), [Message::from("Hello")]);
    assert_eq!(rig.settle_with_time(millis(199)), 0);
    assert_eq!(rig.settle_with_time(millis(1)), 1);
}

#[test]
fn a_message_larger_than_a_burst_passes_alone_and_is_paid_for() {
    let mut rig = limited(bytes(1_000.0));
    rig.receive([Frame::text("x"), Frame::binary([1; 10_000]), Frame::text("y")]);
    assert_eq!(rig.settle(), [Message::from("x")]);
    // Behind anything at all it waits until that is paid for.
    rig.clock.advance(millis(1));
    assert_eq!(rig.settle(), [Message::from(vec![1; 10_000])]);
    assert_eq!(rig.settle_with_time(millis(9_000)), 0);
    assert_eq!(rig.settle_with_time(millis(1)), 1);
}

#[test]
fn the_stricter_of_two_rates_counts() {
    let limit = messages(10.0).bytes(1_000).unwrap();
    let mut rig = limited(limit.clone());
    rig.receive((0..20).map(|_| Frame::binary([1; 500])));
    assert_eq!(rig.settle().len(), 2);
    assert_eq!(rig.settle_with_time(millis(1_000)), 2);

    let mut rig = limited(limit);
    rig.receive((0..20).map(|_| Frame::binary([1; 10])));
    assert_eq!(rig.settle().len(), 10);
    assert_eq!(rig.settle_with_time(millis(1_000)), 10);
}

#[test]
fn without_a_rate_there_is_no_limit() {
    let mut rig = limited(RateLimit::default());
    rig.receive(numbered(10_000));
    assert_eq!(rig.settle().len(), 10_000);
}

#[test]
fn a_rate_is_a_number_above_zero() {
    for nonsense in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = RateLimit::new().messages(nonsense).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(RateLimit::new().bytes(nonsense).is_err());
    }
    // The smallest and the largest there are.
    for (rate, passes) in [(f64::MIN_POSITIVE, 1), (f64::MAX, 100)] {
        let mut rig = limited(messages(rate).bytes(rate).unwrap());
        rig.receive(numbered(100));
        assert_eq!(rig.settle().len(), passes);
    }
}

#[test]
fn a_burst_of_no_time_lets_messages_pass_one_by_one() {
    let mut rig = limited(messages(10.0).burst(Duration::ZERO));
    rig.receive(numbered(3));
    assert_eq!(rig.settle().len(), 1);
    rig.clock.advance(millis(100));
    assert_eq!(rig.settle().len(), 1);
}

#[test]
fn what_waits_holds_up_the_peer() {
    let mut rig = limited(messages(1.0));
    for _ in 0..1_000 {
        rig.receive([Frame::binary([1; 1_000])]);
    }
    assert_eq!(rig.settle().len(), 1);
    // The one that passed, the one that waits, and the one behind it.
    assert!(rig.wire.bytes_read() < 4 * 1_010, "{} bytes read", rig.wire.bytes_read());
    assert!(rig.task.wakes() < 20);
}

#[test]
fn pings_are_answered_and_messages_sent_while_a_message_waits() {
    for role in BOTH {
        let mut rig = Rig::new(role).weave(|conn| conn.limit_rate(messages(1.0)));
        rig.receive(numbered(2));
        assert_eq!(rig.settle().len(), 1);
        rig.receive([Frame::ping("x")]);
        rig.feed("ours");
        assert_eq!(rig.settle().len(), 0);
        assert_eq!(rig.sent(), [Frame::text("ours"), Frame::pong("x")]);
    }
}

#[test]
fn keepalive_and_timeouts_go_on_while_a_message_waits() {
    let mut rig = limited(messages(0.001));
    rig.receive(numbered(2));
    assert_eq!(rig.settle().len(), 1);
    rig.clock.advance_secs(20);
    assert_eq!(rig.settle().len(), 0);
    assert_eq!(rig.sent()[0].opcode, 9);
    rig.clock.advance_secs(20);
    assert_eq!(rig.settle().len(), 1);
    assert!(rig.has_ended());
    assert_eq!(rig.finish().error.unwrap().kind(), ErrorKind::Timeout);
}

#[test]
fn what_was_read_before_the_end_passes_without_waiting() {
    for role in BOTH {
        let mut rig = Rig::new(role).weave(|conn| conn.limit_rate(messages(0.001)));
        rig.receive(numbered(2));
        assert_eq!(rig.settle().len(), 1);
        rig.receive([Frame::close(1000, "")]);
        rig.wire.end();
        assert_eq!(rig.settle(), [Message::from("1")]);
        assert!(rig.finish().clean);
        assert!(rig.conn.is_terminated());
    }
}

#[test]
fn our_own_close_does_not_wait() {
    let mut rig = limited(messages(0.001));
    rig.receive(numbered(5));
    assert_eq!(rig.settle().len(), 1);
    let handle = rig.conn.handle();
    assert!(rig.settle().is_empty());
    handle.close_with(1000, "").unwrap();
    assert_eq!(rig.settle().len(), 4);
    rig.receive([Frame::close(1000, "")]);
    assert_eq!(rig.settle().len(), 0);
    assert!(rig.finish().clean);

    let mut rig = limited(messages(0.001));
    rig.receive(numbered(5).chain([Frame::close(1000, "")]));
    assert_eq!(rig.settle().len(), 1);
    assert!(matches!(rig.close(), Poll::Ready(Ok(()))));
    assert_eq!(rig.settle().len(), 4);
}

#[test]
fn once_it_closes_there_is_no_limit_to_exceed() {
    let mut rig = limited(messages(1.0).or_close());
    rig.peer().close_with(1000, "");
    rig.receive(numbered(100).chain([Frame::close(1000, "")]));
    assert_eq!(rig.settle().len(), 100);
    assert!(rig.finish().clean);
}

#[test]
fn over_the_limit_it_closes_with_1008_if_that_is_asked_for() {
    for role in BOTH {
        let limit = messages(10.0).or_close();
        let (failed, failure) = mpsc::channel();
        let mut rig = Rig::new(role).weave(|conn| {
            conn.limit_rate(limit).on_error(move |error| failed.send(error.kind()).unwrap())
        });
        rig.receive(numbered(10));
        assert_eq!(rig.settle().len(), 10);
        rig.clock.advance(millis(100));
        rig.receive(numbered(3));
        assert_eq!(rig.settle(), [Message::from("0")]);
        rig.wire.end();
        assert!(rig.settle().is_empty());
        assert_eq!(rig.sent_codes(), [Some(1008)]);
        let finish = rig.finish();
        assert_eq!((finish.code.0, finish.initiator), (1008, Initiator::Us));
        assert_eq!(finish.error.unwrap().kind(), ErrorKind::LimitExceeded);
        assert_eq!(failure.try_iter().collect::<Vec<_>>(), [ErrorKind::LimitExceeded]);
    }
}

#[test]
fn nothing_passes_behind_what_went_over_the_limit() {
    let mut rig = Rig::new(Role::Server).weave(|conn| {
        // While it runs, the next message is read.
        conn.on_each_async(|_, _| yield_now()).limit_rate(messages(1.0).or_close())
    });
    rig.receive(numbered(3));
    assert_eq!(rig.settle(), [Message::from("0")]);
    assert_eq!(rig.sent_codes(), [Some(1008)]);
}

#[test]
fn who_keeps_to_the_limit_is_never_closed() {
    let mut rig = limited(messages(10.0).or_close());
    for _ in 0..100 {
        rig.receive(numbered(1));
        assert_eq!(rig.settle().len(), 1);
        rig.clock.advance(millis(100));
    }
    assert!(!rig.has_ended());
}

#[test]
fn without_a_clock_it_fails_with_1011_at_the_first_message() {
    for limit in [messages(10.0), messages(10.0).or_close()] {
        let (script, wire) = support::Wire::new();
        let conn = Connection::from_raw(script, Role::Server, quiet());
        let mut conn = conn.limit_rate(limit);
        let task = support::Task::new();
        wire.give(Frame::text("x").to(Role::Server));
        wire.end();
        assert_eq!(task.until_stalled(|cx| conn.poll_next_unpin(cx)), Poll::Ready(None));
        let finish = conn.finish().unwrap();
        assert_eq!(finish.code, 1011);
        assert_eq!(finish.error.as_ref().unwrap().kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn hooks_below_see_what_is_read_and_hooks_above_what_passes() {
    let (below, read) = mpsc::channel();
    let (above, passed) = mpsc::channel();
    let mut rig = Rig::new(Role::Server).weave(|conn| {
        conn.on_each(move |_, _| below.send(()).unwrap()).limit_rate(messages(1.0)).on_each(
            move |peer, _| {
                peer.send("passed");
                above.send(()).unwrap();
            },
        )
    });
    rig.receive(numbered(5));
    assert_eq!(rig.settle().len(), 1);
    assert_eq!((read.try_iter().count(), passed.try_iter().count()), (2, 1));
    rig.clock.advance_secs(1);
    assert_eq!(rig.settle().len(), 1);
    assert_eq!((read.try_iter().count(), passed.try_iter().count()), (1, 1));
    assert_eq!(rig.sent(), [Frame::text("passed"), Frame::text("passed")]);
}

#[test]
fn a_dropped_next_loses_nothing_and_size_hints_are_true() {
    use futures::FutureExt;

    let mut rig = limited(messages(1.0));
    rig.receive(numbered(2));
    assert_eq!(rig.conn.next().now_or_never(), Some(Some("0".into())));
    assert_eq!(rig.conn.size_hint(), (0, None));
    assert_eq!(rig.conn.next().now_or_never(), None);
    assert_eq!(rig.conn.size_hint(), (1, None));
    rig.clock.advance_secs(1);
    assert_eq!(rig.conn.next().now_or_never(), Some(Some("1".into())));
    assert_eq!(rig.conn.size_hint(), (0, None));
}

/// By the clock of the runtime: it may take longer, but not less.
#[cfg(feature = "runtime")]
#[test]
fn it_waits_by_the_runtimes_clock() {
    use std::time::Instant;

    use futures::SinkExt;

    use crate::support::{rt::within, tcp_pair};

    within(async {
        let [mut client, server] = tcp_pair(&Config::default());
        let mut server = server.limit_rate(messages(50.0).burst(Duration::ZERO));
        for number in 0..11 {
            client.send(number.to_string().into()).await.unwrap();
        }
        assert!(server.next().await.is_some());
        let began = Instant::now();
        for _ in 0..10 {
            assert!(server.next().await.is_some());
        }
        assert!(began.elapsed() >= millis(190), "{:?}", began.elapsed());
    });
}
