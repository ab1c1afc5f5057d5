//! The main job on one page: a server on loopback, and a client that talks to it over real TCP, once
//! in each of the three styles: `cargo run --example echo`.

use async_std::task;
use futures::{SinkExt, StreamExt, TryStreamExt, future::try_join, stream};
use wsweave::{CloseCode, ConnectionExt, Error, Finish, Message, Server};

const WORDS: [&str; 3] = ["ping", "pong", "grüezi"];

#[async_std::main]
async fn main() -> Result<(), Error> {
    let server = wsweave::listen("127.0.0.1:0").await?;
    let url = format!("ws://{}", server.local_addr());
    task::spawn(serve(server));

    println!("1. async for-each, to {url}");
    for_each(&url).await?;
    println!("2. futures combinators");
    pipe(&url).await?;
    println!("3. callbacks");
    callbacks(&url).await
}

/// Sends every message back, on any number of connections.
async fn serve(server: Server) {
    server.serve(|conn| conn.on_each(|peer, message| peer.send(message.clone())).run()).await;
}

/// Sends a word, waits for its echo, and so on; then closes.
async fn for_each(url: &str) -> Result<(), Error> {
    let mut conn = wsweave::connect(url).await?;
    for word in WORDS {
        conn.send(sent(word)).await?;
        if let Some(echo) = conn.next().await {
            received(&echo);
        }
    }
    conn.close().await?;
    conn.finish().map_or(Ok(()), ended)
}

/// Two pipes at once: the words into the sink, which `forward` closes behind the last one; the
/// echoes out of the stream, until the closing handshake ends it.
async fn pipe(url: &str) -> Result<(), Error> {
    let conn = wsweave::connect(url).await?.on_finish(|finish| println!("   {finish}"));
    let (sink, stream) = conn.results().split();
    let words = stream::iter(WORDS).map(|word| Ok(sent(word))).forward(sink);
    let echoes = stream.try_for_each(async |echo| {
        received(&echo);
        Ok(())
    });
    try_join(words, echoes).await.map(|_| ())
}

/// Each echo calls for the next word; when there is none left, the hook closes.
async fn callbacks(url: &str) -> Result<(), Error> {
    let mut words = WORDS.into_iter();
    let mut conn = wsweave::connect(url).await?.on_each(move |peer, echo| {
        received(echo);
        match words.next() {
            Some(word) => peer.send(sent(word)),
            None => peer.close_with(CloseCode::NORMAL, "that was all"),
        }
    });
    conn.send(sent("hello")).await?;
    ended(&conn.run().await)
}

fn sent(word: &str) -> Message {
    println!("   -> {word}");
    word.into()
}

fn received(echo: &Message) {
    println!("   <- {}", echo.as_text().unwrap_or("something else than text"));
}

/// Shows how a connection ended; an unclean end is an error.
fn ended(finish: &Finish) -> Result<(), Error> {
    println!("   {finish}");
    finish.error.clone().map_or(Ok(()), Err)
}
