//! What is bounded, and what is not held up by that.

use std::{future::poll_fn, time::Duration};

use futures::{FutureExt, SinkExt, StreamExt, channel::oneshot, join, poll};
use wsweave::{CloseCode, ConnectionExt, Handle, Initiator, Outage, RateLimit, Status};

use crate::{
    site::{Site, beside, drive, policy, send_again, until_lost},
    support::{Frame, within},
};

#[test]
fn a_handle_closes_it_also_when_there_is_no_room_for_messages() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy().window(1));
        let (handle, running, far) = site.run_with_handle(conn, &mut told).await;
        handle.send("1").await.unwrap();
        // Without a hook it stays, and takes all the room.
        let far = site.renew(far, &mut told).await;
        handle.send("2").await.unwrap();
        handle.close_with(4000, "enough").unwrap();
        assert_eq!(far.answer_close().await, Some(4000));
        assert_eq!(running.await.code, CloseCode(4000));
    });
}

#[test]
fn what_a_hook_has_sent_through_a_handle_waits_for_room() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy().window(1));
        let conn = conn
            .on_reconnect(|_, _, _| ())
            .on_each_async(|handle: Handle, message| async move { handle.send(message).await });
        let (_running, mut far) = site.run(conn, &mut told).await;
        let texts = (0..10).map(|number| Frame::text(number.to_string()));
        far.send_all(texts.chain([Frame::ping("?")])).await;
        let mut echoes = 0;
        loop {
            match far.frame().await.unwrap().opcode {
                1 => echoes += 1,
                10 => break,
                _ => {}
            }
        }
        assert_eq!(echoes, 1);
        // What waits is not lost.
        site.lose(far, &mut told).await;
        let mut far = site.accept().await;
        assert_eq!(far.text().await.unwrap(), "1");
    });
}

#[test]
fn what_handles_send_waits_for_a_connection_though_a_hook_runs() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let (go, gone) = oneshot::channel::<()>();
        let gone = gone.shared();
        let mut conn = conn
            .on_reconnect(|_, lost, _| assert!(lost.is_empty()))
            .on_each_async(move |_, _| gone.clone().map(drop));
        let handle = conn.handle();
        let (done, mut was_done) = oneshot::channel();
        let mut done = Some(done);
        let conn = conn.on_each(move |_, _| done.take().unwrap().send(()).unwrap());
        let (_running, mut far) = site.run(conn, &mut told).await;
        far.send_unseen("go").await;
        drop(far);
        let (status, _) = told.waiting().await;
        handle.send("waits").await.unwrap();
        assert!(poll!(&mut was_done).is_pending());
        go.send(()).unwrap();
        was_done.await.unwrap();
        site.wait_out(&status);
        let mut far = site.accept().await;
        assert_eq!(far.text().await.unwrap(), "waits");
    });
}

/// More than hooks may send beyond the limit.
const LARGE: usize = 17 << 20;

#[test]
fn hooks_may_send_behind_a_large_message_and_send_it_again() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let conn = conn
            .on_reconnect(|peer, lost, _| {
                assert_eq!(lost.len(), 2);
                send_again(peer, lost, 2);
            })
            .on_each(|peer, message| peer.send(message.clone()));
        let (handle, _running, mut far) = site.run_with_handle(conn, &mut told).await;
        handle.send(vec![0; LARGE]).await.unwrap();
        // It has begun to be written, so that the echo comes behind it.
        far.skip(1).await;
        far.send(Frame::text("echo")).await;
        far.skip(13 + LARGE).await;
        assert_eq!(far.text().await.unwrap(), "echo");
        let mut far = site.renew(far, &mut told).await;
        far.skip(14 + LARGE).await;
        assert_eq!(far.text().await.unwrap(), "echo");
    });
}

#[test]
fn hooks_that_send_without_an_answer_end_it() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy().window(1000));
        let conn = conn.on_each(|peer, _| peer.send(vec![0; 1 << 20]));
        let (handle, running, mut far) = site.run_with_handle(conn, &mut told).await;
        // A message that has arrived does not count any more, however large.
        handle.send(vec![0; LARGE]).await.unwrap();
        far.skip(14 + LARGE).await;
        far.pong().await;
        // All of it is read, so that nothing waits to be written; but no ping is answered.
        far.send_all((0..40).map(|_| Frame::text("go"))).await;
        let received = far.rest().await >> 20;
        assert!((16..19).contains(&received), "{received} MiB");
        assert_eq!(running.await.code, CloseCode::INTERNAL_ERROR);
    });
}

#[test]
fn a_rate_limit_has_a_clock_also_without_a_connection() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let mut conn = conn.limit_rate(RateLimit::new().messages(1).unwrap());
        let mut far = site.open(&mut conn, &mut told).await;
        beside(drive(&mut conn), far.send_unseen("early")).await;
        drop(far);
        until_lost(&mut conn, &mut told).await;
        assert_eq!(conn.next().await, Some("early".into()));
        assert!(conn.finish().is_none());
    });
}

#[cfg(feature = "json")]
#[test]
fn calls_have_a_clock_before_there_is_a_connection() {
    use std::{pin::pin, task::Poll};

    use wsweave::CallError;

    within(async {
        let mut site = Site::new().await;
        site.shut();
        let (conn, _told) = site.reconnect(policy());
        let (conn, caller) = conn.json::<u64, u64>().calls(|id| Some(*id), |id| Some(*id));
        let caller = caller.timeout(Duration::from_secs(5));
        let mut call = pin!(caller.call(7));
        assert!(poll!(&mut call).is_pending());
        site.clock.advance_secs(5);
        assert!(matches!(poll!(&mut call), Poll::Ready(Err(CallError::Timeout))));
        drop(conn);
    });
}

#[test]
fn a_peers_goodbye_counts_though_it_did_not_wait_for_ours() {
    within(async {
        for code in [1000, 1008, 1012] {
            let site = Site::new().await;
            let (mut conn, mut told) = site.reconnect(policy());
            let mut far = site.open(&mut conn, &mut told).await;
            far.send(Frame::close(code, "")).await;
            // What it has not read resets the connection.
            drop(far);
            if code == 1012 {
                let (_, outage) = beside(conn.next(), told.waiting()).await;
                assert!(matches!(&outage, Outage::Ended(finish) if !finish.clean), "{outage}");
            } else {
                assert_eq!(conn.next().await, None);
                let finish = conn.finish().unwrap();
                assert_eq!((finish.initiator, finish.code), (Initiator::Peer, CloseCode(code)));
                assert!(!finish.clean, "it was to be reset");
                assert!(matches!(told.next().await, Status::GaveUp(_)));
            }
        }
    });
}

#[test]
fn an_interval_without_end_asks_once() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy().ask_interval(Duration::MAX));
        let (handle, _running, mut far) = site.run_with_handle(conn, &mut told).await;
        handle.send("one").await.unwrap();
        far.pong().await;
        handle.send("two").await.unwrap();
        assert_eq!(far.text().await.unwrap(), "two");
        far.send(Frame::ping("?")).await;
        assert_eq!(far.frame().await.unwrap().opcode, 10, "it asks again");
    });
}

#[test]
fn a_flush_waits_for_what_was_sent_while_the_connection_ends() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let mut conn = conn.on_reconnect(send_again);
        let mut far = site.open(&mut conn, &mut told).await;
        poll_fn(|cx| conn.poll_ready_unpin(cx)).await.unwrap();
        far.send(Frame::close(1012, "")).await;
        beside(conn.next(), async { while far.frame().await.unwrap().opcode != 8 {} }).await;
        conn.start_send_unpin("2".into()).unwrap();
        assert!(poll!(conn.flush()).is_pending());
        let (flushed, mut far) = join!(conn.flush(), site.renew(far, &mut told));
        flushed.unwrap();
        assert_eq!(far.text().await.unwrap(), "1");
        assert_eq!(far.text().await.unwrap(), "2");
    });
}

#[test]
fn who_only_sends_learns_of_the_end() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy());
        let handle = conn.handle();
        let _far = site.open(&mut conn, &mut told).await;
        handle.abort();
        assert!(conn.send("2".into()).await.is_err());
        assert_eq!(conn.finish().unwrap().code, CloseCode::ABNORMAL);
        assert!(matches!(told.next().await, Status::Closed));
    });
}
