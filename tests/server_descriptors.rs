//! Whatever becomes of clients, a server keeps no descriptor of them. A binary of its own: it counts
//! those of the whole process.

#![cfg(all(target_os = "linux", feature = "runtime"))]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{fs, net::SocketAddr, time::Duration};

use futures::{AsyncWriteExt, SinkExt, StreamExt};
use smol::net::TcpStream;
use wsweave::{
    Accept, Config, Connection, ConnectionExt, Refusal, connect, http::StatusCode, listen,
};

use crate::support::{
    ask, request,
    rt::{spawn, yield_now},
    upgraded, within,
};

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Talks, fails, vanishes and is refused in every way.
async fn visit(addr: SocketAddr) {
    for wrong in [
        "nonsense\r\n\r\n",
        "too slow",
        "GET / HTTP/1.0\r\n\r\n",
        &request("/none"),
        &request("/panic"),
    ] {
        ask(addr, wrong).await;
    }
    let foreign = request("/").replace("Host:", "Origin: null\r\nHost:");
    assert!(ask(addr, &foreign).await.starts_with("HTTP/1.1 403 "));
    // Gone at once, in the middle of the head, or of the answer; slow; and after a proper handshake.
    drop(TcpStream::connect(addr).await.unwrap());
    for part in [1, request("/").len() - 1, request("/").len()] {
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(&request("/").as_bytes()[..part]).await.unwrap();
    }
    drop(upgraded(addr).await);
    // Served to the end, dropped by the server, and aborted by the client.
    for path in ["", "drop"] {
        let mut conn = connect(&format!("ws://{addr}/{path}")).await.unwrap();
        let _ = conn.close().await;
    }
    connect(&format!("ws://{addr}/")).await.unwrap().abort();
}

async fn serve_one(conn: Connection) {
    if conn.request().is_some_and(|request| request.uri().path() != "/drop") {
        conn.run().await;
    }
}

#[test]
fn descriptors_are_given_back() {
    within(async {
        // What the runtime needs for itself is there after one visit.
        let mut before = None;
        for visits in [1, 24] {
            let config = Config::default().handshake_timeout(Duration::from_secs(1));
            let server = listen("127.0.0.1:0").await.unwrap().config(config);
            let server = server.on_request(|request| match request.uri().path() {
                "/none" => Err(Refusal::new(StatusCode::NOT_FOUND, "nothing")),
                "/panic" => panic!("as it may"),
                _ => Ok(Accept::new()),
            });
            let (addr, handle) = (server.local_addr(), server.handle());
            let serving = spawn(server.serve(serve_one));
            futures::stream::iter(0..visits).for_each_concurrent(8, |_| visit(addr)).await;
            let shutdown = handle.shutdown(Duration::from_secs(20)).await;
            assert_eq!((shutdown.aborted, handle.connections()), (0, 0));
            serving.await;
            let before = *before.get_or_insert(descriptors());
            while descriptors() > before {
                yield_now().await;
            }
        }
    });
}
