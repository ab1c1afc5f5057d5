//! Servers that go away and come back.

use std::time::Duration;

use futures::{SinkExt, StreamExt, channel::mpsc::unbounded, poll};
use wsweave::{CloseCode, Config, ConnectionExt, ErrorKind, Initiator, Outage, Status};

use crate::{
    site::{Site, Told, beside, policy},
    support::{Frame, rt::spawn, within},
};

#[test]
fn messages_of_all_connections_come_as_one_stream() {
    within(async {
        let mut site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy());
        let reading =
            spawn(async move { [conn.next().await, conn.next().await, conn.next().await] });

        let mut far = site.accept().await;
        told.open().await;
        far.send(Frame::text("one")).await;
        drop(far);
        let (status, outage) = told.waiting().await;
        assert!(matches!(&outage, Outage::Ended(finish) if finish.initiator == Initiator::Network));

        // It is gone for a while, and comes back on the same port.
        site.shut();
        site.wait_out(&status);
        assert_eq!(told.connecting().await, 2);
        let (status, outage) = told.waiting().await;
        assert!(matches!(&outage, Outage::Failed(error) if error.kind() == ErrorKind::Io));
        site.reopen().await;
        site.wait_out(&status);

        let mut far = site.accept().await;
        told.open().await;
        far.send(Frame::text("two")).await;
        far.close(1000).await;
        assert!(matches!(told.next().await, Status::Closed));
        assert_eq!(reading.await, [Some("one".into()), Some("two".into()), None]);
        told.end().await;
    });
}

#[test]
fn the_code_of_a_close_says_whether_to_come_back() {
    within(async {
        for code in [1001, 1011, 1012, 1013] {
            let site = Site::new().await;
            let (conn, mut told) = site.reconnect(policy());
            let (_running, far) = site.run(conn, &mut told).await;
            far.close(code).await;
            let (status, outage) = told.waiting().await;
            assert!(
                matches!(&outage, Outage::Ended(finish) if finish.code == code && finish.clean)
            );
            site.wait_out(&status);
            site.accept().await;
            told.open().await;
        }
        for code in [1000, 1002, 1003, 1007, 1008, 1009, 3000, 4000] {
            let site = Site::new().await;
            let (conn, mut told) = site.reconnect(policy());
            let (running, far) = site.run(conn, &mut told).await;
            far.close(code).await;
            assert!(matches!(told.next().await, Status::Closed), "{code}");
            let finish = running.await;
            assert_eq!(finish.code, code);
            assert!(finish.clean);
        }
    });
}

#[test]
fn a_server_that_breaks_the_protocol_is_not_tried_again() {
    within(async {
        let site = Site::new().await;
        let (tell, errors) = unbounded();
        let (conn, mut told) = site.reconnect(policy());
        let running = spawn(
            conn.on_error(move |error: &wsweave::Error| drop(tell.unbounded_send(error.kind())))
                .run(),
        );
        let mut far = site.accept().await;
        told.open().await;
        far.send(Frame::text("x").with_rsv(7)).await;
        while far.frame().await.is_some() {}
        drop(far);
        let status = told.next().await;
        assert!(matches!(&status, Status::GaveUp(error) if error.kind() == ErrorKind::Protocol));
        assert_eq!(running.await.code, CloseCode::PROTOCOL_ERROR);
        assert_eq!(errors.collect::<Vec<_>>().await, [ErrorKind::Protocol]);
    });
}

#[test]
fn a_server_that_hangs_is_left_for_another() {
    within(async {
        let site = Site::new().await;
        let config = Config::default()
            .keepalive_interval(Some(Duration::from_secs(20)))
            .keepalive_timeout(Duration::from_secs(10));
        let (conn, mut told) = Told::by(site.client_with(config).reconnect(policy()));
        let _running = spawn(conn.run());
        let mut hanging = site.accept().await;
        told.open().await;
        // The keepalive ping comes, and stays without an answer.
        site.pass_until(hanging.ping()).await;
        let (status, outage) = site.pass_until(told.waiting()).await;
        let Outage::Ended(finish) = outage else { panic!("{outage:?}") };
        assert_eq!(finish.error.unwrap().kind(), ErrorKind::Timeout);
        site.wait_out(&status);
        site.accept().await;
        // It has lasted: the attempts are a new row.
        assert_eq!(told.connecting().await, 1);
    });
}

#[test]
fn a_feed_that_is_idle_for_too_long_is_left_for_another() {
    within(async {
        let site = Site::new().await;
        let config =
            Config::default().keepalive_interval(None).idle_timeout(Some(Duration::from_secs(5)));
        let (mut conn, mut told) = Told::by(site.client_with(config).reconnect(policy()));
        let far = site.open(&mut conn, &mut told).await;
        assert!(poll!(conn.next()).is_pending());
        site.clock.advance_secs(5);
        let code = beside(conn.next(), far.answer_close()).await;
        assert_eq!(code, Some(1001));
        let (_, outage) = beside(conn.next(), told.waiting()).await;
        assert!(matches!(&outage, Outage::Ended(finish) if finish.clean));
        // The peer's answer says that all has arrived.
        assert!(conn.take_lost().is_empty());
    });
}

#[test]
fn a_handshake_that_hangs_is_an_attempt_that_failed() {
    within(async {
        let site = Site::new().await;
        let config = Config::default().connect_timeout(Duration::from_secs(5));
        let (conn, mut told) = Told::by(site.client_with(config).reconnect(policy()));
        let _running = spawn(conn.run());
        let _hanging = site.asked().await;
        assert_eq!(told.connecting().await, 1);
        site.clock.advance_secs(5);
        let (status, outage) = told.waiting().await;
        assert!(matches!(&outage, Outage::Failed(error) if error.kind() == ErrorKind::Timeout));
        site.wait_out(&status);
        site.accept().await;
        told.open().await;
    });
}

#[test]
fn a_handle_stays_valid_and_what_it_sends_waits_for_the_next_connection() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy());
        let handle = conn.handle();
        handle.send("before the first").await.unwrap();
        let (running, mut far) = site.run(conn, &mut told).await;
        assert_eq!(far.text().await.unwrap(), "before the first");
        far.pong().await;
        drop(far);
        let (status, _) = told.waiting().await;
        assert!(handle.is_open());
        let closed = spawn({
            let handle = handle.clone();
            async move { handle.closed().await }
        });
        handle.send("between two").await.unwrap();
        let flushing = spawn({
            let mut handle = handle.clone();
            async move { handle.flush().await }
        });
        site.wait_out(&status);
        let mut far = site.accept().await;
        told.open().await;
        assert_eq!(far.text().await.unwrap(), "between two");
        flushing.await.unwrap();
        handle.close_with(4001, "enough").unwrap();
        assert_eq!(far.answer_close().await, Some(4001));
        let (finish, closed) = (running.await, closed.await);
        assert_eq!((finish.code, closed.code), (CloseCode(4001), CloseCode(4001)));
        assert!(finish.clean && closed.clean);
        assert!(matches!(told.next().await, Status::Closed));
        assert!(!handle.is_open());
    });
}

#[test]
fn a_handle_is_for_all_connections_until_the_last_goodbye() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let (handle, _running, far) = site.run_with_handle(conn, &mut told).await;
        far.close(1012).await;
        site.wait_out(&told.waiting().await.0);
        let mut far = site.accept().await;
        told.open().await;
        handle.send("still here").await.unwrap();
        assert_eq!(far.text().await.unwrap(), "still here");
        site.clock.advance_secs(5);
        assert_eq!(handle.stats().open_for, Some(Duration::from_secs(5)));
        far.close(1000).await;
        assert_eq!(handle.closed().await.code, 1000);
        assert!(!handle.is_open());
    });
}

#[test]
fn a_handle_that_is_made_while_a_connection_ends_is_for_the_next_one() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy());
        let mut far = site.open(&mut conn, &mut told).await;
        far.send(Frame::close(1012, "")).await;
        beside(conn.next(), async { while far.frame().await.unwrap().opcode != 8 {} }).await;
        let handle = conn.handle();
        handle.send("2").await.unwrap();
        let mut far = beside(conn.next(), site.renew(far, &mut told)).await;
        assert_eq!(beside(conn.next(), far.text()).await.unwrap(), "2");
    });
}
