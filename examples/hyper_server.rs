//! A page, and at `/echo` a WebSocket, on one port of a hyper server:
//! `cargo run --features tokio --example hyper_server -- 127.0.0.1:8080`.
//!
//! `axum_server` is the same program with axum.

use std::{convert::Infallible, env, io};

use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
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

/// Serves until accepting fails.
pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .with_upgrades();
        tokio::spawn(async {
            if let Err(error) = connection.await {
                eprintln!("{error}");
            }
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match request.uri().path() {
        "/" => page(),
        "/echo" => websocket(request).unwrap_or_else(|no| no.into_response().map(Full::new)),
        _ => Refusal::new(StatusCode::NOT_FOUND, "not here").into_response().map(Full::new),
    })
}

fn page() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(include_str!("page.html")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// Answers a proper handshake; the connection begins behind the answer, in a task of its own.
fn websocket(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
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
    Ok(response.map(|()| Full::default()))
}

/// Sends every message back.
async fn echo(conn: Connection) {
    conn.linger_on_drop()
        .on_each(|peer, message| peer.send(message.clone()))
        .on_finish(|finish| println!("{finish}"))
        .run()
        .await;
}
