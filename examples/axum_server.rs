//! A page, and at `/echo` a WebSocket, on one port of an axum server:
//! `cargo run --features tokio --example axum_server -- 127.0.0.1:8080`.
//!
//! `hyper_server` is the same program with hyper alone.

use std::{env, io};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{Html, Response},
    routing::get,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use wsweave::{
    Accept, Compression, Config, Connection, ConnectionExt, Origins, Refusal, Socket,
    handshake::server,
};

#[tokio::main]
async fn main() -> io::Result<()> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    println!("http://{}/", listener.local_addr()?);
    serve(listener).await
}

pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    let app = Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/echo", get(answer));
    axum::serve(listener, app).await
}

async fn answer(request: Request) -> Response {
    websocket(request).unwrap_or_else(|refusal| refusal.into_response().map(Body::from))
}

/// Answers a proper handshake; the connection begins behind the answer, in a task of its own.
fn websocket(request: Request) -> Result<Response, Refusal> {
    Origins::same_host().check(&request)?;
    let config = Config::default().compression(Compression::default());
    let accept = Accept::new().choose_subprotocol(&request, ["echo"]).config(config);
    let (response, upgrade) = server::upgrade(&request, accept)?;
    tokio::spawn(async {
        match hyper::upgrade::on(request).await {
            Ok(io) => echo(upgrade.over(Socket::from_tokio(TokioIo::new(io)))).await,
            Err(error) => eprintln!("{error}"),
        }
    });
    Ok(response.map(|()| Body::empty()))
}

/// Sends every message back.
async fn echo(conn: Connection) {
    conn.linger_on_drop()
        .on_each(|peer, message| peer.send(message.clone()))
        .on_finish(|finish| println!("{finish}"))
        .run()
        .await;
}
