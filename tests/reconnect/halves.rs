//! The two halves, in one task and in two, and what is dropped half-way.

use futures::{FutureExt, SinkExt, StreamExt, channel::oneshot, join, poll};
use wsweave::{ConnectionExt, Status};

use crate::{
    site::{Site, beside, drive, policy, send_again, until_lost},
    support::{
        Frame,
        rt::{spawn, yield_now},
        within,
    },
};

#[test]
fn both_halves_wait_for_the_next_connection_each_in_its_task() {
    within(async {
        for _ in 0..20 {
            let mut site = Site::new().await;
            let (conn, mut told) = site.reconnect(policy());
            let (mut sink, mut stream) = conn.split();
            let (lost, was_lost) = oneshot::channel();
            let reading = spawn(async move { (stream.next().await, stream) });
            let writing = spawn(async move {
                sink.send("one".into()).await.unwrap();
                was_lost.await.unwrap();
                sink.send("two".into()).await.unwrap();
                sink
            });
            let mut far = site.accept().await;
            told.open().await;
            far.pong().await;
            site.shut();
            drop(far);
            let (status, _) = told.waiting().await;
            lost.send(()).unwrap();
            site.reopen().await;
            site.wait_out(&status);
            let mut far = site.accept().await;
            told.open().await;
            assert_eq!(far.text().await.unwrap(), "two");
            far.send(Frame::text("here")).await;
            let (message, _stream) = reading.await;
            assert_eq!(message, Some("here".into()));
            let _sink = writing.await;
        }
    });
}

#[test]
fn who_only_sends_connects_again_and_finds_what_came_meanwhile() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy());
        let handle = conn.handle();
        let mut far = site.open(&mut conn, &mut told).await;
        beside(drive(&mut conn), far.send_unseen("of the first")).await;
        drop(far);
        site.wait_out(&until_lost(&mut conn, &mut told).await);
        let (third, mut far) = join!(conn.send("3".into()), site.accept());
        third.unwrap();
        far.send(Frame::text("of the second")).await;
        assert_eq!(conn.next().await, Some("of the first".into()));
        assert_eq!(conn.next().await, Some("of the second".into()));
        // What ended the first one is no part of how the last one ends.
        let (end, ()) = join!(conn.next(), far.close(1000));
        assert_eq!(end, None);
        assert!(conn.finish().unwrap().clean);
        assert!(handle.closed().now_or_never().is_some());
        told.open().await;
        assert!(matches!(told.next().await, Status::Closed));
    });
}

#[test]
fn a_next_that_is_dropped_leaves_the_attempt_under_way() {
    within(async {
        let site = Site::new().await;
        let mut conn = site.client().reconnect(policy());
        assert!(conn.next().now_or_never().is_none());
        let (far, ()) = join!(site.accept(), async {
            while !matches!(conn.status(), Status::Open) {
                assert!(conn.next().now_or_never().is_none());
                yield_now().await;
            }
        });
        let mut far = far;
        far.send(Frame::text("hello")).await;
        assert_eq!(conn.next().await, Some("hello".into()));
    });
}

#[test]
fn a_send_that_is_dropped_while_it_waits_has_not_been_accepted() {
    within(async {
        let site = Site::new().await;
        let mut conn = site.client().reconnect(policy());
        assert!(conn.send("dropped".into()).now_or_never().is_none());
        let (sent, mut far) = join!(conn.send("sent".into()), site.accept());
        sent.unwrap();
        assert_eq!(far.text().await.unwrap(), "sent");
        assert!(conn.handle().is_open());
    });
}

#[test]
fn a_flush_waits_only_for_what_may_be_lost() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy());
        conn.flush().await.unwrap();
        let far = site.open(&mut conn, &mut told).await;
        drop(far);
        let mut handed = conn.on_reconnect(send_again);
        let (status, _) = beside(handed.next(), told.waiting()).await;
        assert!(poll!(handed.flush()).is_pending());
        site.wait_out(&status);
        let (flushed, mut far) = join!(handed.flush(), site.accept());
        flushed.unwrap();
        assert_eq!(far.text().await.unwrap(), "1");
    });
}
