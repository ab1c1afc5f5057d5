//! An echo server in six styles: `cargo run --example echo_server -- 127.0.0.1:9001 --style hooks`.
//!
//! `styles.rs` lays the six side by side, and `commands.rs` weaves hooks under whichever is chosen.
//! The server says nothing about single connections.

mod commands;
mod options;
mod styles;

use std::process::ExitCode;

use async_std::task;
use futures::{SinkExt, StreamExt};
use wsweave::{Accept, Config, Connection, ConnectionExt, Error};

use crate::{
    options::{Options, USAGE},
    styles::Style,
};

#[async_std::main]
async fn main() -> ExitCode {
    let options = match Options::from_env() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("echo_server: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> Result<(), Error> {
    let mut config = Config::default();
    if let Some(max_message) = options.max_message {
        config = config.max_message_size(max_message).max_frame_size(max_message);
    }
    let subprotocols = options.subprotocols;
    let mut listener = wsweave::listen(&options.address)
        .await?
        .config(config)
        .on_request(move |request| Ok(Accept::new().choose_subprotocol(request, &subprotocols)));
    println!("listening on ws://{}", listener.local_addr());
    while let Some(conn) = listener.next().await {
        task::spawn(serve_one(conn, options.style, options.commands));
    }
    Ok(())
}

/// Echoes on one connection until it ends.
async fn serve_one(mut conn: Connection, style: Style, commands: bool) -> Result<(), Error> {
    if !commands {
        return style.run(conn, |_| true).await;
    }
    if conn.request().is_some_and(|request| request.uri().path() == "/hello") {
        conn.feed("hello".into()).await?;
    }
    style.run(commands::obey(conn), commands::is_ordinary).await
}
