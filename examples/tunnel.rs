//! TCP through WebSocket, and out again: at the far end
//! `cargo run --example tunnel -- serve 127.0.0.1:9001 127.0.0.1:22`, at the near one
//! `cargo run --example tunnel -- listen 127.0.0.1:2222 ws://127.0.0.1:9001/`, and then
//! `ssh -p 2222 127.0.0.1`.
//!
//! Each TCP connection gets one WebSocket. When one side of TCP ends, all that it sent arrives, and then
//! the other side's reading ends. That is as much of a half-close as there is: a WebSocket that was told
//! Close may send no more than it had written by then (RFC 6455, section 5.5.1), so that whoever ends
//! their sending to wait for a long answer, as `nc -N` does, gets the start of it at best. TCP that is
//! reset, or a WebSocket that is lost, is a reset at the other side.
//!
//! Whoever reaches the far end reaches the target: put TLS and a check of who asks in front of both.

use std::{error::Error, io, pin::pin, process, process::ExitCode, sync::Arc, time::Duration};

use futures::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt,
    channel::oneshot::{self, Receiver},
    future::{Either, join, select},
    io::{copy, sink},
};
use lexopt::{Arg, Parser, ValueExt};
use smol::net::{TcpListener, TcpStream};
use wsweave::{Client, CloseCode, Config, Connection, ConnectionExt, Server, Shutdown};

const USAGE: &str = "\
usage: tunnel listen LOCAL_ADDR ws://SERVER/
       tunnel serve WS_ADDR TARGET_ADDR";

/// What to do, and with which two addresses.
enum Command {
    Listen(String, String),
    Serve(String, String),
}

impl Command {
    fn from_env() -> Result<Self, lexopt::Error> {
        let mut words = Vec::new();
        let mut parser = Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(word) => words.push(word.string()?),
                other => return Err(other.unexpected()),
            }
        }
        match <[String; 3]>::try_from(words) {
            Ok([command, from, to]) if command == "listen" => Ok(Self::Listen(from, to)),
            Ok([command, from, to]) if command == "serve" => Ok(Self::Serve(from, to)),
            _ => Err("there is a command and two addresses to give".into()),
        }
    }
}

fn main() -> ExitCode {
    let command = match Command::from_env() {
        Ok(command) => command,
        Err(error) => {
            eprintln!("tunnel: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match smol::block_on(run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tunnel: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Carries until a signal, and then ends what is on its way.
async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    let signal = first_signal()?;
    match command {
        Command::Listen(local, url) => {
            let client = Client::new(&url)?.config(config());
            let listener = TcpListener::bind(local).await?;
            println!("listening on {}", listener.local_addr()?);
            // What is dropped here says Close before it goes.
            select(pin!(listen(listener, client)), signal).await;
        }
        Command::Serve(addr, target) => {
            let server = wsweave::listen(&addr).await?.config(config());
            let handle = server.handle();
            println!("listening on ws://{}", server.local_addr());
            let stopping = async {
                let _ = signal.await;
                handle.shutdown(GRACE).await
            };
            let (shutdown, _) = join(stopping, serve(server, target)).await;
            println!("{shutdown}");
        }
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

/// The near end: a WebSocket for each client of TCP.
pub(crate) async fn listen(listener: TcpListener, client: Client) {
    let carry = async |tcp: io::Result<TcpStream>| {
        let carried = async {
            let tcp = tcp?;
            match client.connect().await {
                Ok(conn) => carry(tcp, conn).await,
                Err(error) => {
                    reset(tcp);
                    Err(error.into())
                }
            }
        };
        report(carried.await);
    };
    listener.incoming().for_each_concurrent(MAX_TUNNELS, carry).await;
}

/// The far end: a connection to the target for each WebSocket, until the server is shut down.
pub(crate) async fn serve(server: Server, target: String) -> Shutdown {
    let target = Arc::<str>::from(target);
    let carry = move |mut conn: Connection| {
        let target = Arc::clone(&target);
        async move {
            let carried = match TcpStream::connect(&*target).await {
                Ok(tcp) => carry(tcp, conn).await,
                Err(error) => {
                    let _ = conn.close_with(CloseCode::BAD_GATEWAY, "no target").await;
                    Err(error)
                }
            };
            report(carried);
        }
    };
    server.max_connections(MAX_TUNNELS).serve(carry).await
}

/// A side that does not read, and whose connection is not polled therefore, is waited for.
pub(crate) fn config() -> Config {
    Config::default().keepalive_timeout(PATIENCE).write_timeout(PATIENCE).close_timeout(PATIENCE)
}

fn report(carried: io::Result<()>) {
    if let Err(error) = carried {
        eprintln!("tunnel: {error}");
    }
}

/// Carries one connection both ways, until the WebSocket has ended.
async fn carry(tcp: TcpStream, conn: Connection) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut bytes = conn.into_bytes();
    let carried = {
        let (from_peer, to_peer) = (&mut bytes).split();
        let there = pin!(pump(tcp.clone(), to_peer));
        let back = pin!(pump(from_peer, tcp.clone()));
        match select(there, back).await {
            Either::Right((carried, _)) => carried,
            Either::Left((Ok(()), back)) => back.await,
            // The peer has closed: what it sent before that is still to be read.
            Either::Left((Err(error), back)) if error.kind() == io::ErrorKind::BrokenPipe => {
                back.await
            }
            Either::Left((broken, _)) => broken,
        }
    };
    if carried.is_err() {
        reset(tcp);
        let _ = bytes.get_mut().close_with(CloseCode::INTERNAL_ERROR, "the tunnel broke").await;
        return carried;
    }
    drop(bytes);
    // What comes now is for nobody, but to leave it unread would reset TCP under what it carries.
    let _ = select(pin!(copy(tcp, &mut sink())), pin!(smol::Timer::after(MOMENT))).await;
    Ok(())
}

/// Like `futures::io::copy`, but flushes before it waits for more, as the other direction else would,
/// which may be waiting for its reader; and passes the end on.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer).await? {
            0 => return to.close().await,
            len => to.write_all(&buffer[..len]).await?,
        }
        to.flush().await?;
    }
}

/// Ends `tcp` so that nobody takes what it carried for whole.
fn reset(tcp: TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(&tcp, Some(Duration::ZERO));
    drop(tcp);
}

/// How many connections are carried at a time, of two descriptors each.
const MAX_TUNNELS: usize = 400;
/// How much is read at a time.
const CHUNK: usize = 16 << 10;
/// How long one side may keep the other waiting.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a side of TCP may go on sending when the other one has ended.
const MOMENT: Duration = Duration::from_secs(1);
/// How long the peers have to answer the Close when the far end stops.
const GRACE: Duration = Duration::from_secs(5);
