//! The example `reconnect`: a client whose server dies.

#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

#[path = "../examples/reconnect.rs"]
#[allow(dead_code, reason = "its `main` is the example's")]
mod reconnect;
mod support;

use futures::{SinkExt, StreamExt, channel::mpsc::unbounded};
use wsweave::ConnectionExt;

use crate::support::rt::{spawn, within};

#[test]
fn it_subscribes_and_sends_again() {
    within(async {
        let mut server = wsweave::listen("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", server.local_addr());
        let (say, lines) = unbounded();
        let (show, mut shown) = unbounded();
        let client = spawn(async move {
            let show = move |text: &str| show.unbounded_send(text.to_owned()).unwrap();
            reconnect::run(&url, lines, show).await
        });

        let mut first = server.next().await.unwrap();
        assert_eq!(first.request().unwrap().headers()["authorization"], "Bearer token");
        assert_eq!(first.next().await, Some("subscribe".into()));
        say.unbounded_send("a".to_owned()).unwrap();
        assert_eq!(first.next().await, Some("0 a".into()));
        // Without a word.
        drop(first.into_inner());
        say.unbounded_send("b".to_owned()).unwrap();

        let mut second = server.next().await.unwrap();
        for text in ["subscribe", "0 a", "1 b"] {
            assert_eq!(second.next().await, Some(text.into()));
        }
        second.send("news".into()).await.unwrap();
        assert_eq!(shown.next().await.unwrap(), "news");
        drop(say);
        assert_eq!(second.next().await, None);
        assert_eq!(client.await.unwrap().code, 1000);
    });
}
