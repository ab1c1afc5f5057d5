//! How the bytes end, for who reads them and for who writes.

use std::{cell::RefCell, future::poll_fn, io::ErrorKind, pin::Pin, rc::Rc, task::Poll};

use futures::{AsyncReadExt, SinkExt, channel::oneshot, future::join};
use wsweave::{CloseCode, Config, Connection, ConnectionExt, Duplex, Role};

use crate::{
    error, is_end, rig,
    support::{BOTH, Frame, Rig, quiet, rt::within},
};

#[test]
fn the_end_is_the_peers_close_whenever_tcp_ends() {
    for role in BOTH {
        for close in [Frame::close(1000, "done"), Frame::close(1001, ""), Frame::empty_close()] {
            let mut rig = rig(role);
            rig.receive([Frame::binary("last words"), close.clone()]);
            assert_eq!(rig.read_on(), b"last words");
            for _ in 0..3 {
                assert!(is_end(&rig.read(1)), "before the end of TCP, and the end stays the end");
                assert!(is_end(&rig.fill()));
            }
            assert_eq!(rig.sent().last().unwrap().close_code(), close.close_code());
            rig.wire.end();
            assert!(is_end(&rig.read(1)), "and behind it");
            assert!(rig.conn.get_ref().finish().unwrap().clean);
        }
    }
}

#[test]
fn the_end_is_not_before_what_a_hook_holds() {
    let (release, held) = oneshot::channel::<()>();
    let held = RefCell::new(Some(held));
    let mut rig = Rig::with(Role::Client, quiet()).weave(|conn| {
        conn.on_each_async(|_, _| {
            let held = held.borrow_mut().take();
            async move { held.unwrap().await.unwrap() }
        })
        .into_bytes()
    });
    rig.receive([Frame::binary("late"), Frame::close(1000, "")]);
    assert!(rig.read(10).is_pending());
    // While the hook runs, one message of another one's is read ahead, and the Close behind that.
    assert!(rig.read(10).is_pending());
    release.send(()).unwrap();
    assert_eq!(rig.read(10).map(Result::unwrap), Poll::Ready(b"late".into()));
    assert!(is_end(&rig.read(10)));
}

#[test]
fn another_code_is_an_error_behind_the_bytes() {
    for role in BOTH {
        for code in [1002, 1003, 1008, 1009, 1011, 3000, 4999] {
            let mut rig = rig(role);
            rig.receive([Frame::binary("half of it"), Frame::close(code, "out of order")]);
            assert_eq!(rig.read_on(), b"half of it");
            for end_of_tcp in [false, true] {
                let (kind, error) = error(rig.read(1));
                assert_eq!(kind, ErrorKind::ConnectionAborted);
                assert_eq!(error.kind(), wsweave::ErrorKind::Closed);
                let line = format!("closed by the peer with code {code} (\"out of order\")");
                assert_eq!(error.to_string(), line);
                if !end_of_tcp {
                    rig.wire.end();
                }
            }
        }
    }
}

#[test]
fn an_answer_to_a_code_of_ours_is_the_end() {
    for role in BOTH {
        for (answer, clean) in [(4000, true), (1000, true), (4001, false)] {
            let mut rig = rig(role);
            Pin::new(rig.conn.get_mut()).peer().close_with(4000, "enough");
            rig.receive([Frame::binary("to be read"), Frame::close(answer, "theirs")]);
            assert_eq!(rig.read_on(), b"to be read");
            if clean {
                assert!(is_end(&rig.read(1)));
            } else {
                let (kind, error) = error(rig.read(1));
                assert_eq!(kind, ErrorKind::ConnectionAborted);
                assert!(error.to_string().contains("by the peer with code 4001"), "{error}");
            }
        }
    }
}

#[test]
fn no_close_is_an_unexpected_end() {
    for role in BOTH {
        for cut in 0..3 {
            let mut rig = rig(role);
            let bytes = rig.encode([Frame::binary("whole"), Frame::binary("cut")]);
            rig.wire.give(&bytes[..bytes.len() - cut]);
            rig.wire.end();
            assert_eq!(rig.read_on(), if cut == 0 { &b"wholecut"[..] } else { b"whole" });
            for _ in 0..3 {
                let (kind, error) = error(rig.read(1));
                assert_eq!(kind, ErrorKind::UnexpectedEof);
                assert!(error.to_string().contains("the peer ended the connection"), "{error}");
                assert_eq!(crate::error(rig.fill()).0, ErrorKind::UnexpectedEof);
            }
            assert_eq!(crate::error(rig.write(b"x")).0, ErrorKind::BrokenPipe);
        }
    }
}

#[test]
fn what_the_transport_says_is_kept() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.receive([Frame::binary("x")]);
        rig.wire.reset();
        assert_eq!(rig.read_on(), b"x");
        for _ in 0..2 {
            let (kind, error) = error(rig.read(1));
            assert_eq!(kind, ErrorKind::ConnectionReset);
            assert_eq!(error.kind(), wsweave::ErrorKind::Io);
        }
        assert_eq!(crate::error(rig.write(b"x")).0, ErrorKind::ConnectionReset);
        assert_eq!(crate::error(rig.flush()).0, ErrorKind::ConnectionReset);
        assert_eq!(crate::error(rig.end()).0, ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_broken_protocol_is_invalid_data() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.receive([Frame::binary("x"), Frame::new(11, "")]);
        assert_eq!(rig.read_on(), b"x");
        let (kind, error) = error(rig.read(1));
        assert_eq!((kind, error.kind()), (ErrorKind::InvalidData, wsweave::ErrorKind::Protocol));
    }
}

#[test]
fn silence_times_out() {
    for role in BOTH {
        let mut rig = Rig::with(role, Config::default()).weave(ConnectionExt::into_bytes);
        for _ in 0..2 {
            assert!(rig.read(1).is_pending());
            rig.clock.advance_secs(20);
        }
        assert_eq!(error(rig.read(1)).0, ErrorKind::TimedOut);
    }
}

#[test]
fn the_peers_end_is_whole_although_ours_could_not_be_written() {
    for role in BOTH {
        let mut rig = rig(role);
        assert!(matches!(rig.write(b"never arrives"), Poll::Ready(Ok(13))));
        rig.wire.break_writes();
        assert_eq!(error(rig.flush()).0, ErrorKind::BrokenPipe);
        rig.receive([Frame::binary("all of it"), Frame::close(1000, "")]);
        assert_eq!(rig.read_on(), b"all of it");
        assert!(is_end(&rig.read(1)));
        assert_eq!(error(rig.flush()).0, ErrorKind::BrokenPipe);
    }
}

#[test]
fn an_abort_is_no_clean_end() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.conn.get_mut().abort();
        assert_eq!(error(rig.read(1)).0, ErrorKind::UnexpectedEof);
        assert_eq!(error(rig.write(b"x")).0, ErrorKind::BrokenPipe);
    }
}

#[test]
fn hooks_see_the_messages_and_the_end() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let (messages, finishes) = (Rc::clone(&log), Rc::clone(&log));
    let (us, mut peer) = Connection::pair_with(quiet(), quiet());
    let mut us = us
        .on_each(move |peer, message| {
            messages.borrow_mut().push(format!("{message:?}"));
            peer.send("a text of a hook");
        })
        .on_finish(move |finish| finishes.borrow_mut().push(finish.to_string()))
        .into_bytes();
    let talk = async {
        peer.send(b"hello".into()).await.unwrap();
        peer.close_with(CloseCode::GOING_AWAY, "").await.unwrap();
    };
    let mut read = Vec::new();
    let listen = async {
        us.read_to_end(&mut read).await.unwrap();
        // The end of TCP is a matter of its own.
        us.get_mut().close().await.unwrap();
        poll_fn(|cx| Pin::new(us.get_mut()).poll_event(cx)).await
    };
    let (ended, ()) = within(join(listen, talk));
    assert!(ended.is_none());
    assert_eq!(read, b"hello");
    assert_eq!(*log.borrow(), ["Binary(b\"hello\")", "closed by the peer with code 1001"]);
    assert!(us.get_ref().finish().unwrap().clean);
}
