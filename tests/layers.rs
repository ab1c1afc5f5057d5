//! What every connection can do, under any number of hooks.

mod hooked;

use futures::{FutureExt, Stream, StreamExt, executor::block_on, io::Cursor, stream::FusedStream};
use futures_test::assert_stream_next;
use wsweave::{Accept, Acceptor, CloseCode, Connection, ConnectionExt, ErrorKind, Initiator, Pipe};

use crate::hooked::{drive, send};

#[test]
fn the_connection_works_through_any_number_of_layers() {
    let (us, mut peer) = Connection::pair();
    let (us, _callbacks) = us
        .on_each(|_, _| ())
        .on_each_text(|_| ())
        .on_each_async(|_, _| async {})
        .on_next(|_, _| ())
        .on_next_text(|_| ())
        .on_ping(|_, _| ())
        .on_pong(|_, _| ())
        .on_error(|_| ())
        .on_finish(|_| ())
        .callbacks();
    let mut us = us.on_each(|_, _| ());

    send(&mut us, "sink");
    assert_stream_next!(peer, "sink".into());
    send(&mut peer, "stream");
    assert_stream_next!(us, "stream".into());
    us.ping("ping").unwrap();
    assert_eq!(us.ping(vec![0; 126]).unwrap_err().kind(), ErrorKind::InvalidInput);
    us.handle().try_send("handle").unwrap();
    drive(&mut us);
    assert_stream_next!(peer, "handle".into());
    let _: &Pipe = us.get_ref();
    assert!(us.finish().is_none() && !us.is_terminated());
    assert_eq!(us.size_hint(), (0, None));

    let refused = us.close_with(CloseCode::ABNORMAL, "").now_or_never().unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let (closed, theirs) =
        block_on(async { futures::join!(us.close_with(4000, "bye"), peer.run()) });
    closed.unwrap();
    assert_eq!(theirs.to_string(), "closed by the peer with code 4000 (\"bye\")");
    assert_eq!(us.next().now_or_never(), Some(None));
    assert!(us.is_terminated());
    assert_eq!(us.finish().unwrap().code, CloseCode(4000));
    let _: Pipe = us.into_inner();
}

#[test]
fn what_the_handshake_said_is_known_above_all_layers() {
    let request = b"GET /room HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
    let acceptor = Acceptor::new()
        .on_request(|request| Ok(Accept::new().choose_subprotocol(request, ["chat"])));
    let conn = block_on(acceptor.accept(Cursor::new(request.to_vec()))).unwrap();
    let (conn, _callbacks) = conn.on_each(|_, _| ()).on_finish(|_| ()).callbacks();
    let mut conn = conn.on_each_async(|_, _| async {});

    assert_eq!(conn.subprotocol(), Some("chat"));
    assert_eq!(conn.request().unwrap().uri().path(), "/room");
    assert!(conn.response().is_none());
    assert_eq!(conn.latency(), None);
    conn.forget_head();
    assert!(conn.request().is_none());
    assert_eq!(conn.subprotocol(), Some("chat"));
}

#[test]
fn dropping_close_with_half_way_loses_nothing() {
    let (us, mut peer) = Connection::pair();
    let mut us = us.on_each(|_, _| ());
    drop(us.close_with(4000, "never polled"));
    send(&mut us, "still open");
    assert_stream_next!(peer, "still open".into());

    assert!(us.close_with(4001, "on its way").now_or_never().is_none());
    let (closed, theirs) = block_on(async { futures::join!(us.close_with(4002, ""), peer.run()) });
    closed.unwrap();
    assert_eq!((theirs.code, &*theirs.reason), (CloseCode(4001), "on its way"));
}

#[test]
fn aborting_through_layers_ends_without_a_word() {
    let (us, peer) = Connection::pair();
    let mut us = us.on_each(|_, _| ());
    us.abort();
    assert!(!block_on(us.run()).clean);
    let theirs = block_on(peer.run());
    assert_eq!((theirs.initiator, theirs.code), (Initiator::Network, CloseCode::ABNORMAL));
}

#[test]
fn debug_shows_the_layers_and_needs_nothing_of_the_hooks() {
    let (us, _peer) = Connection::pair();
    let us = us.on_each(|_, _| ()).on_finish(|_| ());
    let shown = format!("{us:?}");
    assert!(shown.starts_with("OnFinish { inner: OnEach { inner: Connection"), "{shown}");
}
