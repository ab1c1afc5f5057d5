//! Bytes in, messages out.

use std::{
    io::{ErrorKind, IoSlice},
    pin::Pin,
    task::Poll,
};

use futures::{
    AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt,
    future::{join, try_join},
};
use proptest::{collection::vec, prelude::*};
use wsweave::{Config, Connection, ConnectionExt, Role};

use crate::{
    error, rig,
    support::{BOTH, Frame, Op, Pool, Rig, Task, quiet, rt::within},
};

const MAX_MESSAGE: usize = 64 << 10;

#[test]
fn writes_become_messages_that_leave_together_when_flushed() {
    for role in BOTH {
        let mut rig = rig(role);
        for word in ["one", "two", "three"] {
            assert_eq!(rig.write(word.as_bytes()).map(Result::unwrap), Poll::Ready(word.len()));
        }
        assert_eq!(rig.sent(), []);
        assert!(matches!(rig.flush(), Poll::Ready(Ok(()))));
        assert_eq!(rig.sent(), ["one", "two", "three"].map(Frame::binary));
        assert_eq!(rig.wire.writes(), 1);
        assert_eq!(rig.wire.state().ops.last(), Some(&Op::Flush));
    }
}

#[test]
fn a_read_that_has_to_wait_writes_what_waits() {
    for role in BOTH {
        let mut rig = rig(role);
        assert!(rig.write(b"a question").is_ready());
        assert!(rig.write(b"and another").is_ready());
        assert!(rig.read(1).is_pending());
        assert_eq!(rig.sent(), ["a question", "and another"].map(Frame::binary));
        assert_eq!(rig.wire.writes(), 1);
    }
}

#[test]
fn a_read_that_waits_already_writes_what_another_task_leaves() {
    for role in BOTH {
        let mut rig = rig(role);
        let writer = Task::new();
        assert!(rig.read(1).is_pending());
        let wakes = rig.task.wakes();
        for n in 0..10 {
            let written = Pin::new(&mut rig.conn).poll_write(&mut writer.cx(), &[n]);
            assert!(matches!(written, Poll::Ready(Ok(1))));
        }
        assert_eq!(rig.task.wakes(), wakes + 1, "once is enough");
        assert!(rig.read(1).is_pending());
        assert_eq!(rig.sent(), (0..10).map(|n| Frame::binary([n])).collect::<Vec<_>>());
        assert_eq!(rig.wire.writes(), 1);
    }
}

#[test]
fn a_long_write_is_done_in_part() {
    for role in BOTH {
        let mut rig = rig(role);
        let data: Vec<u8> = (0..=255).cycle().take(MAX_MESSAGE + 1).collect();
        let (most, last) = data.split_at(MAX_MESSAGE);
        assert_eq!(rig.write(&data).map(Result::unwrap), Poll::Ready(MAX_MESSAGE));
        assert_eq!(rig.write(last).map(Result::unwrap), Poll::Ready(1));
        assert!(rig.flush().is_ready());
        assert_eq!(rig.sent(), [most, last].map(Frame::binary));
    }
}

#[test]
fn a_vectored_write_is_one_message() {
    for role in BOTH {
        let mut rig = rig(role);
        let slices = [&b"a"[..], b"", b"few", b"slices"].map(IoSlice::new);
        let written = rig.conn.write_vectored(&slices).now_or_never();
        assert_eq!(written.unwrap().unwrap(), 10);

        let large = vec![1; MAX_MESSAGE - 3];
        let slices = [&large[..], b"12345", b"6"].map(IoSlice::new);
        let written = rig.conn.write_vectored(&slices).now_or_never();
        assert_eq!(written.unwrap().unwrap(), MAX_MESSAGE);

        assert!(rig.flush().is_ready());
        let whole = [&large[..], b"123"].concat();
        assert_eq!(rig.sent(), [Frame::binary("afewslices"), Frame::binary(whole)]);
    }
}

#[test]
fn nothing_to_write_is_no_message() {
    for role in BOTH {
        let mut rig = rig(role);
        assert_eq!(rig.write(b"").map(Result::unwrap), Poll::Ready(0));
        let slices = [IoSlice::new(b""), IoSlice::new(b"")];
        assert_eq!(rig.conn.write_vectored(&slices).now_or_never().unwrap().unwrap(), 0);
        assert!(rig.flush().is_ready());
        assert_eq!(rig.sent(), []);
    }
}

#[test]
fn writing_waits_for_room_and_is_woken() {
    for role in BOTH {
        let config = Config::default().outbox_size(100_000).no_timer();
        let mut rig = Rig::with(role, config.clone()).weave(ConnectionExt::into_bytes);
        rig.wire.block_writes();
        let mut written = 0;
        while let Poll::Ready(len) = rig.write(&[7; 10_000]) {
            written += len.unwrap();
            assert!(written < 1 << 20, "it takes bytes without end");
        }
        assert!((50_000..=110_000).contains(&written), "{written}");
        assert!(rig.flush().is_pending());
        assert!(rig.write(b"x").is_pending(), "and stays so");

        let wakes = rig.task.wakes();
        rig.wire.unblock_writes();
        assert!(rig.task.wakes() > wakes);
        assert!(matches!(rig.write(b"x"), Poll::Ready(Ok(1))));
        assert!(matches!(rig.flush(), Poll::Ready(Ok(()))));
        let sent: usize = rig.sent().iter().map(|frame| frame.payload.len()).sum();
        assert_eq!(sent, written + 1);
    }
}

#[test]
fn a_dropped_write_has_written_nothing() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.wire.block_writes();
        let mut written = 0;
        while let Some(len) = rig.conn.write(&[7; 10_000]).now_or_never() {
            written += len.unwrap();
        }
        for _ in 0..10 {
            assert!(rig.conn.write(&[9; 10_000]).now_or_never().is_none());
        }
        rig.wire.unblock_writes();
        assert!(rig.flush().is_ready());
        let sent: Vec<_> = rig.sent().into_iter().flat_map(|frame| frame.payload).collect();
        assert!(sent.iter().all(|&byte| byte == 7));
        assert_eq!(sent.len(), written);
    }
}

#[test]
fn behind_the_peers_close_the_pipe_is_broken() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.receive([Frame::close(1000, "")]);
        assert_eq!(rig.read_on(), b"");
        for _ in 0..2 {
            let (kind, error) = error(rig.write(b"too late"));
            assert_eq!((kind, error.kind()), (ErrorKind::BrokenPipe, wsweave::ErrorKind::Closed));
        }
        assert!(matches!(rig.flush(), Poll::Ready(Ok(()))));
        assert!(matches!(rig.end(), Poll::Ready(Ok(()))));
    }
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer() {
    let (us, peer) = Connection::pair_with(quiet(), quiet());
    let (mut us, mut peer) = (us.into_bytes(), peer.into_bytes());
    let task = Task::new();
    let mut written = 0;
    // The peer takes some, and then no more.
    assert!(peer.read(&mut [0; 1]).now_or_never().is_none());
    loop {
        let write = task.until_stalled(|cx| Pin::new(&mut us).poll_write(cx, &[7; 10_000]));
        match write {
            Poll::Ready(len) => written += len.unwrap(),
            Poll::Pending => break,
        }
        assert!(written < 4 << 20, "nothing stops it");
    }
    let wakes = task.wakes();
    let mut read = 0;
    let mut buffer = [0; 1_000];
    while let Some(len) = peer.read(&mut buffer).now_or_never() {
        read += len.unwrap();
    }
    assert!(task.wakes() > wakes, "it goes on when there is room");
    within(async {
        let rest = async {
            let mut left = vec![0; written - read];
            peer.read_exact(&mut left).await
        };
        try_join(us.flush(), rest).await.unwrap();
    });
}

#[test]
fn peers_that_both_write_much_get_on_while_both_are_read() {
    const MUCH: usize = 8 << 20;
    let (us, peer) = Connection::pair_with(quiet(), quiet());
    let mut pool = Pool::default();
    for stream in [us, peer] {
        let (mut reader, mut writer) = stream.into_bytes().split();
        pool.spawn(async move {
            writer.write_all(&vec![7; MUCH]).await.unwrap();
            writer.flush().await.unwrap();
        });
        pool.spawn(async move {
            let read = reader.read_exact(&mut vec![0; MUCH]).await;
            read.unwrap();
        });
    }
    assert!(pool.run());
}

/// What is written, and whether it is flushed then.
fn writes() -> impl Strategy<Value = Vec<(usize, bool)>> {
    let size = prop_oneof![0..4usize, 0..300usize, 0..5_000usize, 60_000..200_000usize];
    vec((size, any::<bool>()), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_arrive_as_they_were_written(
        writes in writes(),
        reads in vec(prop_oneof![1..4usize, 1..300usize, 1..100_000usize], 1..8),
        role in prop_oneof![Just(Role::Client), Just(Role::Server)],
    ) {
        let (client, server) = Connection::pair_with(quiet(), quiet());
        let (writer, reader) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        let (mut writer, mut reader) = (writer.into_bytes(), reader.into_bytes());
        let mut bytes = (0..251).cycle();
        let chunks: Vec<_> = writes
            .into_iter()
            .map(|(len, flush)| (bytes.by_ref().take(len).collect::<Vec<u8>>(), flush))
            .collect();
        let write = async {
            for (chunk, flush) in &chunks {
                writer.write_all(chunk).await.unwrap();
                if *flush {
                    writer.flush().await.unwrap();
                }
            }
            writer.close().await.unwrap();
        };
        let mut got = Vec::new();
        let read = async {
            for len in reads.iter().cycle() {
                let mut buffer = vec![0; *len];
                match reader.read(&mut buffer).await.unwrap() {
                    0 => break,
                    len => got.extend_from_slice(&buffer[..len]),
                }
            }
        };
        within(join(write, read));
        let all: Vec<u8> = chunks.into_iter().flat_map(|(chunk, _)| chunk).collect();
        prop_assert!(got == all, "{} bytes of {}", got.len(), all.len());
    }
}
