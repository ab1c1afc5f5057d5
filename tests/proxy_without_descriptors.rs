//! The example `proxy` while the system gives it no more descriptors. A binary of its own: the limit is that
//! of the whole process.

#![cfg(all(unix, feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../examples/proxy/proxy.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod proxy;

use std::{pin::pin, time::Duration};

use futures::{
    channel::oneshot,
    future::{Either, select},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::proxy::Proxy;

#[tokio::test]
async fn it_goes_on_when_there_are_some() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (_stop, stopped) = oneshot::channel();
    let mut serving = pin!(Proxy::new("ws://127.0.0.1", vec![]).unwrap().serve(listener, stopped));

    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
    assert!(timeout(Duration::from_millis(500), &mut serving).await.is_err());

    setrlimit(Resource::Nofile, limit).unwrap();
    let ask = pin!(async {
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let answer = timeout(Duration::from_secs(60), select(ask, serving)).await.unwrap();
    let Either::Left((answer, _)) = answer else { panic!("it does not stop") };
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
}
