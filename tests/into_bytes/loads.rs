//! Loads as programs have them that know nothing of messages.

use futures::{
    AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt,
    future::{join, try_join, try_join_all},
    io::{BufReader, copy, copy_buf, sink},
};
use wsweave::{Compression, Config, Connection, ConnectionExt};

use crate::support::{
    Pool, quiet,
    rt::{spawn, within},
    session::{listen, talk},
    tcp_pair,
};

/// Both sides talk at once, and listen; who has heard all that the other one says is done.
async fn converse(config: &Config) {
    // What is said follows from the seeds alone.
    let said = [talk(sink(), 1).await.unwrap(), talk(sink(), 2).await.unwrap()];
    let streams = tcp_pair(config).map(ConnectionExt::into_bytes);
    let mut tasks = Vec::new();
    for (seed, stream) in (1..).zip(streams) {
        let theirs = said[2 - seed];
        let (mut reader, mut writer) = stream.split();
        let talking = async move { talk(&mut writer, seed as u64).await.map(|sum| (sum, writer)) };
        let listening = async move {
            listen((&mut reader).take(theirs.0 as u64), 3).await.map(|sum| (sum, reader))
        };
        tasks.push((spawn(talking), spawn(listening)));
    }
    let mut streams = Vec::new();
    for ((talking, listening), (said, theirs)) in
        tasks.into_iter().zip([(said[0], said[1]), (said[1], said[0])])
    {
        let ((ours, writer), (heard, reader)) = try_join(talking, listening).await.unwrap();
        assert_eq!((ours, heard), (said, theirs));
        streams.push(reader.reunite(writer).unwrap());
    }
    let ends = streams.iter_mut().map(|stream| async {
        stream.close().await?;
        copy(stream, &mut sink()).await
    });
    assert_eq!(try_join_all(ends).await.unwrap(), [0, 0]);
}

#[test]
fn a_terminal_session_arrives_whole_both_ways() {
    within(converse(&Config::default()));
}

#[test]
fn so_does_one_in_small_frames_that_are_compressed() {
    let config = Config::default().compression(Compression::default());
    within(converse(&config.fragment_size(Some(100)).outbox_size(10_000)));
}

#[test]
fn copy_echoes_at_once_although_it_never_flushes() {
    let (client, server) = Connection::pair_with(quiet(), quiet());
    let mut pool = Pool::default();
    pool.spawn(async {
        let (mut reader, mut writer) = server.into_bytes().split();
        let copied = copy(&mut reader, &mut writer).await.unwrap();
        assert_eq!(copied, 300);
        writer.close().await.unwrap();
    });
    pool.spawn(ask(client));
    assert!(pool.run());
}

#[test]
fn copies_relay_at_once_although_they_never_flush() {
    for two_tasks in [false, true] {
        let mut pool = Pool::default();
        let (client, near) = Connection::pair_with(quiet(), quiet());
        let (far, server) = Connection::pair_with(quiet(), quiet());
        let (from_near, mut to_near) = near.into_bytes().split();
        let (from_far, mut to_far) = far.into_bytes().split();
        let there = async move {
            copy(from_near, &mut to_far).await.unwrap();
            to_far.close().await.unwrap();
        };
        let back = async move {
            copy_buf(BufReader::new(from_far), &mut to_near).await.unwrap();
            to_near.close().await.unwrap();
        };
        if two_tasks {
            pool.spawn(there);
            pool.spawn(back);
        } else {
            pool.spawn(async {
                join(there, back).await;
            });
        }
        pool.spawn(async {
            let (mut reader, mut writer) = server.into_bytes().split();
            copy(&mut reader, &mut writer).await.unwrap();
            writer.close().await.unwrap();
        });
        pool.spawn(ask(client));
        assert!(pool.run(), "two tasks: {two_tasks}");
    }
}

/// Sends a few bytes again and again, and waits for their echo each time.
async fn ask<S>(conn: Connection<S>)
where
    Connection<S>: ConnectionExt,
{
    let mut bytes = conn.into_bytes();
    for n in 0..100 {
        let mut echo = [0; 3];
        bytes.write_all(&[n; 3]).await.unwrap();
        bytes.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, [n; 3]);
    }
    bytes.close().await.unwrap();
    assert_eq!(copy_buf(bytes, &mut sink()).await.unwrap(), 0);
}

#[test]
fn lines_are_read_across_messages() {
    let (us, peer) = Connection::pair_with(quiet(), quiet());
    let (mut us, peer) = (us.into_bytes(), peer.into_bytes());
    let write = async {
        for part in ["a li", "ne\nand ", "another\n\nthe ", "last"] {
            us.write_all(part.as_bytes()).await.unwrap();
        }
        us.close().await.unwrap();
    };
    let read = BufReader::with_capacity(5, peer).lines().map(Result::unwrap).collect::<Vec<_>>();
    let (lines, ()) = within(join(read, write));
    assert_eq!(lines, ["a line", "and another", "", "the last"]);
}
