//! A server that the system gives no more descriptors. A binary of its own: the limit is that of the whole
//! process.

#![cfg(all(unix, feature = "runtime"))]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{future::poll_fn, io::Write, net::TcpStream, time::Duration};

use futures::StreamExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{
    request,
    rt::{in_time, sleep},
    within,
};

#[test]
fn it_pauses_instead_of_spinning_and_goes_on_when_there_are_some() {
    within(async {
        // The test's own clock needs some when it is first used.
        sleep(Duration::from_millis(1)).await;
        let mut server = wsweave::listen("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(server.local_addr()).unwrap();
        client.write_all(request("/").as_bytes()).unwrap();

        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
        let mut polls = 0;
        let next = poll_fn(|cx| {
            polls += 1;
            server.poll_next_unpin(cx)
        });
        assert!(in_time(Duration::from_millis(700), next).await.is_none());
        assert!((3..20).contains(&polls), "{polls} polls");

        setrlimit(Resource::Nofile, limit).unwrap();
        assert!(server.next().await.is_some());
    });
}
