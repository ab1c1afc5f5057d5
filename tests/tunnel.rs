//! The example `tunnel`: TCP through WebSocket, both ends of it.

#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;
#[path = "../examples/tunnel.rs"]
#[allow(dead_code, reason = "its `main` is the example's")]
mod tunnel;

use std::{
    cell::{Cell, RefCell},
    io::ErrorKind,
    net::SocketAddr,
    pin::pin,
    time::Duration,
};

use futures::{
    AsyncReadExt, AsyncWriteExt, StreamExt,
    channel::oneshot,
    future::{Either, Future, join, join_all, join3, select, try_join},
    io::{copy, sink},
};
use smol::net::{TcpListener, TcpStream};
use wsweave::{Client, Server};

use crate::support::{
    rt::{sleep, within},
    session::{listen, talk},
};

/// Both ends of a tunnel, and the address of the near one.
struct Tunnel {
    near: TcpListener,
    client: Client,
    far: Server,
    addr: SocketAddr,
}

impl Tunnel {
    async fn new() -> Self {
        let near = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = wsweave::listen("127.0.0.1:0").await.unwrap().config(tunnel::config());
        let client = Client::new(&format!("ws://{}/", far.local_addr())).unwrap();
        let addr = near.local_addr().unwrap();
        Self { near, client: client.config(tunnel::config()), far, addr }
    }
}

/// Runs `work` beside what it needs.
async fn beside<T>(needed: impl Future, work: impl Future<Output = T>) -> T {
    match select(pin!(work), pin!(needed)).await {
        Either::Left((output, _)) => output,
        Either::Right(_) => panic!("the tunnel ended before its user"),
    }
}

/// Runs `work` beside a tunnel to a target where `play` serves each connection.
async fn through<T>(play: impl AsyncFn(TcpStream), work: impl AsyncFnOnce(SocketAddr) -> T) -> T {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let Tunnel { near, client, far, addr } = Tunnel::new().await;
    let needed = join3(
        tunnel::listen(near, client),
        tunnel::serve(far, target.local_addr().unwrap().to_string()),
        target.incoming().for_each_concurrent(None, |tcp| play(tcp.unwrap())),
    );
    beside(needed, work(addr)).await
}

async fn echo(tcp: TcpStream) {
    let mut writer = tcp.clone();
    copy(tcp, &mut writer).await.unwrap();
    writer.close().await.unwrap();
}

/// Has the end of `tcp` be a reset.
fn reset(tcp: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&tcp, Some(Duration::ZERO)).unwrap();
    drop(tcp);
}

#[test]
fn every_connection_has_a_way_of_its_own() {
    within(through(echo, async |addr| {
        let visit = async |n: u8| {
            let mut tcp = TcpStream::connect(addr).await.unwrap();
            for len in [1, 100, 100_000] {
                let (said, mut heard) = (vec![n; len], vec![0; len]);
                let mut reader = tcp.clone();
                try_join(tcp.write_all(&said), reader.read_exact(&mut heard)).await.unwrap();
                assert!(heard == said);
            }
        };
        join_all((0..20).map(visit)).await;
    }));
}

#[test]
fn a_terminal_session_arrives_whole_both_ways() {
    within(async {
        // What each side will say: so the other one knows when that is all.
        let (theirs, ours) = (talk(sink(), 1).await.unwrap(), talk(sink(), 2).await.unwrap());
        let play = async |mut tcp: TcpStream| {
            let heard = listen(tcp.clone().take(ours.0 as u64), 3);
            let sums = try_join(talk(tcp.clone(), 1), heard).await.unwrap();
            assert_eq!(sums, (theirs, ours));
            assert_eq!(tcp.read(&mut [0]).await.unwrap(), 0);
        };
        through(play, async |addr| {
            let mut tcp = TcpStream::connect(addr).await.unwrap();
            let heard = listen(tcp.clone().take(theirs.0 as u64), 4);
            let sums = try_join(talk(tcp.clone(), 2), heard).await.unwrap();
            assert_eq!(sums, (ours, theirs));
            tcp.close().await.unwrap();
            assert_eq!(tcp.read(&mut [0]).await.unwrap(), 0, "the target ended, too");
        })
        .await;
    });
}

#[cfg(feature = "tls")]
#[test]
fn a_session_of_tls_goes_through() {
    let (connector, acceptor) = support::session::tls::both_ends();
    let play = async |tcp: TcpStream| {
        let mut tls = acceptor.accept(tcp).await.unwrap();
        let (mut reader, mut writer) = (&mut tls).split();
        copy(&mut reader, &mut writer).await.unwrap();
    };
    within(through(play, async |addr| {
        let tcp = TcpStream::connect(addr).await.unwrap();
        let mut tls = connector.connect("inside".try_into().unwrap(), tcp).await.unwrap();
        let said: Vec<u8> = (0..251).cycle().take(1 << 20).collect();
        let mut heard = vec![0; said.len()];
        let (mut reader, mut writer) = (&mut tls).split();
        let say = async {
            writer.write_all(&said).await?;
            writer.flush().await
        };
        try_join(say, reader.read_exact(&mut heard)).await.unwrap();
        assert!(heard == said);
        reader.reunite(writer).unwrap().close().await.unwrap();
    }));
}

#[test]
fn all_that_a_side_sent_arrives_before_its_end() {
    const MUCH: usize = 3 << 20;
    let (report, reported) = oneshot::channel();
    let report = RefCell::new(Some(report));
    within(async {
        // From the target.
        let play = async |mut tcp: TcpStream| tcp.write_all(&vec![7; MUCH]).await.unwrap();
        through(play, async |addr| {
            let mut tcp = TcpStream::connect(addr).await.unwrap();
            let mut heard = Vec::new();
            tcp.read_to_end(&mut heard).await.unwrap();
            assert!(heard == vec![7; MUCH]);
        })
        .await;
        // And to it.
        let play = async |mut tcp: TcpStream| {
            let mut heard = Vec::new();
            tcp.read_to_end(&mut heard).await.unwrap();
            report.take().unwrap().send(heard).unwrap();
        };
        through(play, async |addr| {
            let mut tcp = TcpStream::connect(addr).await.unwrap();
            tcp.write_all(&vec![9; MUCH]).await.unwrap();
            tcp.close().await.unwrap();
            assert!(reported.await.unwrap() == vec![9; MUCH]);
        })
        .await;
    });
}

#[test]
fn a_client_that_does_not_read_is_heard() {
    let written = Cell::new(0);
    let (heard, hearing) = oneshot::channel();
    let heard = RefCell::new(Some(heard));
    let play = async |mut tcp: TcpStream| {
        let mut writer = tcp.clone();
        let flood = async {
            while let Ok(len) = writer.write(&[7; 10_000]).await {
                written.set(written.get() + len);
            }
        };
        let listen = async {
            tcp.read_exact(&mut [0]).await.unwrap();
            heard.take().unwrap().send(()).unwrap();
        };
        join(flood, listen).await;
    };
    within(through(play, async |addr| {
        let mut tcp = TcpStream::connect(addr).await.unwrap();
        // Until, as far as one can see, every buffer on the way is full.
        let mut before = 0;
        while written.get() == 0 || written.get() != before {
            before = written.get();
            sleep(Duration::from_millis(100)).await;
        }
        tcp.write_all(b"q").await.unwrap();
        hearing.await.unwrap();
    }));
}

#[test]
fn a_client_that_sends_on_gets_all_that_the_target_sent() {
    const MUCH: usize = 3 << 20;
    let play = async |mut tcp: TcpStream| {
        tcp.write_all(&vec![7; MUCH]).await.unwrap();
        tcp.close().await.unwrap();
        copy(tcp, &mut sink()).await.unwrap();
    };
    within(through(play, async |addr| {
        let mut tcp = TcpStream::connect(addr).await.unwrap();
        let mut writer = tcp.clone();
        let send_on = async { while writer.write_all(&[9; 10_000]).await.is_ok() {} };
        let mut heard = Vec::new();
        let read = beside(send_on, tcp.read_to_end(&mut heard)).await;
        read.unwrap();
        assert!(heard == vec![7; MUCH], "{} bytes", heard.len());
    }));
}

#[test]
fn an_end_that_is_none_is_a_reset_at_the_other_side() {
    within(async {
        let play = async |mut tcp: TcpStream| {
            tcp.write_all(b"half of").await.unwrap();
            // Not before the other half of the conversation.
            tcp.read_exact(&mut [0]).await.unwrap();
            reset(tcp);
        };
        through(play, async |addr| {
            let mut tcp = TcpStream::connect(addr).await.unwrap();
            tcp.read_exact(&mut [0; 7]).await.unwrap();
            tcp.write_all(b"?").await.unwrap();
            let error = tcp.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        })
        .await;
    });
}

#[test]
fn without_a_far_end_or_a_target_the_client_is_reset() {
    within(async {
        let nobody = {
            let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
            closed.local_addr().unwrap()
        };
        let refused = async |addr| {
            // It may happen before the connection is seen to be there.
            let read = async { TcpStream::connect(addr).await?.read(&mut [0]).await };
            assert_eq!(read.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        };
        let Tunnel { near, client, far, addr } = Tunnel::new().await;
        let serving = tunnel::serve(far, nobody.to_string());
        beside(join(tunnel::listen(near, client), serving), refused(addr)).await;

        let Tunnel { near, addr, .. } = Tunnel::new().await;
        let client = Client::new(&format!("ws://{nobody}/")).unwrap();
        beside(tunnel::listen(near, client), refused(addr)).await;
    });
}

#[test]
fn a_far_end_that_is_shut_down_ends_both_sides() {
    within(async {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let Tunnel { near, client, far, addr } = Tunnel::new().await;
        let handle = far.handle();
        let serving = tunnel::serve(far, target.local_addr().unwrap().to_string());
        let talk = async {
            let (mut ours, (mut theirs, _)) =
                try_join(TcpStream::connect(addr), target.accept()).await.unwrap();
            ours.write_all(b"!").await.unwrap();
            theirs.read_exact(&mut [0]).await.unwrap();
            let ends = async {
                let ends = try_join(ours.read(&mut [0]), theirs.read(&mut [0])).await;
                assert_eq!(ends.unwrap(), (0, 0));
            };
            join(handle.shutdown(Duration::from_secs(30)), ends).await.0
        };
        let talk = join(talk, serving);
        let (shutdown, _) = beside(tunnel::listen(near, client), talk).await;
        assert_eq!((shutdown.drained, shutdown.aborted), (1, 0));
    });
}
