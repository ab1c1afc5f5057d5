//! Shouts back, as an async for-each loop: `cargo run --example for_each`.
//!
//! `pipe` and `callbacks` are the same program in the other two styles; only `shout` differs.

use futures::{SinkExt, StreamExt, future::try_join};
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
async fn shout(mut conn: Connection) -> Result<(), Error> {
    while let Some(message) = conn.next().await {
        if let Some(text) = message.as_text() {
            conn.send(text.to_uppercase().into()).await?;
        }
    }
    if let Some(finish) = conn.finish() {
        println!("server: {finish}");
    }
    Ok(())
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
