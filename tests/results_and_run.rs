//! `results()` and `run()`.

mod hooked;

use std::future::ready;

use futures::{
    FutureExt, SinkExt, StreamExt, TryStreamExt,
    executor::block_on,
    stream::{FusedStream, Stream},
};
use futures_test::{assert_stream_done, assert_stream_next, assert_stream_pending};
use wsweave::{CloseCode, Connection, ConnectionExt, ErrorKind, Initiator};

use crate::hooked::{Log, send, text};

#[test]
fn results_are_messages_and_a_clean_end_is_the_end() {
    let (us, mut peer) = Connection::pair();
    let mut us = us.results();
    assert_stream_pending!(us);
    send(&mut peer, "1");
    assert_eq!(us.next().now_or_never().flatten().unwrap().unwrap(), "1".into());
    assert_eq!(us.size_hint(), (0, None));
    let (none, closed) = block_on(async { futures::join!(us.next(), peer.close()) });
    assert!(none.is_none() && closed.is_ok());
    assert!(us.is_terminated());
    assert_eq!(us.size_hint(), (0, Some(0)));
    assert_eq!(us.get_ref().finish().unwrap().code, CloseCode::NORMAL);
}

#[test]
fn an_unclean_end_is_a_last_err() {
    let (us, mut peer) = Connection::pair();
    send(&mut peer, "1");
    peer.abort();
    drop(peer);
    let items: Vec<_> = block_on(us.results().collect());
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].as_ref().unwrap(), &"1".into());
    assert_eq!(items[1].as_ref().unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn after_the_err_it_stays_ended() {
    let (us, mut peer) = Connection::pair();
    peer.abort();
    drop(peer);
    let mut us = us.results();
    block_on(us.next()).unwrap().unwrap_err();
    assert!(us.is_terminated());
    assert_stream_done!(us);
    assert_stream_done!(us);
}

#[test]
fn results_of_an_ended_connection_tell_of_an_unclean_end() {
    let (mut us, mut peer) = Connection::pair();
    peer.abort();
    drop(peer);
    assert_eq!(block_on(us.next()), None);
    let mut us = us.results();
    assert!(!us.is_terminated());
    us.next().now_or_never().flatten().unwrap().unwrap_err();
    assert_stream_done!(us);
}

#[test]
fn results_keep_the_sink_and_split() {
    let (us, mut peer) = Connection::pair();
    let (sink, stream) = us.on_next(|peer, _| peer.send("hook")).results().split();
    let echo = stream.try_filter(|message| ready(message.is_text())).forward(sink);
    let talk = async {
        peer.send(b"\0".into()).await.unwrap();
        peer.send("1".into()).await.unwrap();
        assert_eq!(peer.next().await, Some("hook".into()));
        assert_eq!(peer.next().await, Some("1".into()));
        peer.abort();
        drop(peer);
    };
    let (echoed, ()) = block_on(futures::future::join(echo, talk));
    assert_eq!(echoed.unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn results_give_the_connection_back() {
    let (us, mut peer) = Connection::pair();
    let mut results = us.results();
    results.get_mut().ping("").unwrap();
    send(&mut peer, "1");
    let mut us = results.into_inner();
    assert_stream_next!(us, "1".into());
}

#[test]
fn run_drives_to_the_end_and_gives_the_finish() {
    let (us, mut peer) = Connection::pair();
    let log = Log::default();
    let mut running = us.on_each(|_, message| log.add(text(message))).run();
    assert!((&mut running).now_or_never().is_none());
    send(&mut peer, "1");
    send(&mut peer, "2");
    assert!((&mut running).now_or_never().is_none());
    assert_eq!(log.take(), ["1", "2"]);

    let (finish, closed) = block_on(futures::future::join(running, peer.close_with(4000, "bye")));
    closed.unwrap();
    assert_eq!((finish.initiator, finish.code), (Initiator::Peer, CloseCode(4000)));
    assert_eq!(&*finish.reason, "bye");
    assert!(finish.clean);
}

#[test]
fn run_tells_an_unclean_end() {
    let (us, mut peer) = Connection::pair();
    peer.abort();
    drop(peer);
    let finish = block_on(us.run());
    assert_eq!((finish.initiator, finish.code), (Initiator::Network, CloseCode::ABNORMAL));
    assert_eq!(finish.error.unwrap().kind(), ErrorKind::Io);
}

#[test]
fn dropping_run_drops_the_connection() {
    let (us, peer) = Connection::pair();
    let log = Log::default();
    let mut running = us.on_finish(|finish| log.add(finish.code)).run();
    assert!((&mut running).now_or_never().is_none());
    drop(running);
    assert_eq!(log.take(), ["1001"]);
    assert_eq!(block_on(peer.run()).code, CloseCode::GOING_AWAY);
}
