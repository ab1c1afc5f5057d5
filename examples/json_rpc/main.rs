//! JSON-RPC 2.0, with a subscription: `cargo run --example json_rpc --features json`.
//!
//! The client's calls are matched to their answers by `calls`; the server's notifications stay in the
//! stream.

mod client;
mod protocol;
mod server;

use std::error::Error;

use futures::{StreamExt, channel::mpsc, future::try_join};
use wsweave::{ConnectionExt, Server};

use crate::{client::Client, protocol::Fault};

type AnyError = Box<dyn Error + Send + Sync>;

#[async_std::main]
async fn main() -> Result<(), AnyError> {
    let server = wsweave::listen("127.0.0.1:0").await?;
    let url = format!("ws://{}", server.local_addr());
    try_join(serve(server), ask(&url)).await?;
    Ok(())
}

/// Serves one client to its end.
async fn serve(mut server: Server) -> Result<(), AnyError> {
    match server.next().await {
        Some(conn) => Ok(server::serve(conn).await?),
        None => Ok(()),
    }
}

async fn ask(url: &str) -> Result<(), AnyError> {
    let (told, mut notifications) = mpsc::channel(16);
    let mut conn = wsweave::connect(url).await?;
    let handle = conn.handle();
    let (client, polling) = Client::new(conn, told);
    let polling = async_std::task::spawn(polling);

    // Two calls in flight at a time.
    let sums = try_join(client.call("add", [1, 2]), client.call("add", [3, 4]));
    let (three, seven): (i64, i64) = sums.await?;
    println!("client: 1 + 2 = {three}, 3 + 4 = {seven}");

    // The server's refusals are errors.
    for (method, params) in [("multiply", [1, 2].as_slice()), ("add", &[1])] {
        if let Err(error) = client.call::<i64>(method, params).await {
            println!("client: {method}{params:?} is refused with {}", error.downcast::<Fault>()?);
        }
    }

    let subscription: u64 = client.call("subscribe", ()).await?;
    for _ in 0..3 {
        let Some(notification) = notifications.next().await else { break };
        println!("client: {notification:?}");
    }
    let was_there: bool = client.call("unsubscribe", [subscription]).await?;
    println!("client: unsubscribed: {was_there}");

    handle.close_with(1000, "")?;
    println!("client: {}", polling.await?);
    Ok(())
}
