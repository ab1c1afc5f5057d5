//! `relay`: the messages of each of two connections go to the other, and so does the end.

mod support;

use std::{future::Future, sync::mpsc, task::Poll, time::Duration};

use futures::{FutureExt, SinkExt, StreamExt, channel::oneshot};
use wsweave::{
    CloseCode, Config, Connection, ConnectionExt, Duplex, ErrorKind, Finish, Initiator, Message,
    Relay, Role,
};

use crate::support::{
    Frame, ManualClock, Rig, Script, Task, Wire, quiet,
    rt::{spawn, within},
    tcp_pair,
};

/// A relay, as a proxy has it: its client is at `near`, the server behind it at `far`.
struct Rigged<A = Connection<Script>, B = Connection<Script>> {
    relay: Relay<A, B>,
    near: Wire,
    far: Wire,
    clocks: [ManualClock; 2],
    task: Task,
}

fn rigged() -> Rigged {
    rigged_with(Config::default(), |near| near, |far| far)
}

fn rigged_with<A: Duplex, B: Duplex>(
    config: Config,
    near: impl FnOnce(Connection<Script>) -> A,
    far: impl FnOnce(Connection<Script>) -> B,
) -> Rigged<A, B> {
    let near = Rig::with(Role::Server, config.clone()).weave(near);
    let far = Rig::with(Role::Client, config).weave(far);
    Rigged {
        relay: near.conn.relay(far.conn),
        near: near.wire,
        far: far.wire,
        clocks: [near.clock, far.clock],
        task: near.task,
    }
}

impl<A: Duplex, B: Duplex> Rigged<A, B> {
    fn settle(&mut self) -> Poll<(Finish, Finish)> {
        let Self { relay, task, .. } = self;
        task.until_stalled(|cx| relay.poll_unpin(cx))
    }

    fn waits(&mut self) {
        assert!(self.settle().is_pending());
    }

    fn finishes(&mut self) -> (Finish, Finish) {
        match self.settle() {
            Poll::Ready(finishes) => finishes,
            Poll::Pending => panic!("the relay has not ended"),
        }
    }

    /// The client sends.
    fn ask(&self, frames: impl IntoIterator<Item = Frame>) {
        self.near.give(encode(frames, Role::Server));
    }

    /// The server sends.
    fn answer(&self, frames: impl IntoIterator<Item = Frame>) {
        self.far.give(encode(frames, Role::Client));
    }

    fn to_client(&self) -> Vec<Frame> {
        self.near.sent_by(Role::Server)
    }

    fn to_server(&self) -> Vec<Frame> {
        self.far.sent_by(Role::Client)
    }
}

fn encode(frames: impl IntoIterator<Item = Frame>, to: Role) -> Vec<u8> {
    frames.into_iter().flat_map(|frame| frame.to(to)).collect()
}

fn numbered(count: usize) -> Vec<Frame> {
    (0..count).map(|number| Frame::text(number.to_string())).collect()
}

#[test]
fn messages_of_each_side_go_to_the_other_in_order() {
    let mut rig = rigged();
    rig.waits();
    rig.ask(numbered(1_000));
    rig.answer([Frame::binary(vec![7; 70_000]), Frame::text("grüezi").unfinished()]);
    rig.answer([Frame::continuation("!")]);
    rig.waits();
    assert_eq!(rig.to_server(), numbered(1_000));
    assert_eq!(rig.to_client(), [Frame::binary(vec![7; 70_000]), Frame::text("grüezi!")]);
}

#[test]
fn what_arrives_together_leaves_together() {
    let mut rig = rigged();
    rig.ask(numbered(1_000));
    rig.answer(numbered(1_000));
    rig.waits();
    assert_eq!((rig.to_server().len(), rig.to_client().len()), (1_000, 1_000));
    assert!(rig.far.writes() <= 3, "{} writes", rig.far.writes());
    assert!(rig.near.writes() <= 3, "{} writes", rig.near.writes());
}

#[test]
fn an_idle_relay_is_not_polled_again() {
    let mut rig = rigged();
    rig.ask(numbered(10));
    rig.answer(numbered(10));
    rig.waits();
    let wakes = rig.task.wakes();
    for _ in 0..3 {
        assert!(rig.task.poll(&mut rig.relay).is_pending());
    }
    assert_eq!(rig.task.wakes(), wakes);
}

#[test]
fn a_side_that_is_full_holds_up_the_other() {
    let outbox = 10_000;
    let mut rig = rigged_with(Config::default().outbox_size(outbox), |near| near, |far| far);
    rig.far.block_writes();
    let pieces = 1_000;
    let message = Frame::binary([1; 1_000]);
    for _ in 0..pieces {
        rig.ask([message.clone()]);
    }
    rig.waits();
    // What fits, and the one message that waits.
    let read = rig.near.bytes_read();
    assert!(read <= outbox + 3 * 1_008, "{read} bytes read");
    assert!(rig.task.wakes() < 50, "{} wakes", rig.task.wakes());

    rig.far.unblock_writes();
    rig.waits();
    assert_eq!(rig.to_server(), vec![message; pieces]);
}

#[test]
fn a_stuck_direction_stops_neither_the_other_nor_pings() {
    let mut rig = rigged_with(Config::default().outbox_size(100), |near| near, |far| far);
    rig.far.block_writes();
    let message = Frame::binary([1; 100]);
    rig.ask([message.clone()]);
    rig.waits();
    rig.ask([Frame::ping("the server is full")]);
    rig.waits();
    assert_eq!(rig.to_client(), [Frame::pong("the server is full")]);

    rig.ask([message.clone(), Frame::ping("behind what waits")]);
    rig.answer(numbered(1_000));
    rig.waits();
    assert_eq!(rig.to_client(), numbered(1_000));

    rig.far.allow(encode([message], Role::Server).len());
    rig.waits();
    assert_eq!(rig.to_client(), [Frame::pong("behind what waits")]);
}

#[test]
fn a_client_that_goes_while_the_server_is_full_costs_no_busy_loop() {
    let mut rig = rigged_with(Config::default().outbox_size(100), |near| near, |far| far);
    rig.far.block_writes();
    rig.ask([Frame::binary([1; 100])]);
    rig.waits();
    rig.near.end();
    let wakes = rig.task.wakes();
    rig.waits();
    assert!(rig.task.wakes() < wakes + 10);
    rig.far.unblock_writes();
    rig.waits();
    assert_eq!(rig.to_server()[1].close_code(), Some(1011));
}

#[test]
fn the_directions_take_turns() {
    let (calls, called) = mpsc::channel();
    let seen = calls.clone();
    let mut rig = rigged_with(
        Config::default(),
        |near| near.on_each(move |_, _| calls.send("client").unwrap()),
        |far| far.on_each(move |_, _| seen.send("server").unwrap()),
    );
    rig.ask(numbered(4_000));
    rig.answer(numbered(4_000));
    assert!(rig.task.poll(&mut rig.relay).is_pending());
    let order: Vec<_> = called.try_iter().collect();
    assert_eq!(order.len(), 8_000);
    let longest = order.chunk_by(|a, b| a == b).map(<[_]>::len).max();
    assert!(longest < Some(2_000), "{longest:?} one way");
}

#[test]
fn both_directions_may_be_stuck_and_come_free_one_by_one() {
    let mut rig = rigged_with(Config::default().outbox_size(100), |near| near, |far| far);
    rig.near.block_writes();
    rig.far.block_writes();
    let messages: Vec<_> = (0..50).map(|_| Frame::binary([1; 100])).collect();
    for message in &messages {
        rig.ask([message.clone()]);
        rig.answer([message.clone()]);
    }
    rig.waits();
    assert!(rig.near.unread() > 0 && rig.far.unread() > 0);
    rig.near.unblock_writes();
    rig.waits();
    assert_eq!(rig.to_client(), messages);
    assert!(rig.near.unread() > 0);
    rig.far.unblock_writes();
    rig.waits();
    assert_eq!(rig.to_server(), messages);
}

#[test]
fn a_flood_one_way_starves_neither_the_other_nor_the_executor() {
    let mut rig = rigged();
    let piece = encode([Frame::text("flood")], Role::Server);
    rig.near.flood(piece, 4_096);
    for number in 0..10 {
        let message = Frame::text(number.to_string());
        rig.answer([message.clone()]);
        // Each poll returns, and takes what the other side has.
        assert!(rig.task.poll(&mut rig.relay).is_pending());
        assert_eq!(rig.to_client(), [message]);
        assert!(rig.to_server().len() > 1_000);
    }
}

#[test]
fn a_close_is_passed_on_behind_the_messages() {
    let passed = [
        Frame::close(1000, "bye"),
        Frame::close(1001, ""),
        Frame::close(1002, "you broke a rule"),
        Frame::close(1009, "too big"),
        Frame::close(3000, ""),
        Frame::close(4999, "a reason"),
        Frame::empty_close(),
    ];
    for close in passed {
        for from_client in [true, false] {
            let mut rig = rigged();
            let frames = [Frame::text("last words"), close.clone()];
            let (from, to) = (rig.near.clone(), rig.far.clone());
            let (from, to, roles) = if from_client {
                (from, to, [Role::Server, Role::Client])
            } else {
                (to, from, [Role::Client, Role::Server])
            };
            from.give(encode(frames.clone(), roles[0]));
            from.end();
            rig.waits();
            assert_eq!(to.sent_by(roles[1]), frames);
            to.give(encode([Frame::new(8, close.payload.get(..2).unwrap_or_default())], roles[1]));
            to.end();
            let (near, far) = rig.finishes();
            assert!(near.clean && far.clean);
            let (first, second) = if from_client { (near, far) } else { (far, near) };
            assert_eq!((first.initiator, second.initiator), (Initiator::Peer, Initiator::Us));
            assert_eq!((first.code, first.reason), (second.code, second.reason));
        }
    }
}

#[test]
fn a_close_does_not_wait_for_the_end_of_tcp() {
    // Of the server's TCP.
    let mut rig = rigged();
    rig.answer([Frame::text("last words"), Frame::close(4000, "over")]);
    rig.waits();
    assert_eq!(rig.to_client(), [Frame::text("last words"), Frame::close(4000, "over")]);
    assert_eq!(rig.to_server(), [Frame::close(4000, "")]);
    rig.ask([Frame::close(4000, "")]);
    rig.waits();
    rig.far.end();
    let (near, far) = rig.finishes();
    assert!(near.clean && far.clean);

    // The answer to one of ours.
    let mut handle = None;
    let mut rig = rigged_with(
        Config::default(),
        |near| near,
        |mut far| {
            handle = Some(far.handle());
            far
        },
    );
    rig.waits();
    handle.unwrap().close_with(4002, "from elsewhere").unwrap();
    rig.waits();
    assert!(rig.to_client().is_empty());
    rig.answer([Frame::text("still sent"), Frame::close(4002, "")]);
    rig.waits();
    assert_eq!(rig.to_client(), [Frame::text("still sent"), Frame::close(4002, "from elsewhere")]);
}

#[test]
fn a_close_does_not_wait_until_its_answer_is_written() {
    let mut rig = rigged();
    rig.near.block_writes();
    rig.ask([Frame::close(4000, "and not read")]);
    rig.waits();
    assert_eq!(rig.to_server(), [Frame::close(4000, "and not read")]);
}

#[test]
fn a_close_waits_for_the_message_that_a_hook_holds() {
    let (release, released) = oneshot::channel::<()>();
    let released = released.shared();
    let mut rig = rigged_with(
        Config::default(),
        |near| near,
        |far| far.on_each_async(move |_, _| released.clone().map(|_| ())),
    );
    rig.answer([Frame::text("held"), Frame::close(4000, "over")]);
    rig.waits();
    assert!(rig.to_client().is_empty());
    drop(release);
    rig.waits();
    assert_eq!(rig.to_client(), [Frame::text("held"), Frame::close(4000, "over")]);
}

#[test]
fn a_lost_client_is_1011_and_a_lost_server_1014() {
    type Fault = fn(&Wire, Role);
    let faults: [Fault; 3] = [
        |wire, _| wire.end(),
        |wire, _| wire.reset(),
        |wire, role| wire.give(encode([Frame::text("x").with_rsv(7)], role)),
    ];
    for fault in faults {
        let mut rig = rigged();
        rig.ask([Frame::text("before")]);
        fault(&rig.near, Role::Server);
        rig.near.end();
        rig.waits();
        let sent = rig.to_server();
        assert_eq!(sent[0], Frame::text("before"));
        assert_eq!(sent[1].close_code(), Some(1011));

        let mut rig = rigged();
        rig.answer([Frame::text("before")]);
        fault(&rig.far, Role::Client);
        rig.far.end();
        rig.waits();
        let sent = rig.to_client();
        assert_eq!(sent[0], Frame::text("before"));
        assert_eq!(sent[1].close_code(), Some(1014));
    }
}

#[test]
fn a_silent_server_is_1014() {
    let mut rig = rigged();
    rig.waits();
    rig.clocks[1].advance_secs(20);
    rig.waits();
    assert_eq!(rig.to_server()[0].opcode, 9);
    rig.clocks[1].advance_secs(20);
    rig.waits();
    assert_eq!(rig.to_client()[0].close_code(), Some(1014));
}

#[test]
fn a_hook_that_fails_closes_both_sides_with_1011() {
    let fails = |_: &mut wsweave::Peer<'_>, _: &Message| Err("no");
    let mut rig = rigged_with(Config::default(), |near| near.on_each(fails), |far| far);
    rig.ask([Frame::text("x")]);
    rig.waits();
    assert_eq!(rig.to_client()[0].close_code(), Some(1011));
    let to_server = rig.to_server();
    // The message at hand still reaches the consumer, as ever.
    assert_eq!(to_server[0], Frame::text("x"));
    assert_eq!(to_server[1].close_code(), Some(1011));

    let mut rig = rigged_with(Config::default(), |near| near, |far| far.on_each(fails));
    rig.answer([Frame::text("x")]);
    rig.waits();
    assert_eq!(rig.to_server()[0].close_code(), Some(1011));
    assert_eq!(rig.to_client()[1].close_code(), Some(1011));
    rig.near.give(encode([Frame::close(1011, "")], Role::Server));
    rig.near.end();
    rig.far.end();
    let (near, far) = rig.finishes();
    assert!(near.clean);
    assert_eq!(far.error.unwrap().kind(), ErrorKind::Hook);
}

#[test]
fn hooks_of_either_side_run_before_a_message_is_passed_on() {
    let (calls, called) = mpsc::channel();
    let ended = calls.clone();
    let seen = calls.clone();
    let mut rig = rigged_with(
        Config::default(),
        move |near| {
            near.on_each(move |peer, message| {
                peer.send("received");
                calls.send(format!("client: {message:?}")).unwrap();
            })
        },
        move |far| {
            far.on_each(move |_, message| seen.send(format!("server: {message:?}")).unwrap())
                .on_finish(move |finish| ended.send(finish.to_string()).unwrap())
        },
    );
    rig.ask([Frame::text("hello")]);
    rig.answer([Frame::text("welcome"), Frame::close(1000, "")]);
    rig.far.end();
    rig.waits();
    let called: Vec<_> = called.try_iter().collect();
    let expected = [
        "client: Text(\"hello\")",
        "server: Text(\"welcome\")",
        "closed by the peer with code 1000",
    ];
    assert_eq!(called, expected);
    assert_eq!(rig.to_server(), [Frame::text("hello"), Frame::close(1000, "")]);
    let to_client = [Frame::text("received"), Frame::text("welcome"), Frame::close(1000, "")];
    assert_eq!(rig.to_client(), to_client);
}

#[test]
fn what_a_hook_or_a_handle_closes_is_passed_on() {
    let mut rig = rigged_with(
        Config::default(),
        |near| near.on_each(|peer, _| peer.close_with(4001, "enough")),
        |far| far,
    );
    rig.ask([Frame::text("x")]);
    rig.waits();
    assert_eq!(rig.to_client(), [Frame::close(4001, "enough")]);
    assert_eq!(rig.to_server(), [Frame::text("x")]);
    rig.ask([Frame::text("still sent"), Frame::close(4001, "")]);
    rig.waits();
    assert_eq!(rig.to_server(), [Frame::text("still sent"), Frame::close(4001, "enough")]);

    let mut handle = None;
    let mut rig = rigged_with(
        Config::default(),
        |near| near,
        |mut far| {
            handle = Some(far.handle());
            far
        },
    );
    rig.waits();
    handle.unwrap().close_with(4002, "from elsewhere").unwrap();
    rig.waits();
    // The server never answers: the timeout changes nothing of what was meant.
    rig.clocks[1].advance_secs(10);
    rig.waits();
    assert_eq!(rig.to_client(), [Frame::close(4002, "from elsewhere")]);
}

#[test]
fn an_abort_is_1011() {
    let mut rig =
        rigged_with(Config::default(), |near| near, |far| far.on_next(|peer, _| peer.abort()));
    rig.answer([Frame::text("x")]);
    rig.waits();
    assert_eq!(rig.to_client()[1].close_code(), Some(1011));
}

#[test]
fn each_side_has_its_own_close_timeout() {
    let config = Config::default().close_timeout(Duration::from_secs(3));
    let mut rig = rigged_with(config, |near| near, |far| far);
    rig.ask([Frame::close(1000, "")]);
    rig.waits();
    assert_eq!(rig.to_server(), [Frame::close(1000, "")]);
    rig.clocks[1].advance(Duration::from_millis(2_999));
    rig.waits();
    rig.clocks[1].advance(Duration::from_millis(1));
    let (near, far) = rig.finishes();
    assert!(near.clean);
    assert_eq!(far.error.unwrap().kind(), ErrorKind::Timeout);
    assert_eq!(far.code, CloseCode::NORMAL);
}

#[test]
fn what_arrives_for_a_side_that_has_ended_passes_its_hooks_and_is_dropped() {
    let (seen, hooked) = mpsc::channel();
    let mut rig = rigged_with(
        Config::default(),
        |near| near,
        |far| far.on_each(move |_, message| seen.send(message.clone()).unwrap()),
    );
    rig.ask([Frame::close(1000, "")]);
    rig.waits();
    rig.to_client();
    rig.answer((0..100).map(|_| Frame::binary([1; 10_000])));
    rig.answer([Frame::close(1000, "")]);
    rig.far.end();
    let (near, far) = rig.finishes();
    assert!(near.clean && far.clean);
    assert_eq!(hooked.try_iter().count(), 100);
    assert!(rig.to_client().is_empty());
}

#[test]
fn the_last_messages_wait_for_room_before_the_close_is_passed_on() {
    let mut rig = rigged_with(Config::default().outbox_size(100), |near| near, |far| far);
    rig.far.block_writes();
    let messages: Vec<_> = (0..10).map(|_| Frame::binary([1; 100])).collect();
    rig.ask(messages.clone().into_iter().chain([Frame::close(4000, "done")]));
    rig.near.end();
    rig.waits();
    rig.far.unblock_writes();
    rig.waits();
    let sent = rig.to_server();
    assert_eq!(sent[..10], messages);
    assert_eq!(sent[10..], [Frame::close(4000, "done")]);
}

#[test]
fn closes_may_cross() {
    let mut rig = rigged();
    rig.ask([Frame::close(4001, "")]);
    rig.answer([Frame::close(4002, "")]);
    rig.far.end();
    let (near, far) = rig.finishes();
    assert_eq!((near.code, far.code), (CloseCode(4001), CloseCode(4001)));
    assert_eq!(far.received.unwrap().code, 4002);
    assert!(near.clean && far.clean);
    // It may be polled again.
    assert_eq!(rig.finishes().0.code, 4001);
}

#[test]
fn a_side_that_had_ended_before_closes_the_other_at_once() {
    let mut near = Rig::with(Role::Server, Config::default());
    near.receive([Frame::close(4000, "gone")]);
    assert!(near.settle().is_empty() && near.has_ended());
    let far = Rig::with(Role::Client, Config::default());
    let mut relay = near.conn.relay(far.conn);
    assert!(far.task.until_stalled(|cx| relay.poll_unpin(cx)).is_pending());
    assert_eq!(far.wire.sent_by(Role::Client), [Frame::close(4000, "gone")]);
}

#[test]
fn an_asynchronous_hook_holds_up_its_own_direction_only() {
    let mut rig = rigged_with(
        Config::default(),
        |near| near.on_each_async(|_, _| std::future::pending::<()>()),
        |far| far,
    );
    rig.ask([Frame::text("held"), Frame::ping("x")]);
    rig.answer(numbered(100));
    rig.waits();
    assert!(rig.to_server().is_empty());
    let to_client = rig.to_client();
    assert_eq!(to_client.len(), 101);
    assert!(to_client.contains(&Frame::pong("x")));
}

#[test]
fn dropped_at_any_await_it_loses_nothing_that_it_had_taken() {
    let messages = numbered(20);
    let bytes = encode(messages.clone(), Role::Server);
    for given in 0..bytes.len() {
        let mut rig = rigged();
        for &byte in &bytes[..given] {
            rig.near.give([byte]);
            assert!(rig.task.poll(&mut rig.relay).is_pending());
        }
        let Rigged { relay, far, near, .. } = rig;
        drop(relay);
        let mut sent = far.sent_by(Role::Client);
        assert_eq!(sent.pop().unwrap().close_code(), Some(1001));
        let whole = sent.len();
        assert_eq!(sent, messages[..whole]);
        assert!(encode(messages[..=whole].to_vec(), Role::Server).len() > given);
        assert_eq!(near.sent_by(Role::Server)[0].close_code(), Some(1001));
    }
}

#[test]
fn dropped_while_a_side_is_full_it_still_writes_what_was_passed_on() {
    let mut rig = rigged_with(Config::default().outbox_size(100), |near| near, |far| far);
    rig.far.block_writes();
    rig.ask((0..3).map(|_| Frame::binary([1; 100])));
    rig.waits();
    rig.far.unblock_writes();
    let Rigged { relay, far, .. } = rig;
    drop(relay);
    let sent = far.sent_by(Role::Client);
    assert_eq!(sent[0], Frame::binary([1; 100]));
    assert_eq!(sent.last().unwrap().close_code(), Some(1001));
}

#[test]
fn relays_may_be_chained_over_sockets() {
    let config = Config::default();
    within(async {
        let [mut client, first_near] = tcp_pair(&config);
        let [first_far, second_near] = tcp_pair(&config);
        let [second_far, mut server] = tcp_pair(&config);
        let first = spawn(first_near.relay(first_far));
        let second = spawn(second_near.relay(second_far));
        let large: Message = vec![5; 3 << 20].into();
        let serve = async {
            while let Some(message) = server.next().await {
                server.feed(message).await.unwrap();
            }
            server.finish().unwrap().code
        };
        let serve = std::pin::pin!(serve);
        let ask = async {
            for number in 0..1_000 {
                client.feed(Message::from(number.to_string())).await.unwrap();
            }
            client.send(large.clone()).await.unwrap();
            for number in 0..1_000 {
                assert_eq!(client.next().await, Some(number.to_string().into()));
            }
            assert_eq!(client.next().await, Some(large.clone()));
            client.close_with(4321, "end").await.unwrap();
        };
        let (code, ()) = both(serve, ask).await;
        assert_eq!(code, CloseCode(4321));
        let (first, second) = both(first, second).await;
        for finish in [first.0, first.1, second.0, second.1] {
            assert!(finish.clean, "{finish}");
            assert_eq!((finish.code, &*finish.reason), (CloseCode(4321), "end"));
        }
    });
}

#[test]
fn two_peers_that_both_push_do_not_lock_each_other_up() {
    let config = Config::default().outbox_size(10_000);
    within(async {
        let [client, near] = tcp_pair(&config);
        let [far, server] = tcp_pair(&config);
        let _relay = spawn(near.relay(far));
        let talk = |conn: Connection| async move {
            let (mut sink, mut stream) = conn.split();
            let push = async {
                for _ in 0..150 {
                    sink.send(vec![1; 50_000].into()).await.unwrap();
                }
            };
            let pull = async {
                for _ in 0..150 {
                    assert_eq!(stream.next().await.unwrap().len(), 50_000);
                }
            };
            both(push, pull).await;
            (sink, stream)
        };
        drop(both(talk(client), talk(server)).await);
    });
}

async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    futures::join!(a, b)
}

#[test]
fn it_needs_no_runtime_and_no_clock() {
    let (mut client, near) = Connection::pair_with(quiet(), quiet());
    let (far, mut server) = Connection::pair_with(quiet(), quiet());
    let mut relay = near.relay(far);
    let task = Task::new();
    client.send("x".into()).now_or_never().unwrap().unwrap();
    assert!(task.poll(&mut relay).is_pending());
    assert_eq!(server.next().now_or_never(), Some(Some("x".into())));
}
