//! Hooks in a program that has its connections from elsewhere: `cargo run --example adopt`.
//!
//! It is the echo server of async-tungstenite's examples, with two lines added to `serve`.

use std::{error::Error, future::ready};

use async_std::net::{TcpListener, TcpStream};
use async_tungstenite::{accept_async, client_async, tungstenite};
use futures::{StreamExt, TryStreamExt, future::try_join};
use wsweave::{Config, ConnectionExt, Message, Peer};

#[async_std::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let stream = TcpStream::connect(listener.local_addr()?).await?;
    let (accepted, _) = listener.accept().await?;
    try_join(serve(accepted), talk(stream)).await?;
    Ok(())
}

/// Sends every message back until the client closes.
async fn serve(stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let ws = accept_async(stream).await?;

    let ws = wsweave::adopt(ws, Config::default()).on_each(show);
    let ws = ws.on_finish(|finish| println!("server: {finish}")).results();

    let (sink, stream) = ws.split();
    let messages = stream.try_filter(|message| ready(message.is_text() || message.is_binary()));
    messages.forward(sink).await?;
    Ok(())
}

fn show(_: &mut Peer<'_>, message: &Message) {
    println!("server: {message:?}");
}

/// Says two things, listens to the echo of each, and closes.
async fn talk(stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let (mut ws, _) = client_async("ws://localhost/", stream).await?;
    for word in ["hello", "grüezi"] {
        ws.send(tungstenite::Message::text(word)).await?;
        if let Some(echo) = ws.next().await {
            println!("client: {}", echo?);
        }
    }
    ws.close(None).await?;
    while ws.try_next().await?.is_some() {}
    Ok(())
}
