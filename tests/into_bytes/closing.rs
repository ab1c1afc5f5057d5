//! `close`: the end of what we write, and not of what we read.

use std::{io::ErrorKind, task::Poll};

use futures::{
    AsyncReadExt, AsyncWriteExt, SinkExt,
    future::{join, join3},
    io,
};
use wsweave::{Connection, ConnectionExt, Initiator};

use crate::{
    error, is_end, rig,
    support::{BOTH, Frame, Op, quiet, rt::within},
};

fn large(n: u8) -> Frame {
    Frame::binary(vec![n; 40_000])
}

#[test]
fn close_is_done_when_the_transport_has_all() {
    for role in BOTH {
        let mut rig = rig(role);
        assert!(rig.write(b"last").is_ready());
        rig.wire.block_writes();
        assert!(rig.end().is_pending());
        assert!(rig.end().is_pending());
        rig.wire.stick(Op::Flush);
        rig.wire.unblock_writes();
        assert!(rig.end().is_pending(), "not before it is flushed");
        rig.wire.unstick();
        assert!(matches!(rig.end(), Poll::Ready(Ok(()))));
        assert_eq!(rig.sent(), [Frame::binary("last"), Frame::close(1000, "")]);

        assert!(matches!(rig.end(), Poll::Ready(Ok(()))), "once more is not twice");
        assert!(matches!(rig.flush(), Poll::Ready(Ok(()))));
        let (kind, error) = error(rig.write(b"x"));
        assert_eq!((kind, error.kind()), (ErrorKind::BrokenPipe, wsweave::ErrorKind::Closed));
        assert_eq!(rig.sent(), []);
    }
}

#[test]
fn close_waits_for_nobody_but_the_transport() {
    for role in BOTH {
        let mut rig = rig(role);
        assert!(matches!(rig.end(), Poll::Ready(Ok(()))));
        assert_eq!(rig.sent(), [Frame::close(1000, "")]);
        assert!(rig.conn.get_ref().finish().is_none());
    }
}

#[test]
fn reading_goes_on_behind_close() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.receive([Frame::binary("before")]);
        assert!(rig.end().is_ready());
        assert_eq!(rig.read_on(), b"before");
        assert!(rig.read(1).is_pending());
        rig.receive([Frame::binary("behind"), Frame::ping("?"), Frame::binary("!")]);
        assert_eq!(rig.read_on(), b"behind!");
        rig.receive([Frame::close(1000, "")]);
        assert!(is_end(&rig.read(1)));
        rig.wire.end();
        assert!(is_end(&rig.read(1)));
        assert_eq!(rig.sent(), [Frame::close(1000, "")], "nothing behind the Close");
        let finish = rig.conn.get_ref().finish().unwrap();
        assert!(finish.clean && finish.initiator == Initiator::Us);
    }
}

#[test]
fn nothing_that_arrives_is_dropped_for_a_reader_who_takes_their_time() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.wire.block_writes();
        assert!(rig.end().is_pending());
        for n in 0..20 {
            rig.receive([large(n)]);
            assert!(rig.end().is_pending());
        }
        assert!(rig.wire.unread() > 400_000, "it waits where backpressure works");
        rig.receive([Frame::close(1000, "")]);
        rig.wire.unblock_writes();
        assert!(matches!(rig.end(), Poll::Ready(Ok(()))));
        let expected: Vec<_> = (0..20).flat_map(|n| large(n).payload).collect();
        assert!(rig.read_on() == expected);
        assert!(is_end(&rig.read(1)));
    }
}

#[test]
fn close_takes_no_longer_than_the_timeout() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.receive([Frame::binary("has arrived")]);
        rig.wire.block_writes();
        assert!(rig.end().is_pending());
        rig.clock.advance_secs(9);
        assert!(rig.end().is_pending());
        rig.clock.advance_secs(1);
        for _ in 0..2 {
            assert_eq!(error(rig.end()).0, ErrorKind::TimedOut);
        }
        assert_eq!(rig.read_on(), b"has arrived");
        assert_eq!(error(rig.read(1)).0, ErrorKind::TimedOut);
    }
}

#[test]
fn a_peer_that_does_not_answer_is_waited_for_no_longer_than_the_timeout() {
    for role in BOTH {
        let mut rig = rig(role);
        assert!(rig.end().is_ready());
        assert!(rig.read(1).is_pending());
        rig.clock.advance_secs(9);
        rig.receive([Frame::binary("slow")]);
        assert_eq!(rig.read_on(), b"slow");
        let wakes = rig.task.wakes();
        rig.clock.advance_secs(1);
        assert!(rig.task.wakes() > wakes);
        assert_eq!(error(rig.read(1)).0, ErrorKind::TimedOut);
    }
}

#[test]
fn what_the_peer_had_written_arrives_behind_our_close() {
    for (ours, swapped) in [(0, false), (0, true), (1 << 20, false), (1 << 20, true)] {
        let (us, peer) = Connection::pair_with(quiet(), quiet());
        let (us, peer) = if swapped { (peer, us) } else { (us, peer) };
        let (mut reader, mut writer) = us.into_bytes().split();
        let mut peer = peer.into_bytes();
        let close = async {
            writer.write_all(&vec![1; ours]).await.unwrap();
            writer.close().await.unwrap();
        };
        let mut got = 0;
        let read = async { got = io::copy(&mut reader, &mut io::sink()).await.unwrap() };
        let (mut accepted, mut heard) = (0, 0);
        let insist = async {
            let error = loop {
                match peer.write(&[2; 10_000]).await {
                    Ok(len) => accepted += len as u64,
                    Err(error) => break error,
                }
                if accepted > 2 << 20 {
                    // Reads at last, and finds a Close behind the bytes.
                    heard += io::copy(&mut peer, &mut io::sink()).await.unwrap();
                }
            };
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            // What was taken for writing leaves while this reads to the end.
            heard += io::copy(&mut peer, &mut io::sink()).await.unwrap();
        };
        within(join3(close, read, insist));
        assert_eq!(heard, ours as u64);
        assert_eq!(got, accepted, "all that a write said it took");
    }
}

#[test]
fn the_closing_handshake_ends_through_the_connection() {
    let (us, peer) = Connection::pair_with(quiet(), quiet());
    let (mut us, mut peer) = (us.into_bytes(), peer.into_bytes());
    within(async {
        us.close().await.unwrap();
        assert_eq!(io::copy(&mut peer, &mut io::sink()).await.unwrap(), 0);
        let (ours, theirs) = join(us.get_mut().close(), peer.get_mut().close()).await;
        ours.unwrap();
        theirs.unwrap();
    });
    assert!(us.get_ref().finish().unwrap().clean);
    assert!(peer.get_ref().finish().unwrap().clean);
}

#[test]
fn a_reader_finds_the_end_although_the_other_side_is_held_and_not_polled() {
    for swapped in [false, true] {
        let (us, peer) = Connection::pair_with(quiet(), quiet());
        let (us, peer) = if swapped { (peer, us) } else { (us, peer) };
        let (mut us, mut peer) = (us.into_bytes(), peer.into_bytes());
        within(async {
            us.write_all(b"all of it").await.unwrap();
            us.close().await.unwrap();
            let mut read = Vec::new();
            peer.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, b"all of it");
        });
    }
}
