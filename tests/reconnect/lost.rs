//! What may not have arrived when a connection ends.

use std::{collections::HashMap, future::poll_fn, time::Duration};

use futures::{
    FutureExt, SinkExt, StreamExt,
    channel::mpsc::{UnboundedReceiver, unbounded},
    join, poll,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use wsweave::{Config, ConnectionExt, Message, Reconnect, ReconnectPolicy};

use crate::{
    site::{Site, beside, policy, send_again},
    support::{
        Frame, Task,
        rt::{spawn, yield_now},
        within,
    },
};

/// What the hook is handed, each time.
fn losses(conn: Reconnect) -> (Reconnect, UnboundedReceiver<Vec<String>>) {
    let (tell, told) = unbounded();
    let conn = conn.on_reconnect(move |_, lost, _| {
        let lost = lost.iter().map(|message| message.as_text().unwrap().to_owned());
        tell.unbounded_send(lost.collect()).unwrap();
    });
    (conn, told)
}

#[test]
fn what_the_peer_has_not_said_to_have_is_handed_over_in_order() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let (conn, mut losses) = losses(conn);
        let (handle, _running, mut far) = site.run_with_handle(conn, &mut told).await;
        // The ping is right behind the first of them.
        handle.send("one").await.unwrap();
        assert_eq!(far.text().await.unwrap(), "one");
        far.pong().await;
        // A later one takes its time, and is not answered.
        handle.send("two").await.unwrap();
        handle.send("three").await.unwrap();
        assert_eq!(far.text().await.unwrap(), "two");
        assert_eq!(far.text().await.unwrap(), "three");
        let far = site.renew(far, &mut told).await;
        assert_eq!(losses.next().await.unwrap(), ["two", "three"]);
        // Handed over, they are of no concern any more.
        let _far = site.renew(far, &mut told).await;
        assert_eq!(losses.next().await.unwrap(), [] as [String; 0]);
    });
}

#[test]
fn a_second_ping_asks_after_the_interval() {
    within(async {
        let site = Site::new().await;
        let policy = policy().ask_interval(Duration::from_secs(3));
        let (conn, mut told) = site.reconnect(policy);
        let (conn, mut losses) = losses(conn);
        let (handle, _running, mut far) = site.run_with_handle(conn, &mut told).await;
        handle.send("one").await.unwrap();
        far.pong().await;
        handle.send("two").await.unwrap();
        assert_eq!(far.text().await.unwrap(), "two");
        // That it waits is known when the answer to another ping is there.
        far.send(Frame::ping("?")).await;
        let answer = far.frame().await.unwrap();
        assert_eq!((answer.opcode, &answer.payload[..]), (10, &b"?"[..]));
        site.pass_until(far.pong()).await;
        far.send(Frame::ping("?")).await;
        assert_eq!(far.frame().await.unwrap().opcode, 10);
        let _far = site.renew(far, &mut told).await;
        assert_eq!(losses.next().await.unwrap(), [] as [String; 0]);
    });
}

#[test]
fn half_of_the_room_is_enough_to_ask() {
    within(async {
        let site = Site::new().await;
        let policy = policy().ask_interval(Duration::MAX).window(4 * (1 + size_of::<Message>()));
        let (mut conn, mut told) = site.reconnect(policy);
        let mut far = site.open(&mut conn, &mut told).await;
        beside(conn.next(), async {
            far.pong().await;
            far.send(Frame::ping("?")).await;
            while far.frame().await.unwrap().opcode != 10 {}
        })
        .await;
        conn.send("2".into()).await.unwrap();
        conn.send("3".into()).await.unwrap();
        for opcode in [1, 1, 9] {
            assert_eq!(far.frame().await.unwrap().opcode, opcode);
        }
    });
}

#[test]
fn each_connection_is_asked_for_itself() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy().ask_interval(Duration::MAX));
        let (conn, mut losses) = losses(conn);
        let (handle, _running, mut far) = site.run_with_handle(conn, &mut told).await;
        handle.send("one").await.unwrap();
        let first = far.ping().await;
        let mut far = site.renew(far, &mut told).await;
        assert_eq!(losses.next().await.unwrap(), ["one"]);
        handle.send("two").await.unwrap();
        assert_ne!(far.ping().await, first);
        // What answers a ping of another connection says nothing of this one.
        far.send_all([Frame::pong(first), Frame::ping("?")]).await;
        assert_eq!(far.frame().await.unwrap().opcode, 10);
        let _far = site.renew(far, &mut told).await;
        assert_eq!(losses.next().await.unwrap(), ["two"]);
    });
}

#[test]
fn a_peer_that_answers_another_ping_is_asked_again() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let (conn, mut losses) = losses(conn);
        let (handle, _running, mut far) = site.run_with_handle(conn, &mut told).await;
        handle.send("one").await.unwrap();
        let first = far.ping().await;
        // The latest of several may be all that is answered (RFC 6455, section 5.5.3).
        far.send(Frame::pong("another")).await;
        handle.send("two").await.unwrap();
        assert_eq!(far.text().await.unwrap(), "two");
        let second = site.pass_until(far.ping()).await;
        assert_ne!(first, second);
        far.send(Frame::pong(second)).await;
        far.send(Frame::ping("?")).await;
        while far.frame().await.unwrap().opcode != 10 {}
        let _far = site.renew(far, &mut told).await;
        assert_eq!(losses.next().await.unwrap(), [] as [String; 0]);
    });
}

#[test]
fn pongs_without_end_do_not_make_it_ask_without_end() {
    within(async {
        let site = Site::new().await;
        let mut conn = site.client().reconnect(policy());
        let handle = conn.handle();
        let _running = spawn(conn.run());
        handle.send("one").await.unwrap();
        let mut far = site.accept().await;
        far.ping().await;
        let pongs = (0..1000).map(|_| Frame::pong("another"));
        far.send_all(pongs.chain([Frame::ping("?")])).await;
        assert_eq!(far.frame().await.unwrap().opcode, 10, "it asks again at once");
    });
}

#[test]
fn the_hook_goes_before_everything_else() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let conn = conn.on_reconnect(|peer, lost, attempt| {
            peer.send(format!("subscribe after attempt {attempt}"));
            send_again(peer, lost, attempt);
        });
        let (handle, _running, mut far) = site.run_with_handle(conn, &mut told).await;
        handle.send("lost").await.unwrap();
        assert_eq!(far.text().await.unwrap(), "lost");
        drop(far);
        let (status, _) = told.waiting().await;
        handle.send("new").await.unwrap();
        site.wait_out(&status);
        let mut far = site.accept().await;
        for text in ["subscribe after attempt 2", "lost", "new"] {
            assert_eq!(far.text().await.unwrap(), text);
        }
    });
}

#[test]
fn the_first_connection_is_no_reconnect() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let _running = spawn(conn.on_reconnect(|_, _, _| -> () { panic!("it is one") }).run());
        let _far = site.accept().await;
        told.open().await;
    });
}

#[test]
fn the_sink_waits_while_too_much_is_under_way() {
    within(async {
        let site = Site::new().await;
        // A message counts a little for itself.
        let window = 3 * (1 + size_of::<Message>());
        let (mut conn, mut told) = site.reconnect(policy().window(window));
        let mut far = site.open(&mut conn, &mut told).await;
        conn.send("2".into()).await.unwrap();
        conn.send("3".into()).await.unwrap();
        assert!(poll!(conn.send("4".into())).is_pending());
        let (fourth, ()) = join!(conn.send("4".into()), far.pong());
        fourth.unwrap();
    });
}

#[test]
fn a_peer_that_never_says_what_it_has_is_one_that_hangs() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy().window(1));
        let (mut conn, mut losses) = losses(conn);
        let mut far = site.open(&mut conn, &mut told).await;
        assert!(poll!(conn.send("2".into())).is_pending());
        site.clock.advance_secs(40);
        let see = async {
            let (status, outage) = told.waiting().await;
            assert!(outage.to_string().contains("no progress"), "{outage}");
            site.wait_out(&status);
            site.accept().await
        };
        let (second, mut next) = join!(conn.send("2".into()), see);
        second.unwrap();
        assert_eq!(losses.next().await.unwrap(), ["1"]);
        assert_eq!(far.text().await.unwrap(), "1");
        assert_eq!(far.text().await, None);
        assert_eq!(next.text().await.unwrap(), "2");
    });
}

#[test]
fn the_answer_that_makes_room_may_be_behind_messages_that_nobody_has_taken() {
    within(async {
        let site = Site::new().await;
        // Much more of them than usual, if the limit is.
        let mut conn = site.client().reconnect(policy().window(300_000));
        let (first, mut far) = join!(conn.send(vec![0; 300_000].into()), site.accept());
        first.unwrap();
        let text = |number| char::from(b'0' + number).to_string().repeat(20_000);
        let flood = async {
            let ping = far.ping().await;
            let texts = (0..10).map(|number| Frame::text(text(number)));
            far.send_all(texts.chain([Frame::pong(ping)])).await;
        };
        let (second, ()) = join!(conn.send("more".into()), flood);
        second.unwrap();
        for number in 0..10 {
            assert_eq!(conn.next().await, Some(text(number).into()));
        }
    });
}

#[test]
fn the_answer_that_makes_room_is_not_looked_for_behind_any_number_of_messages() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy().window(1));
        let mut far = site.open(&mut conn, &mut told).await;
        let ping = far.ping().await;
        let text = "x".repeat(20_000);
        let texts = vec![Frame::text(&text); 20].into_iter();
        let flood = spawn(async move { far.send_all(texts.chain([Frame::pong(ping)])).await });
        for _ in 0..1000 {
            assert!(poll!(conn.send("2".into())).is_pending());
            yield_now().await;
        }
        assert!(conn.stats().received.messages <= 5, "64 KiB, and one more");
        for _ in 0..20 {
            assert_eq!(conn.next().await, Some(text.as_str().into()));
        }
        conn.send("2".into()).await.unwrap();
        flood.await;
    });
}

#[test]
fn without_a_hook_what_may_be_lost_waits_and_takes_room() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy().window(1));
        let far = site.open(&mut conn, &mut told).await;
        let mut far = beside(conn.next(), site.renew(far, &mut told)).await;
        let task = Task::new();
        assert!(task.ready(&mut conn).is_pending());
        assert_eq!(conn.take_lost(), ["1".into()]);
        assert!(task.wakes() > 0);
        conn.send("2".into()).await.unwrap();
        assert_eq!(far.text().await.unwrap(), "2");
    });
}

#[test]
fn what_hooks_send_is_handed_over_too() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let (conn, mut losses) = losses(conn);
        let conn = conn.on_each(|peer, message| {
            assert!(peer.is_open());
            peer.send(message.clone());
        });
        let (_running, mut far) = site.run(conn, &mut told).await;
        far.send(Frame::text("echo")).await;
        assert_eq!(far.text().await.unwrap(), "echo");
        let _far = site.renew(far, &mut told).await;
        assert_eq!(losses.next().await.unwrap(), ["echo"]);
    });
}

#[test]
fn what_is_sent_while_the_connection_ends_is_handed_over() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let (mut conn, mut losses) = losses(conn);
        let mut far = site.open(&mut conn, &mut told).await;
        // There is room, and then it is closing.
        poll_fn(|cx| conn.poll_ready_unpin(cx)).await.unwrap();
        far.send(Frame::close(1012, "")).await;
        beside(conn.next(), async { while far.frame().await.unwrap().opcode != 8 {} }).await;
        conn.start_send_unpin("2".into()).unwrap();
        drop(far);
        let (status, _) = beside(conn.next(), told.waiting()).await;
        conn.start_send_unpin("3".into()).unwrap();
        site.wait_out(&status);
        let (flushed, _far) = join!(conn.flush(), site.accept());
        flushed.unwrap();
        assert_eq!(losses.next().await.unwrap(), ["1", "2", "3"]);
    });
}

#[test]
fn a_handle_does_not_wait_for_what_was_handed_over_to_be_written() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let conn = conn.on_reconnect(|_, lost, _| assert_eq!(lost.len(), 1));
        let (mut handle, _running, mut far) = site.run_with_handle(conn, &mut told).await;
        // More than the buffers of TCP take.
        handle.send(vec![0; 16 << 20]).await.unwrap();
        far.skip(1).await;
        assert!(poll!(handle.flush()).is_pending());
        drop(far);
        let (status, _) = told.waiting().await;
        handle.flush().await.unwrap();
        site.wait_out(&status);
        let _far = site.accept().await;
        told.open().await;
    });
}

#[test]
fn after_the_end_the_rest_can_be_taken() {
    within(async {
        let mut site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy().max_attempts(2).unwrap());
        let handle = conn.handle();
        let far = site.open(&mut conn, &mut told).await;
        site.shut();
        drop(far);
        let see = async {
            let (status, _) = told.waiting().await;
            handle.send("promised").await.unwrap();
            site.wait_out(&status);
        };
        let (end, ()) = join!(conn.next(), see);
        assert_eq!(end, None);
        assert_eq!(conn.take_lost(), ["1".into(), "promised".into()]);
    });
}

#[test]
fn a_clean_end_leaves_nothing() {
    within(async {
        let site = Site::new().await;
        let mut conn = site.client().reconnect(policy());
        let (first, far) = join!(conn.send("1".into()), site.accept());
        first.unwrap();
        let (closed, code) = join!(conn.close(), far.answer_close());
        closed.unwrap();
        assert_eq!(code, Some(1000));
        assert!(conn.take_lost().is_empty());
    });
}

/// A server that dies again and again, at any point: every message arrives, or is handed over; without
/// being sent again none arrives twice, and what was acknowledged has come.
#[test]
fn nothing_vanishes_and_nothing_is_doubled_however_often_the_server_dies() {
    within(async {
        for seed in 0..8 {
            let (tell, mut losses) = unbounded();
            let site = Site::new().await;
            let mut conn = site.client().config(Config::default()).reconnect(quick());
            conn = conn.on_reconnect(move |_, lost, _| tell.unbounded_send(lost).unwrap());
            let serving = spawn(die_often(site, StdRng::seed_from_u64(seed)));

            let (mut sent, mut answers) = (0, HashMap::new());
            while !answers.contains_key(LAST) {
                conn.send(sent.to_string().into()).await.unwrap();
                sent += 1;
                while let Some(answer) = conn.next().now_or_never().flatten() {
                    count(&mut answers, &answer);
                }
            }
            conn.close().await.unwrap();
            while let Some(answer) = conn.next().await {
                count(&mut answers, &answer);
            }
            let received = serving.await;
            let mut handed = HashMap::new();
            while let Ok(lost) = losses.try_recv() {
                for message in &lost {
                    count(&mut handed, message);
                }
            }
            for message in &conn.take_lost() {
                count(&mut handed, message);
            }
            for number in 0..sent {
                let times = |map: &HashMap<String, u32>| map.get(&number.to_string()).copied();
                let arrived = times(&received).unwrap_or(0);
                assert!(arrived <= 1, "{number} arrived {arrived} times");
                assert!(arrived == 1 || times(&handed) == Some(1), "{number} vanished");
                assert!(times(&answers).unwrap_or(0) <= arrived, "{number} was answered");
            }
            assert!(!handed.is_empty(), "the deaths did no harm");
        }
    });
}

/// The same with a client that sends again what may be lost, in its order, and a server that knows numbers.
#[test]
fn what_is_sent_again_arrives_in_the_end() {
    within(async {
        for seed in 0..8 {
            let site = Site::new().await;
            let mut conn = site.client().config(Config::default()).reconnect(quick());
            conn = conn.on_reconnect(send_again);
            let serving = spawn(die_often(site, StdRng::seed_from_u64(seed)));
            let (mut sent, mut is_last) = (0, false);
            while !is_last {
                conn.send(sent.to_string().into()).await.unwrap();
                sent += 1;
                while let Some(answer) = conn.next().now_or_never().flatten() {
                    is_last |= answer == LAST.into();
                }
            }
            conn.close().await.unwrap();
            let received = serving.await;
            for number in 0..sent {
                assert!(received.contains_key(&number.to_string()), "{number} vanished");
            }
        }
    });
}

const DEATHS: u32 = 15;
const LAST: &str = "no more deaths";

/// Retries at once, nearly.
fn quick() -> ReconnectPolicy {
    let (first, max) = (Duration::from_millis(1), Duration::from_millis(5));
    ReconnectPolicy::default().backoff(first, max).unwrap().ask_interval(Duration::ZERO)
}

fn count(map: &mut HashMap<String, u32>, message: &Message) {
    *map.entry(message.as_text().unwrap().to_owned()).or_default() += 1;
}

/// Answers messages with themselves; dies a few times, and then no more, which it says. Returns what it has
/// received.
async fn die_often(site: Site, mut rng: StdRng) -> HashMap<String, u32> {
    let mut received = HashMap::new();
    for life in 0.. {
        let mut far = site.accept().await;
        let is_last = life == DEATHS;
        if is_last {
            far.send(Frame::text(LAST)).await;
        }
        let mut life = if is_last { u32::MAX } else { rng.random_range(0..60) };
        while life > 0 {
            life -= 1;
            let frame = far.frame().await.expect("the client stays");
            match frame.opcode {
                1 => {
                    count(&mut received, &String::from_utf8(frame.payload.clone()).unwrap().into());
                    if rng.random_ratio(2, 3) || is_last {
                        far.send(frame.keyed(None)).await;
                    }
                }
                8 => {
                    far.send(frame.keyed(None)).await;
                    return received;
                }
                _ => far.send(Frame::pong(frame.payload)).await,
            }
        }
        if rng.random() {
            far.send(Frame::close(1012, "")).await;
        }
    }
    unreachable!("it lives on")
}
