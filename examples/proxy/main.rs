//! A reverse proxy for WebSocket:
//! `cargo run --features tokio --example proxy -- 127.0.0.1:9000 ws://127.0.0.1:9001 --header Cookie`.
//!
//! `proxy.rs` is all of it that is WebSocket. It leaves HTTP to hyper, as `hyper_server` does, for a client
//! gets its answer only when the target has given one: `Server::on_request` cannot wait for that.
//! SIGTERM and ctrl-c close all connections before the end; a second one does not wait for that.

mod options;
mod proxy;

use std::{error::Error, process, process::ExitCode, time::Duration};

use futures::channel::oneshot::{self, Receiver};
use tokio::{net::TcpListener, time::timeout};

use crate::{
    options::{Options, USAGE},
    proxy::Proxy,
};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::from_env() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("proxy: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal, and then until all connections have ended.
async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let signal = first_signal()?;
    let mut proxy = Proxy::new(&options.target, options.headers)?;
    if options.compress {
        proxy = proxy.compress();
    }
    let listener = TcpListener::bind(&options.listen).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    let relays = proxy.serve(listener, signal).await;
    if timeout(PATIENCE, relays.ended()).await.is_err() {
        println!("stopped before all connections were closed");
    }
    Ok(())
}

/// Is cancelled at the first signal.
fn first_signal() -> Result<Receiver<()>, ctrlc::Error> {
    let (sender, receiver) = oneshot::channel();
    let mut sender = Some(sender);
    ctrlc::set_handler(move || match sender.take() {
        Some(sender) => drop(sender),
        None => process::exit(1),
    })?;
    Ok(receiver)
}

/// How long both ends of all connections have to answer the Close when the proxy stops.
const PATIENCE: Duration = Duration::from_secs(5);
