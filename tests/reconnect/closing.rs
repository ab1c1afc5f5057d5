//! The end for good.

use futures::{AsyncReadExt, SinkExt, StreamExt, join};
use wsweave::{CloseCode, ConnectionExt, ErrorKind, Initiator, Status};

use crate::{
    site::{Site, beside, policy},
    support::{Frame, rt::spawn, within},
};

#[test]
fn close_ends_it_for_good() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy());
        let far = site.open(&mut conn, &mut told).await;
        let (closed, code) = join!(conn.close(), far.answer_close());
        closed.unwrap();
        assert_eq!(code, Some(1000));
        assert!(matches!(told.next().await, Status::Closed));
        assert_eq!(conn.next().await, None);
        assert!(conn.finish().unwrap().clean);
        // Once more changes nothing.
        conn.close().await.unwrap();
        assert!(conn.send("more".into()).await.is_err());
        drop(conn);
        told.end().await;
    });
}

#[test]
fn a_connection_that_is_lost_while_it_is_closed_is_not_made_anew() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy());
        let far = site.open(&mut conn, &mut told).await;
        drop(far);
        let error = conn.close().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(matches!(told.next().await, Status::Closed));
        assert_eq!(conn.next().await, None);
    });
}

#[test]
fn closed_while_it_waits_it_says_why_there_was_no_connection() {
    within(async {
        let mut site = Site::new().await;
        site.shut();
        let (mut conn, mut told) = site.reconnect(policy());
        beside(conn.next(), told.connecting()).await;
        let (status, _) = beside(conn.next(), told.waiting()).await;
        let error = conn.close_with(4000, "enough").await.unwrap_err();
        assert!(error.to_string().starts_with("cannot connect to 127.0.0.1"), "{error}");
        let finish = conn.finish().unwrap();
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode(4000)));
        assert!(!finish.clean);
        assert_eq!(conn.next().await, None);
        assert!(matches!(told.next().await, Status::Closed));
        // Its time passes, and nothing comes of it.
        site.wait_out(&status);
        assert_eq!(conn.next().await, None);
        drop(conn);
        told.end().await;
    });
}

#[test]
fn closed_while_it_connects_it_does_not() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let (mut sink, mut stream) = conn.split();
        let reading = spawn(async move { stream.next().await });
        let (mut asked, _) = site.asked().await;
        told.connecting().await;
        // The other task, which waits for the server, is woken.
        assert!(sink.close().await.is_err());
        assert_eq!(reading.await, None);
        assert!(matches!(told.next().await, Status::Closed));
        // The attempt is gone.
        let mut rest = Vec::new();
        let _ = asked.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    });
}

#[test]
fn a_handle_closes_it_while_it_waits() {
    within(async {
        for abort in [false, true] {
            let mut site = Site::new().await;
            site.shut();
            let (mut conn, mut told) = site.reconnect(policy());
            let handle = conn.handle();
            let running = spawn(conn.run());
            told.connecting().await;
            told.waiting().await;
            if abort {
                handle.abort();
            } else {
                handle.close_with(4000, "enough").unwrap();
            }
            let finish = running.await;
            let code = if abort { CloseCode::ABNORMAL } else { CloseCode(4000) };
            assert_eq!((finish.initiator, finish.code), (Initiator::Us, code));
            assert_eq!(handle.closed().await.code, code);
            assert!(matches!(told.next().await, Status::Closed));
        }
    });
}

#[test]
fn a_handle_closes_it_while_its_connection_ends() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let (handle, running, mut far) = site.run_with_handle(conn, &mut told).await;
        far.send(Frame::close(1012, "")).await;
        while far.frame().await.unwrap().opcode != 8 {}
        handle.close_with(4000, "enough").unwrap();
        drop(far);
        // It is the peer's that counts; but that is the end.
        assert_eq!(running.await.code, CloseCode(1012));
        assert!(matches!(told.next().await, Status::Closed));
    });
}

#[test]
fn abort_ends_it_for_good() {
    within(async {
        let site = Site::new().await;
        let (mut conn, mut told) = site.reconnect(policy());
        let mut far = site.open(&mut conn, &mut told).await;
        conn.abort();
        assert_eq!(conn.next().await, None);
        assert!(matches!(told.next().await, Status::Closed));
        assert_eq!(conn.finish().unwrap().code, CloseCode::ABNORMAL);
        drop(conn);
        while far.frame().await.is_some_and(|frame| frame.opcode != 8) {}
        assert!(far.frame().await.is_none());
    });
}

#[test]
fn dropped_while_it_waits_it_is_over_for_handles() {
    within(async {
        let mut site = Site::new().await;
        site.shut();
        let (mut conn, mut told) = site.reconnect(policy());
        let handle = conn.handle();
        let running = spawn(conn.run());
        told.connecting().await;
        told.waiting().await;
        drop(running);
        let finish = handle.closed().await;
        assert_eq!((finish.initiator, finish.code), (Initiator::Us, CloseCode::GOING_AWAY));
        assert!(handle.send("x").await.is_err());
        told.end().await;
    });
}

#[test]
fn dropped_after_a_panic_it_is_over_for_handles() {
    within(async {
        let site = Site::new().await;
        let policy = policy().retry_if(|_| -> bool { panic!("who knows") });
        let (conn, mut told) = site.reconnect(policy);
        let (handle, _running, far) = site.run_with_handle(conn, &mut told).await;
        drop(far);
        assert_eq!(handle.closed().await.code, CloseCode::ABNORMAL);
    });
}

#[test]
fn dropped_while_it_connects_it_leaves_nothing() {
    within(async {
        let site = Site::new().await;
        let (conn, mut told) = site.reconnect(policy());
        let running = spawn(conn.run());
        let (mut asked, _) = site.asked().await;
        drop(running);
        assert_eq!(asked.read(&mut [0]).await.unwrap_or(0), 0);
        told.connecting().await;
        told.end().await;
    });
}

#[test]
fn dropped_while_it_is_open_it_says_goodbye() {
    within(async {
        let site = Site::new().await;
        let mut conn = site.client().reconnect(policy());
        let (first, far) = join!(conn.send("hello".into()), site.accept());
        first.unwrap();
        drop(conn);
        assert_eq!(far.answer_close().await, Some(1001));
    });
}
