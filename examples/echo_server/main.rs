//! An echo server in six styles: `cargo run --example echo_server -- 127.0.0.1:9001 --style hooks`.
//!
//! `styles.rs` lays the six side by side, and `commands.rs` weaves hooks under whichever is chosen.
//! SIGTERM and ctrl-c close all connections before the end; a second one does not wait for that.

mod commands;
mod options;
mod runtime;
mod styles;

use std::{error::Error, process, process::ExitCode, time::Duration};

use futures::{
    SinkExt,
    channel::oneshot::{self, Canceled, Receiver},
    future::join,
};
use wsweave::{Accept, Compression, Config, Connection, ConnectionExt, Origins, Server, ServerTls};

use crate::{
    options::{Options, USAGE},
    styles::Style,
};

fn main() -> ExitCode {
    let options = match Options::from_env() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("echo_server: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let runtime = options.runtime;
    runtime.block_on(serve(options))?
}

/// Serves until a signal, and then until all connections have ended.
async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let signal = first_signal()?;
    let Options { style, commands, log, .. } = options;
    let scheme = if options.tls.is_some() { "wss" } else { "ws" };
    let server = bind(options).await?;
    let handle = server.handle();
    for addr in handle.local_addrs() {
        println!("listening on {scheme}://{addr}");
    }
    let stopping = async {
        let _: Result<(), Canceled> = signal.await;
        handle.shutdown(PATIENCE).await
    };
    let serving = server.serve(move |conn| serve_one(conn, style, commands, log));
    let (shutdown, _) = join(stopping, serving).await;
    println!("{shutdown}");
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

async fn bind(options: Options) -> Result<Server, wsweave::Error> {
    let mut config = Config::default();
    if let Some(max_message) = options.max_message {
        config = config.max_message_size(max_message).max_frame_size(max_message);
    }
    if let Some(keepalive) = options.keepalive {
        config = config.keepalive_interval(Some(keepalive));
    }
    if options.compress {
        config = config.compression(Compression::default());
    }
    let subprotocols = options.subprotocols;
    let mut server = Server::new()
        .config(config)
        .on_request(move |request| Ok(Accept::new().choose_subprotocol(request, &subprotocols)));
    if !options.origins.is_empty() {
        server = server.origins(Origins::list(options.origins)?);
    }
    if let Some(max_connections) = options.max_connections {
        server = server.max_connections(max_connections);
    }
    if let Some((certificates, key)) = options.tls {
        server = server.tls(ServerTls::from_pem_files(certificates, key)?);
    }
    for address in &options.addresses {
        server = server.bind(address).await?;
    }
    #[cfg(unix)]
    for path in options.paths {
        server = server.bind_unix(path)?;
    }
    Ok(server)
}

/// Echoes on one connection until it ends.
async fn serve_one(
    mut conn: Connection,
    style: Style,
    commands: bool,
    log: bool,
) -> Result<(), wsweave::Error> {
    let greets = conn.request().is_some_and(|request| request.uri().path() == "/hello");
    if commands && greets {
        conn.feed("hello".into()).await?;
    }
    let conn = conn.on_finish(move |finish| {
        if log {
            println!("{finish}");
        }
    });
    if commands {
        style.run(commands::obey(conn), commands::is_ordinary).await
    } else {
        style.run(conn, |_| true).await
    }
}

/// How long the clients have to answer the Close when the server stops: less than
/// `Config::close_timeout`, so that it is clear which of them counts as aborted.
const PATIENCE: Duration = Duration::from_secs(5);
