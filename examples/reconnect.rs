//! A client that stays: `cargo run --example reconnect -- ws://127.0.0.1:9001/`, and each line that you
//! type is sent, with its number.
//!
//! When the connection is lost it connects again, with a fresh token, subscribes again, and sends again what
//! may not have arrived: a server that keeps count can tell what it has had before.

use std::{env, pin::pin, time::Duration};

use async_std::io::{BufReadExt, BufReader, stdin};
use futures::{
    Stream, StreamExt,
    future::{Either, ready, select},
};
use wsweave::{Client, ConnectionExt, Error, Finish, Message, Peer, ReconnectPolicy, Status};

const SUBSCRIBE: &str = "subscribe";

#[async_std::main]
async fn main() -> Result<(), Error> {
    let url = env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/".to_owned());
    let lines = BufReader::new(stdin()).lines().filter_map(|line| ready(line.ok()));
    let finish = run(&url, lines, |text| println!("{text}")).await?;
    println!("{finish}");
    Ok(())
}

/// Subscribes and sends all lines, shows what comes, and closes when there are no more lines.
pub(crate) async fn run(
    url: &str,
    lines: impl Stream<Item = String>,
    mut show: impl FnMut(&str),
) -> Result<Finish, Error> {
    let policy = ReconnectPolicy::default()
        .backoff(Duration::from_millis(200), Duration::from_secs(30))?
        .give_up_after(Duration::from_secs(600));
    let mut conn = Client::new(url)?
        .reconnect(policy)
        .each_client(|client, _attempt| async move { client.bearer_auth(&fresh_token().await?) })
        .on_reconnect(say_again)
        .on_status(tell)
        .on_each_text(move |text: &str| show(text));
    let handle = conn.handle();
    let send = async {
        handle.send(SUBSCRIBE).await?;
        let mut lines = pin!(lines.enumerate());
        while let Some((number, line)) = lines.next().await {
            handle.send(format!("{number} {line}")).await?;
        }
        handle.close_with(1000, "")
    };
    match select(conn.run(), pin!(send)).await {
        Either::Left((finish, _)) => Ok(finish),
        // That nothing more can be sent is no news: the end says why.
        Either::Right((_, run)) => Ok(run.await),
    }
}

/// Subscribes on a new connection, before anything else, and sends what may not have arrived on the last one.
fn say_again(peer: &mut Peer<'_>, lost: Vec<Message>, _attempt: u32) {
    peer.send(SUBSCRIBE);
    for message in lost {
        if message.as_text() != Some(SUBSCRIBE) {
            peer.send(message);
        }
    }
}

fn tell(status: &Status) {
    match status {
        Status::Connecting { attempt } => eprintln!("connecting, attempt {attempt}"),
        Status::Open => eprintln!("connected"),
        Status::Waiting { outage, .. } => eprintln!("offline: {outage}"),
        Status::GaveUp(error) => eprintln!("giving up: {error}"),
        _ => eprintln!("closed"),
    }
}

/// In the place of who gives out tokens that do not last.
#[allow(clippy::unused_async, reason = "a real one waits")]
async fn fresh_token() -> Result<String, Error> {
    Ok("token".to_owned())
}
