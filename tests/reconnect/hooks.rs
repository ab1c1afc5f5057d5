//! Hooks on a connection that is made anew: they see one.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
};

use futures::{
    FutureExt, SinkExt, StreamExt, TryStreamExt,
    future::{Either, select},
    join,
};
use wsweave::{CloseCode, ConnectionExt, Duplex, ErrorKind, Status};

use crate::{
    site::{Site, Told, policy},
    support::{
        Frame,
        rt::{spawn, yield_now},
        within,
    },
};

#[test]
fn hooks_stay_on_and_see_one_end() {
    within(async {
        let site = Site::new().await;
        let policy = policy().max_attempts(2).unwrap();
        let (conn, mut told) = Told::by(site.client().reconnect(policy));
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
                let (status, _) = told.waiting().await;
                site.wait_out(&status);
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
        let (conn, mut told) = Told::by(site.client().reconnect(policy()));
        let conn = conn.on_reconnect(|_, _, _| Err("I do not want to"));
        let running = spawn(conn.run());
        let far = site.accept().await;
        told.open().await;
        drop(far);
        let (status, _) = told.waiting().await;
        site.wait_out(&status);
        let far = site.accept().await;
        told.open().await;
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
        let (conn, mut told) = Told::by(site.client().reconnect(policy()));
        let mut conn = conn.on_each(|_, _| Err("I do not want to"));
        let (first, mut far) = join!(conn.send("1".into()), site.accept());
        first.unwrap();
        told.open().await;
        // It is read, and nobody takes it until the connection is gone.
        far.send_all([Frame::ping("?"), Frame::text("too late")]).await;
        let answer = Box::pin(async { while far.frame().await.unwrap().opcode != 10 {} });
        let driving = poll_fn(|cx| Pin::new(&mut conn).poll_drive(cx));
        assert!(matches!(select(driving, answer).await, Either::Right(_)));
        drop(far);
        let sending = async {
            while conn.send("2".into()).now_or_never().is_some() {
                yield_now().await;
            }
            told.waiting().await;
        };
        sending.await;
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
        let (conn, mut told) = Told::by(site.client().reconnect(policy()));
        // With a code after which it would come back, were it the peer's.
        let running = spawn(conn.on_each(|peer, _| peer.close_with(1012, "")).run());
        let mut far = site.accept().await;
        told.open().await;
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
        let (conn, mut told) = Told::by(site.client().reconnect(policy()));
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
            drop(far);
            let (status, _) = told.waiting().await;
            site.wait_out(&status);
        }
    });
}

#[test]
fn what_is_known_of_a_connection_is_that_of_the_one_at_hand() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = Told::by(site.client().reconnect(policy()));
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
        assert!(matches!(select(conn.next(), pin!(told.waiting())).await, Either::Right(_)));
        assert!(conn.response().is_none() && conn.peer_addr().is_none());
    });
}
