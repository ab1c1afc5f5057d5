//! Shouts back, with the combinators of `futures`: `cargo run --example pipe`.
//!
//! `for_each` and `callbacks` are the same program in the other two styles; only `shout` differs.

use futures::{
    SinkExt, StreamExt, TryStreamExt,
    future::{ready, try_join},
};
use wsweave::{Connection, ConnectionExt, Error, Server};

#[async_std::main]
async fn main() -> Result<(), Error> {
    let server = wsweave::listen("127.0.0.1:0").await?;
    let url = format!("ws://{}", server.local_addr());
    try_join(serve(server), call(&url)).await?;
    Ok(())
}

/// Accepts one connection and shouts on it.
async fn serve(mut server: Server) -> Result<(), Error> {
    match server.next().await {
        Some(conn) => shout(conn).await,
        None => Ok(()),
    }
}

/// Answers every text in capitals, and leaves binary messages alone, until the client closes.
///
/// `results` makes an unclean end the stream's last error; `forward` then returns it.
async fn shout(conn: Connection) -> Result<(), Error> {
    let conn = conn.on_finish(|finish| println!("server: {finish}"));
    let (sink, stream) = conn.results().split();
    stream
        .try_filter_map(|message| {
            ready(Ok(message.as_text().map(|text| text.to_uppercase().into())))
        })
        .forward(sink)
        .await
}

/// Calls twice, listens to each answer, and closes.
async fn call(url: &str) -> Result<(), Error> {
    let mut conn = wsweave::connect(url).await?;
    for text in ["hello", "is anybody there?"] {
        conn.send(text.into()).await?;
        println!("client: {text:?} is answered by {:?}", conn.next().await);
    }
    conn.close().await
}
