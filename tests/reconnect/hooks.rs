//! Hooks on a connection that is made anew: they see one.

use std::sync::{Arc, Mutex};

use futures::{StreamExt, TryStreamExt, join};
use wsweave::{CloseCode, Connection, ConnectionExt, ErrorKind, Status};

use crate::{
    site::{Site, beside, drive, policy, until_lost},
    support::{Frame, rt::spawn, within},
};

#[test]
fn hooks_stay_on_and_see_one_end() {
    within(async {
        let site = Site::new().await;
        let policy = policy().max_attempts(2).unwrap();
        let (conn, mut told) = site.reconnect(policy);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let see = |what: &'static str| {
            let seen = Arc::clone(&seen);
            move |how: String| seen.lock().unwrap().push(format!("{what} {how}"))
        };
        let (message, error, finish) = (see("message"), see("error"), see("finish"));
        let (conn, callbacks) = conn
            .on_each(move |peer, text| {
                message(text.as_text().unwrap().to_owned());
                peer.send(text.clone());
            })
            .on_error(move |failure: &wsweave::Error| error(format!("{:?}", failure.kind())))
            .on_finish(move |end| finish(format!("{:?}", end.initiator)))
            .callbacks();
        let callback = see("callback");
        callbacks.on_each(move |_, text| callback(text.as_text().unwrap().to_owned()));
        let running = spawn(conn.run());
        for text in ["one", "two"] {
            let mut far = site.accept().await;
            told.open().await;
            far.send(Frame::text(text)).await;
            assert_eq!(far.text().await.unwrap(), text);
            drop(far);
            if text == "one" {
                site.wait_out(&told.waiting().await.0);
            }
        }
        assert!(matches!(told.next().await, Status::GaveUp(_)));
        running.await;
        assert_eq!(
            *seen.lock().unwrap(),
            [
                "message one",
                "callback one",
                "message two",
                "callback two",
                "error Io",
                "finish Network"
            ]
        );
    });
}

#[test]
fn a_relay_does_not_pass_on_a_close_that_another_connection_follows() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let (mut client, near) = Connection::pair();
        let relaying = spawn(near.relay(conn));
        let far = site.accept().await;
        told.open().await;
        far.close(1012).await;
        let (status, _) = told.waiting().await;
        site.wait_out(&status);
        let mut far = site.accept().await;
        told.open().await;
        far.send(Frame::text("as if nothing had been")).await;
        assert_eq!(client.next().await, Some("as if nothing had been".into()));
        let (closed, code) = join!(client.close_with(4000, ""), far.answer_close());
        closed.unwrap();
        assert_eq!(code, Some(4000));
        assert!(relaying.await.1.clean);
    });
}

#[test]
fn results_have_the_last_error() {
    within(async {
        let mut site = Site::new().await;
        site.shut();
        let conn = site.client().reconnect(policy().max_attempts(1).unwrap());
        let error = conn.results().try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    });
}

#[test]
fn a_hook_that_fails_ends_it() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let conn = conn.on_reconnect(|_, _, _| Err("I do not want to"));
        let (running, far) = site.run(conn, &mut told).await;
        let far = site.renew(far, &mut told).await;
        assert_eq!(far.answer_close().await, Some(1011));
        assert!(matches!(told.next().await, Status::GaveUp(_)));
        let finish = running.await;
        assert_eq!(finish.code, CloseCode::INTERNAL_ERROR);
        assert_eq!(finish.error.unwrap().to_string(), "a hook failed: I do not want to");
    });
}

#[test]
fn a_hook_that_fails_while_there_is_no_connection_ends_it() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let mut conn = conn.on_each(|_, _| Err("I do not want to"));
        let mut far = site.open(&mut conn, &mut told).await;
        beside(drive(&mut conn), far.send_unseen("too late")).await;
        drop(far);
        until_lost(&mut conn, &mut told).await;
        assert_eq!(conn.next().await, Some("too late".into()));
        assert_eq!(conn.next().await, None);
        assert!(matches!(told.next().await, Status::GaveUp(_)));
        let finish = conn.finish().unwrap();
        assert_eq!(finish.code, CloseCode::INTERNAL_ERROR);
        assert_eq!(finish.error.as_ref().unwrap().kind(), ErrorKind::Hook);
    });
}

#[test]
fn a_hook_can_close_it_for_good() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        // With a code after which it would come back, were it the peer's.
        let (running, mut far) =
            site.run(conn.on_each(|peer, _| peer.close_with(1012, "")), &mut told).await;
        far.send(Frame::text("go")).await;
        assert_eq!(far.answer_close().await, Some(1012));
        assert!(matches!(told.next().await, Status::Closed));
        assert!(running.await.clean);
    });
}

#[test]
fn a_hook_can_take_itself_off() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let conn = conn.on_reconnect(|peer, _, _| {
            peer.send("once");
            peer.unhook();
        });
        let _running = spawn(conn.run());
        for number in 1..=3 {
            let mut far = site.accept().await;
            told.open().await;
            far.send(Frame::ping("?")).await;
            let frame = far.frame().await.unwrap();
            assert_eq!(frame.opcode == 1, number == 2, "{number}: {frame:?}");
            site.lose(far, &mut told).await;
        }
    });
}

#[test]
fn what_is_known_of_a_connection_is_that_of_the_one_at_hand() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy());
        assert!(conn.response().is_none() && conn.peer_addr().is_none());
        assert_eq!(conn.ping("?").unwrap_err().kind(), ErrorKind::Full);
        let (message, far) = join!(conn.next(), async {
            let mut far = site.accept().await;
            told.open().await;
            far.send(Frame::text("hello")).await;
            far
        });
        assert_eq!(message, Some("hello".into()));
        assert!(conn.response().is_some() && conn.peer_addr().is_some());
        drop(far);
        beside(conn.next(), told.waiting()).await;
        assert!(conn.response().is_none() && conn.peer_addr().is_none());
    });
}
