//! `calls()`: answers find their calls, and nothing else is taken out of the stream.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod coded;
mod support;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

use futures::{
    FutureExt, SinkExt, Stream, StreamExt,
    stream::FusedStream,
    task::{ArcWake, waker},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use wsweave::{
    CallError, Caller, CloseCode, Config, Connection, ConnectionExt, Duplex, ErrorKind, WithCalls,
};

use crate::{
    coded::{Line, Lines, line, numbered, settle},
    support::{BOTH, Frame, Rig, Script, Task, quiet, rt, within},
};

type IdOf = fn(&Line) -> Option<u32>;
type Calling<C = Connection<Script>> = WithCalls<C, Lines, u32, IdOf>;
type Failed = CallError<Line, &'static str>;
type Answered = Result<Line, Failed>;

fn id_of(line: &Line) -> Option<u32> {
    line.0
}

fn calling<C: Duplex>(rig: Rig<C>) -> (Rig<Calling<C>>, Caller<Lines, u32>) {
    let mut caller = None;
    let rig = rig.weave(|conn| {
        let (conn, made) = conn.codec(Lines).calls(id_of, id_of as IdOf);
        caller = Some(made);
        conn
    });
    (rig, caller.unwrap())
}

fn call(caller: &Caller<Lines, u32>, id: u32) -> Pin<Box<dyn Future<Output = Answered> + '_>> {
    Box::pin(caller.call(numbered(id, "ask")))
}

/// A call that is on its way.
fn begun(caller: &Caller<Lines, u32>, id: u32) -> Pin<Box<dyn Future<Output = Answered> + '_>> {
    let mut call = call(caller, id);
    assert!(Task::new().poll(&mut call).is_pending());
    call
}

fn poll(call: &mut (impl Future<Output = Answered> + Unpin)) -> Option<Answered> {
    call.now_or_never()
}

fn texts<const N: usize>(texts: [&str; N]) -> [Frame; N] {
    texts.map(Frame::text)
}

#[test]
fn answers_find_their_calls_in_any_order_and_the_rest_stays_in_the_stream() {
    for role in BOTH {
        let (mut rig, caller) = calling(Rig::new(role));
        let [mut one, mut two, mut three] = [1, 2, 3].map(|id| begun(&caller, id));
        assert!(settle(&mut rig).is_empty());
        assert_eq!(rig.sent(), texts(["1:ask", "2:ask", "3:ask"]));

        rig.receive(texts(["news", "3:c", "4:unasked", "1:a", "3:again", "!", "2:b"]));
        let rest = ["news", "4:unasked", "3:again", "undecoded Text(\"!\")"];
        assert_eq!(settle(&mut rig), rest);
        assert_eq!(poll(&mut two).unwrap().unwrap(), numbered(2, "b"));
        assert_eq!(poll(&mut one).unwrap().unwrap(), numbered(1, "a"));
        assert_eq!(poll(&mut three).unwrap().unwrap(), numbered(3, "c"));
    }
}

#[test]
fn a_call_wakes_who_polls_the_connection_and_an_answer_wakes_the_call() {
    let (mut rig, caller) = calling(Rig::new(BOTH[0]));
    assert!(rig.task.next(&mut rig.conn).is_pending());
    let (mut call, task, wakes) = (call(&caller, 1), Task::new(), rig.task.wakes());
    assert!(task.poll(&mut call).is_pending());
    assert_eq!(rig.task.wakes(), wakes + 1);
    settle(&mut rig);
    assert_eq!(task.wakes(), 0);

    rig.receive(texts(["2:other", "1:a"]));
    settle(&mut rig);
    assert_eq!(task.wakes(), 1);
    assert!(task.poll(&mut call).is_ready());
}

#[test]
fn nothing_happens_before_the_first_poll() {
    let (mut rig, caller) = calling(Rig::new(BOTH[0]));
    let idle = call(&caller, 1);
    settle(&mut rig);
    assert!(rig.sent().is_empty());
    let _same = begun(&caller, 1);
    drop(idle);
}

#[test]
fn hooks_below_see_answers_and_the_sink_sends_what_is_no_call() {
    let rig = Rig::new(BOTH[0]).weave(|conn| conn.on_each(|peer, _| peer.send("seen")));
    let (mut rig, caller) = calling(rig);
    let mut one = begun(&caller, 1);
    rig.conn.send(line("no call")).now_or_never().unwrap().unwrap();
    rig.conn.get_mut().ping("x").unwrap();
    rig.receive(texts(["1:a"]));
    assert!(settle(&mut rig).is_empty());
    assert!(poll(&mut one).unwrap().is_ok());
    let mut sent = rig.sent();
    sent.sort_by_key(|frame| frame.payload.clone());
    assert_eq!(sent[..2], texts(["1:ask", "no call"]));
    assert_eq!(sent[2..], [Frame::text("seen"), Frame::ping("x")]);
}

#[test]
fn a_request_without_an_id_is_given_back() {
    let (mut rig, caller) = calling(Rig::new(BOTH[0]));
    let error = caller.call(line("a")).now_or_never().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the request has no id");
    assert_eq!(error.into_request(), Some(line("a")));
    settle(&mut rig);
    assert!(rig.sent().is_empty());
}

#[test]
fn an_id_is_in_flight_once_and_then_free_again() {
    let (mut rig, caller) = calling(Rig::new(BOTH[0]));
    let mut first = begun(&caller, 1);
    let error = caller.call(numbered(1, "same")).now_or_never().unwrap().unwrap_err();
    assert!(matches!(error, CallError::InFlight(_)));
    assert_eq!(error.to_string(), "a call with this id is in flight");
    assert_eq!(error.into_request(), Some(numbered(1, "same")));

    rig.receive(texts(["1:a"]));
    settle(&mut rig);
    // Answered, and not yet taken note of.
    let mut second = begun(&caller, 1);
    assert_eq!(poll(&mut first).unwrap().unwrap(), numbered(1, "a"));
    drop(first);
    rig.receive(texts(["1:b"]));
    assert!(settle(&mut rig).is_empty());
    assert_eq!(poll(&mut second).unwrap().unwrap(), numbered(1, "b"));
    assert_eq!(rig.sent(), texts(["1:ask", "1:ask"]));
}

#[test]
fn a_request_that_cannot_be_encoded_leaves_no_trace() {
    let (mut rig, caller) = calling(Rig::new(BOTH[0]));
    let error = caller.call(numbered(1, "!")).now_or_never().unwrap().unwrap_err();
    assert!(matches!(error, CallError::Encode("a bang")));
    assert_eq!(error.to_string(), "the request cannot be encoded: a bang");
    let panicking = || caller.call(numbered(1, "!!")).now_or_never();
    catch_unwind(AssertUnwindSafe(panicking)).unwrap_err();
    let mut call = begun(&caller, 1);
    rig.receive(texts(["1:a"]));
    settle(&mut rig);
    assert!(poll(&mut call).unwrap().is_ok());
    assert_eq!(rig.sent(), texts(["1:ask"]));
}

#[test]
fn a_call_has_30_seconds_and_a_late_answer_stays_in_the_stream() {
    let config = Config::default().keepalive_interval(None);
    let (mut rig, caller) = calling(Rig::with(BOTH[0], config));
    let (mut late, task) = (call(&caller, 1), Task::new());
    assert!(task.poll(&mut late).is_pending());
    settle(&mut rig);
    rig.clock.advance(Duration::from_millis(29_999));
    assert_eq!(task.wakes(), 0);
    rig.clock.advance(Duration::from_millis(1));
    assert_eq!(task.wakes(), 1);
    let Poll::Ready(Err(error)) = task.poll(&mut late) else { panic!() };
    assert!(matches!(error, CallError::Timeout));
    assert_eq!(error.to_string(), "the answer did not come in time");

    rig.receive(texts(["1:late"]));
    assert_eq!(settle(&mut rig), ["1:late"]);
}

#[test]
fn each_caller_has_its_own_timeout() {
    let config = Config::default().keepalive_interval(None);
    let (mut rig, patient) = calling(Rig::with(BOTH[0], config));
    let hasty = patient.clone().timeout(Duration::from_secs(1));
    let endless = hasty.clone().timeout(None);
    let mut calls = [begun(&patient, 1), begun(&hasty, 2), begun(&endless, 3)];
    rig.clock.advance_secs(1);
    assert!(poll(&mut calls[0]).is_none());
    assert!(matches!(poll(&mut calls[1]), Some(Err(CallError::Timeout))));
    rig.clock.advance_secs(3600);
    assert!(matches!(poll(&mut calls[0]), Some(Err(CallError::Timeout))));
    assert!(poll(&mut calls[2]).is_none());
    rig.receive(texts(["3:a"]));
    settle(&mut rig);
    assert!(poll(&mut calls[2]).unwrap().is_ok());
}

#[test]
fn without_a_clock_there_is_no_timeout() {
    let (conn, _peer) = Connection::pair_with(quiet(), quiet());
    let (_conn, caller) = conn.codec(Lines).calls(id_of, id_of);
    let hasty = caller.timeout(Duration::ZERO);
    assert!(hasty.call(numbered(1, "ask")).now_or_never().is_none());
}

#[test]
fn a_dropped_call_is_forgotten() {
    let (mut rig, caller) = calling(Rig::new(BOTH[0]));
    drop(begun(&caller, 1));
    rig.receive(texts(["1:late"]));
    assert_eq!(settle(&mut rig), ["1:late"]);
    assert_eq!(rig.sent(), texts(["1:ask"]));

    // An answer that had come goes with its call.
    let answered = begun(&caller, 1);
    rig.receive(texts(["1:a"]));
    assert!(settle(&mut rig).is_empty());
    drop(answered);
    let mut next = begun(&caller, 1);
    rig.receive(texts(["1:b"]));
    assert!(settle(&mut rig).is_empty());
    assert_eq!(poll(&mut next).unwrap().unwrap(), numbered(1, "b"));
}

#[test]
fn when_the_connection_ends_all_calls_fail_with_how_after_the_answers_that_came() {
    for role in BOTH {
        let (mut rig, caller) = calling(Rig::new(role));
        let [mut one, mut two] = [1, 2].map(|id| begun(&caller, id));
        settle(&mut rig);
        rig.receive([Frame::text("1:a"), Frame::close(4000, "bye")]);
        rig.wire.end();
        assert!(settle(&mut rig).is_empty());
        assert!(rig.conn.is_terminated());
        assert_eq!(rig.conn.get_ref().finish().unwrap().code, 4000);
        assert!(poll(&mut one).unwrap().is_ok());
        let error = poll(&mut two).unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the connection ended before the answer: closed by the peer with code 4000 (\"bye\")",
        );
        assert!(matches!(error, CallError::Ended(finish) if finish.clean));

        let error = poll(&mut call(&caller, 3)).unwrap().unwrap_err();
        assert!(matches!(error, CallError::Ended(finish) if finish.code == 4000));
    }
}

#[test]
fn an_unclean_end_is_told_to_calls_and_to_the_stream() {
    let (mut rig, caller) = calling(Rig::new(BOTH[0]));
    let mut one = begun(&caller, 1);
    settle(&mut rig);
    rig.wire.reset();
    assert_eq!(settle(&mut rig), ["Io"]);
    let error = poll(&mut one).unwrap().unwrap_err();
    let CallError::Ended(finish) = error else { panic!("{error}") };
    assert_eq!(finish.error.unwrap().kind(), ErrorKind::Io);
}

#[test]
fn a_dropped_connection_fails_its_calls_with_1001() {
    let (rig, caller) = calling(Rig::new(BOTH[0]));
    let (mut one, task) = (call(&caller, 1), Task::new());
    assert!(task.poll(&mut one).is_pending());
    drop(rig.conn);
    assert_eq!(task.wakes(), 1);
    let error = poll(&mut one).unwrap().unwrap_err();
    assert!(matches!(error, CallError::Ended(finish) if finish.code == CloseCode::GOING_AWAY));
}

#[test]
fn calls_on_a_connection_that_has_ended_fail_at_once() {
    let mut rig = Rig::new(BOTH[0]);
    rig.conn.abort();
    assert_eq!(rig.message(), None);
    let (mut rig, caller) = calling(rig);
    assert!(matches!(poll(&mut call(&caller, 1)), Some(Err(CallError::Ended(_)))));
    assert_eq!(settle(&mut rig), ["Closed"]);
}

#[test]
fn calls_change_nothing_of_what_the_codec_does() {
    let mut rig = Rig::new(BOTH[0]).weave(|conn| {
        let conn = conn.codec(Lines).close_on_invalid(CloseCode::INVALID_PAYLOAD).unwrap();
        conn.calls(id_of, id_of).0
    });
    rig.receive(texts(["!"]));
    assert_eq!(settle(&mut rig), ["undecoded Text(\"!\")"]);
    assert_eq!(rig.sent_codes(), [Some(1007)]);

    let mut rig = Rig::new(BOTH[0]).weave(|conn| conn.codec(Lines));
    rig.wire.reset();
    assert_eq!(settle(&mut rig), ["Io"]);
    let (mut conn, caller) = rig.conn.calls(id_of, id_of);
    assert!(conn.is_terminated());
    assert!(conn.next().now_or_never().unwrap().is_none());
    assert!(matches!(poll(&mut call(&caller, 1)), Some(Err(CallError::Ended(_)))));
}

#[test]
fn while_the_connection_is_closing_nothing_is_asked_any_more_and_answers_still_come() {
    let (mut rig, caller) = calling(Rig::new(BOTH[0]));
    let mut one = begun(&caller, 1);
    assert!(rig.conn.close().now_or_never().is_none());
    let error = poll(&mut call(&caller, 2)).unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed));
    assert_eq!(error.to_string(), "the connection is closed for sending");
    rig.receive(texts(["2:unasked", "1:a"]));
    assert_eq!(settle(&mut rig), ["2:unasked"]);
    assert!(poll(&mut one).unwrap().is_ok());
}

#[test]
fn beyond_the_limit_calls_wait_for_room_in_order() {
    let (mut rig, caller) = calling(Rig::new(BOTH[0]));
    rig.conn = rig.conn.max_in_flight(2);
    let mut calls: Vec<_> = (0..5).map(|id| begun(&caller, id)).collect();
    settle(&mut rig);
    assert_eq!(rig.sent(), texts(["0:ask", "1:ask"]));

    // An answer, then a call that is dropped: each lets one on.
    rig.receive(texts(["1:a"]));
    settle(&mut rig);
    assert!(poll(&mut calls[3]).is_none());
    assert!(poll(&mut calls[2]).is_none());
    settle(&mut rig);
    assert_eq!(rig.sent(), texts(["2:ask"]));
    drop(calls.remove(0));
    assert!(poll(&mut calls[2]).is_none());
    settle(&mut rig);
    assert_eq!(rig.sent(), texts(["3:ask"]));

    // More room lets all on.
    rig.conn = rig.conn.max_in_flight(100);
    assert!(poll(&mut calls[3]).is_none());
    settle(&mut rig);
    assert_eq!(rig.sent(), texts(["4:ask"]));
}

fn wakes<T>(waiting: &[(T, Task)]) -> Vec<usize> {
    waiting.iter().map(|(_, task)| task.wakes()).collect()
}

#[test]
fn each_call_that_leaves_wakes_one_that_waits() {
    let (mut rig, caller) = calling(Rig::new(BOTH[0]));
    // As 1.
    rig.conn = rig.conn.max_in_flight(0);
    let first = begun(&caller, 0);
    let mut waiting: Vec<_> = (1..4).map(|id| (call(&caller, id), Task::new())).collect();
    for (call, task) in &mut waiting {
        assert!(task.poll(call).is_pending());
    }
    drop(first);
    assert_eq!(wakes(&waiting), [1, 0, 0]);
    // Woken, and dropped before it is polled: the next one's turn.
    drop(waiting.remove(0));
    assert_eq!(wakes(&waiting), [1, 0]);
    let (call, task) = &mut waiting[0];
    assert!(task.poll(call).is_pending());
    drop(waiting.remove(0));
    assert_eq!(waiting[0].1.wakes(), 1);
}

#[test]
fn a_call_that_waited_in_vain_passes_its_turn_on() {
    let (mut rig, caller) = calling(Rig::new(BOTH[0]));
    rig.conn = rig.conn.max_in_flight(2);
    let leaving = [1, 2].map(|id| begun(&caller, id));
    let mut waiting = [3, 3, 4].map(|id| (call(&caller, id), Task::new()));
    for (call, task) in &mut waiting {
        assert!(task.poll(call).is_pending());
    }
    drop(leaving);
    let [(third, woken), (same, also_woken), (fourth, task)] = &mut waiting;
    assert_eq!([woken.wakes(), also_woken.wakes(), task.wakes()], [1, 1, 0]);
    assert!(woken.poll(third).is_pending());
    assert!(matches!(also_woken.poll(same), Poll::Ready(Err(CallError::InFlight(_)))));
    assert_eq!(task.wakes(), 1);
    assert!(task.poll(fourth).is_pending());
    settle(&mut rig);
    assert_eq!(rig.sent(), texts(["1:ask", "2:ask", "3:ask", "4:ask"]));
}

#[test]
fn calls_that_wait_for_room_have_a_timeout_and_end_with_the_connection() {
    let config = Config::default().keepalive_interval(None);
    let (rig, caller) = calling(Rig::with(BOTH[0], config));
    let conn = rig.conn.max_in_flight(1);
    let caller = caller.timeout(None);
    let _first = begun(&caller, 1);
    let hasty = caller.clone().timeout(Duration::from_secs(1));
    let (mut late, mut last) = (begun(&hasty, 2), begun(&caller, 3));
    rig.clock.advance_secs(1);
    assert!(matches!(poll(&mut late), Some(Err(CallError::Timeout))));
    let task = Task::new();
    assert!(task.poll(&mut last).is_pending());
    drop(conn);
    assert_eq!(task.wakes(), 1);
    assert!(matches!(task.poll(&mut last), Poll::Ready(Err(CallError::Ended(_)))));
    assert_eq!(rig.wire.sent_by(rig.role)[0], Frame::text("1:ask"));
}

#[test]
fn a_call_dropped_while_the_outbox_is_full_sends_nothing() {
    let (mut rig, caller) = calling(Rig::with(BOTH[0], Config::default().outbox_size(1)));
    let _one = begun(&caller, 1);
    drop(begun(&caller, 2));
    let mut three = begun(&caller, 3);
    settle(&mut rig);
    assert!(poll(&mut three).is_none());
    settle(&mut rig);
    assert_eq!(rig.sent(), texts(["1:ask", "3:ask"]));
    let _two = begun(&caller, 2);
}

/// Calls again whenever it is asked, or woken.
#[derive(Default)]
struct Again {
    caller: Mutex<Option<Caller<Lines, u32>>>,
    times: AtomicUsize,
}

impl Again {
    fn call(&self) {
        let caller = self.caller.lock().unwrap().clone();
        if let Some(caller) = caller {
            let _ = caller.call(numbered(9, "again")).now_or_never();
            self.times.fetch_add(1, SeqCst);
        }
    }
}

impl ArcWake for Again {
    fn wake_by_ref(again: &Arc<Self>) {
        again.call();
    }
}

#[test]
fn no_lock_is_held_while_code_of_the_users_runs() {
    let (done, is_done) = mpsc::channel();
    // In a thread of its own, for a dead lock would never end.
    thread::spawn(move || {
        let again = Arc::new(Again::default());
        let [asking, answered] = [(); 2].map(|()| Arc::clone(&again));
        let request_id = move |line: &Line| {
            if line.0 != Some(9) {
                asking.call();
            }
            line.0
        };
        let response_id = move |line: &Line| {
            answered.call();
            line.0
        };
        let rig = Rig::new(BOTH[0]);
        let (mut conn, caller) = rig.conn.codec(Lines).calls(request_id, response_id);
        *again.caller.lock().unwrap() = Some(caller.clone());
        let waker = waker(Arc::clone(&again));
        let mut calls = [1, 2].map(|id| call(&caller, id));
        for call in &mut calls {
            assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(again.times.load(SeqCst), 2);
        rig.wire.give(Frame::text("1:a").to(rig.role));
        assert!(conn.next().now_or_never().is_none());
        assert_eq!(again.times.load(SeqCst), 4);
        drop(conn);
        assert_eq!(again.times.load(SeqCst), 5);
        // Else it would hold itself.
        *again.caller.lock().unwrap() = None;
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(60)).unwrap();
}

#[test]
fn after_a_panic_in_the_id_of_a_response_the_drop_closes_with_1011() {
    let rig = Rig::new(BOTH[0]);
    let (mut conn, _caller) =
        rig.conn.codec(Lines).calls(id_of, |_| -> Option<u32> { panic!("which?") });
    rig.wire.give(Frame::text("1:a").to(rig.role));
    catch_unwind(AssertUnwindSafe(|| rig.task.next(&mut conn))).unwrap_err();
    drop(conn);
    assert_eq!(rig.wire.sent_by(rig.role)[0].close_code(), Some(1011));
}

#[test]
fn it_splits_and_its_hints_are_true() {
    let (rig, caller) = calling(Rig::new(BOTH[0]));
    assert_eq!(rig.conn.size_hint(), (0, None));
    let mut one = begun(&caller, 1);
    rig.receive([Frame::text("1:a"), Frame::text("news"), Frame::close(1000, "")]);
    rig.wire.end();
    let (mut sink, mut stream) = rig.conn.split();
    sink.send(line("x")).now_or_never().unwrap().unwrap();
    let mut next = || rig.task.until_stalled(|cx| stream.poll_next_unpin(cx));
    assert!(matches!(next(), Poll::Ready(Some(Ok(value))) if value == line("news")));
    assert!(matches!(next(), Poll::Ready(None)));
    let conn = sink.reunite(stream).unwrap();
    assert!(conn.is_terminated());
    assert_eq!(conn.size_hint(), (0, Some(0)));
    assert!(poll(&mut one).unwrap().is_ok());
}

#[test]
fn calls_from_many_tasks_get_their_own_answers() {
    within(async {
        let (conn, peer) = Connection::pair();
        let (conn, caller) = conn.codec(Lines).calls(id_of, id_of);
        let conn = conn.max_in_flight(7);
        let _polling = rt::spawn(conn.for_each(|_| async {}));
        let _echo = rt::spawn(peer.on_each(|peer, message| peer.send(message.clone())).run());
        let tasks = (0..8).map(|task| {
            let caller = caller.clone();
            rt::spawn(async move {
                for number in 0..50 {
                    let request = numbered(task * 50 + number, &format!("{task} {number}"));
                    assert_eq!(caller.call(request.clone()).await.unwrap(), request);
                }
            })
        });
        futures::future::join_all(tasks.collect::<Vec<_>>()).await;
    });
}

/// What a peer does: answers a call by its place among all, answers what nobody asked, or says something
/// else; and what callers do.
#[derive(Clone, Debug)]
enum Step {
    Call,
    Answer(Index),
    Unasked,
    News,
    Drop(Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Call),
        3 => any::<Index>().prop_map(Step::Answer),
        1 => Just(Step::Unasked),
        1 => Just(Step::News),
        1 => any::<Index>().prop_map(Step::Drop),
    ]
}

proptest! {
    #[test]
    fn whatever_the_order_each_answer_goes_where_it_belongs(steps in vec(step(), 0..60)) {
        let (mut rig, caller) = calling(Rig::new(BOTH[1]));
        let mut calls = Vec::new();
        let mut next = 0;
        let mut expected = Vec::new();
        for step in steps {
            match step {
                Step::Call => {
                    calls.push((next, begun(&caller, next)));
                    next += 1;
                }
                Step::Answer(which) if !calls.is_empty() => {
                    let (id, mut call) = calls.remove(which.index(calls.len()));
                    let answer = format!("{id}:a");
                    rig.receive(texts([&answer, &answer]));
                    prop_assert_eq!(settle(&mut rig), [answer]);
                    prop_assert_eq!(poll(&mut call).unwrap().unwrap(), numbered(id, "a"));
                }
                Step::Drop(which) if !calls.is_empty() => {
                    let (id, call) = calls.remove(which.index(calls.len()));
                    drop(call);
                    let late = format!("{id}:late");
                    rig.receive([Frame::text(&late)]);
                    expected.push(late);
                }
                Step::News => {
                    rig.receive(texts(["news"]));
                    expected.push("news".into());
                }
                _ => {
                    rig.receive(texts(["1000:unasked"]));
                    expected.push("1000:unasked".into());
                }
            }
            prop_assert_eq!(settle(&mut rig), std::mem::take(&mut expected));
            for (_, call) in &mut calls {
                prop_assert!(poll(call).is_none());
            }
        }
        let sent: Vec<_> = (0..next).map(|id| Frame::text(format!("{id}:ask"))).collect();
        prop_assert_eq!(rig.sent(), sent);
    }
}
