//! Memberships of a connection that is made anew when it is lost.

use futures::{StreamExt, channel::mpsc::unbounded};
use wsweave::{ConnectionExt, Group, GroupConfig, Handle, LagPolicy};

use crate::{
    site::{Site, policy},
    support::{Frame, within},
};

#[test]
fn a_membership_lasts_and_what_is_published_between_two_connections_goes_over_the_next() {
    within(async {
        let (site, group) = (Site::new().await, Group::new());
        let (conn, mut told) = site.reconnect(policy());
        let (handle, running, mut far) = site.run_with_handle(conn, &mut told).await;
        let member = group.join("t", &handle).unwrap();
        assert_eq!(group.publish("t", "one"), 1);
        assert_eq!(far.text().await.unwrap(), "one");
        far.pong().await;
        drop(far);
        let (status, _) = told.waiting().await;
        for between in ["two", "three"] {
            assert_eq!(group.publish("t", between), 1);
        }
        assert_eq!((group.members("t"), member.lag().messages), (vec![member.id()], 2));
        site.wait_out(&status);
        let mut far = site.accept().await;
        told.open().await;
        assert_eq!(far.text().await.unwrap(), "two");
        assert_eq!(far.text().await.unwrap(), "three");
        // The last one's end is the membership's.
        handle.close_with(1000, "").unwrap();
        assert_eq!(far.answer_close().await, Some(1000));
        running.await;
        assert_eq!((group.topics(), group.publish("t", "late")), (vec![], 0));
    });
}

#[test]
fn what_was_published_and_may_not_have_arrived_is_handed_over() {
    within(async {
        let (site, group) = (Site::new().await, Group::new());
        let (conn, mut told) = site.reconnect(policy());
        let (tell, mut losses) = unbounded();
        let conn = conn.on_reconnect(move |_, lost, _| tell.unbounded_send(lost).unwrap());
        let (handle, _running, mut far) = site.run_with_handle(conn, &mut told).await;
        let _member = group.join("t", &handle).unwrap();
        for text in ["one", "two"] {
            group.publish("t", text);
            assert_eq!(far.text().await.unwrap(), text);
        }
        let _far = site.renew(far, &mut told).await;
        assert_eq!(losses.next().await.unwrap(), ["one".into(), "two".into()]);
    });
}

#[test]
fn what_waits_for_the_next_connection_is_bounded_by_the_policy() {
    within(async {
        let (site, group) = (Site::new().await, Group::new());
        let (conn, mut told) = site.reconnect(policy());
        let (handle, running, far) = site.run_with_handle(conn, &mut told).await;
        let policy = LagPolicy::drop_oldest().max_bytes(0);
        let oldest = group.join_with("t", &handle, policy).unwrap();
        drop(far);
        let (status, _) = told.waiting().await;
        for n in 0..10 {
            assert_eq!(group.publish("t", format!("{n}")), 1);
        }
        assert_eq!((oldest.lag().messages, oldest.lag().dropped), (1, 9));
        site.wait_out(&status);
        let mut far = site.accept().await;
        told.open().await;
        assert_eq!(far.text().await.unwrap(), "9");
        // One who has to keep up ends it for good.
        let policy = LagPolicy::disconnect().max_bytes(0);
        let _strict = group.join_with("u", &handle, policy).unwrap();
        drop(far);
        told.waiting().await;
        assert_eq!([(); 2].map(|()| group.publish("u", "x")), [1, 0]);
        running.await;
        assert_eq!(group.topics(), []);
    });
}

#[test]
fn what_goes_before_the_message_of_a_hook_is_no_fault_of_hooks() {
    within(async {
        let site = Site::new().await;
        let group = Group::with_config(GroupConfig::default().max_waiting(32 << 20));
        let (conn, mut told) = site.reconnect(policy());
        let (publisher, large) = (group.clone(), "x".repeat(1 << 20));
        let text = large.clone();
        let conn = conn
            .on_each_async(move |handle: Handle, _| {
                (0..20).for_each(|_| assert_eq!(publisher.publish("t", text.clone()), 1));
                async move { handle.send("by a handle").await }
            })
            .on_each(|peer, _| peer.send("by the next hook"));
        let (handle, _running, mut far) = site.run_with_handle(conn, &mut told).await;
        let policy = LagPolicy::default().max_bytes(32 << 20);
        let _member = group.join_with("t", &handle, policy).unwrap();
        far.send(Frame::text("go")).await;
        for _ in 0..20 {
            assert!(far.text().await.unwrap() == large);
        }
        assert_eq!(far.text().await.unwrap(), "by a handle");
        assert_eq!(far.text().await.unwrap(), "by the next hook");
    });
}
