//! Talks to any WebSocket server by hand:
//! `cargo run --example wscat -- ws://127.0.0.1:9001 --header 'Authorization: Bearer x'`.
//!
//! Each line of standard input leaves as a text; each message that comes is a line of standard output.
//! The end of the input closes the connection. How that ended goes to standard error, and into the
//! exit code: 0 clean, 1 unclean or input that cannot be read, 2 no connection.

use std::{error::Error, io::Write, pin::pin, process::ExitCode};

use async_std::io::{self, BufReader, prelude::BufReadExt};
use data_encoding::HEXLOWER;
use futures::{
    Sink, SinkExt, Stream, StreamExt,
    future::{Either, select},
};
use lexopt::{Arg, Parser, ValueExt};
use wsweave::{Client, CloseCode, Connection, ConnectionExt, Finish, Handle, Message};

#[async_std::main]
async fn main() -> ExitCode {
    let connected = match arguments() {
        Ok(client) => client.connect().await.map_err(|error| error.to_string()),
        Err(error) => Err(format!("{error}; {USAGE}")),
    };
    let conn = match connected {
        Ok(conn) => conn,
        Err(error) => {
            eprintln!("wscat: {error}");
            return ExitCode::from(2);
        }
    };
    match talk(conn).await {
        Ok(finish) => {
            eprintln!("wscat: {finish}");
            if finish.clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("wscat: {error}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "usage: wscat URL [--header 'K: V']... [--subprotocol P]...";

/// The client that the command line describes.
fn arguments() -> Result<Client, Box<dyn Error>> {
    let (mut url, mut headers, mut subprotocols) = (None, Vec::new(), Vec::new());
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("header") => headers.push(parser.value()?.parse_with(header)?),
            Arg::Long("subprotocol") => subprotocols.push(parser.value()?.string()?),
            Arg::Value(value) if url.is_none() => url = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut client = Client::new(&url.ok_or("URL is missing")?)?;
    for (name, value) in headers {
        client = client.header(name, value)?;
    }
    for subprotocol in subprotocols {
        client = client.subprotocol(subprotocol)?;
    }
    Ok(client)
}

/// Splits `K: V`.
fn header(line: &str) -> Result<(String, String), &'static str> {
    let (name, value) = line.split_once(':').ok_or("a header is 'K: V'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Sends and receives at the same time, until the connection ends.
async fn talk(mut conn: Connection) -> io::Result<Finish> {
    let handle = conn.handle();
    let (sink, stream) = conn.split();
    match select(pin!(print_all(stream)), pin!(send_lines(sink, &handle))).await {
        // The input may have more lines; nobody is there to take them.
        Either::Left((printed, _sending)) => printed?,
        Either::Right((sent, printing)) => {
            printing.await?;
            sent?;
        }
    }
    Ok(handle.closed().await)
}

async fn print_all(mut messages: impl Stream<Item = Message> + Unpin) -> io::Result<()> {
    while let Some(message) = messages.next().await {
        let mut stdout = std::io::stdout().lock();
        match message {
            Message::Text(text) => writeln!(stdout, "{text}")?,
            Message::Binary(bytes) => writeln!(stdout, "{}", summary(&bytes))?,
        }
    }
    Ok(())
}

/// `<20 bytes> 000102...`
fn summary(bytes: &[u8]) -> String {
    let head = HEXLOWER.encode(&bytes[..bytes.len().min(HEAD)]);
    let more = if bytes.len() > HEAD { "..." } else { "" };
    format!("<{} bytes> {head}{more}", bytes.len())
}

/// Sends what can be read, and begins to close. Fails if a line cannot be read: if it is not UTF-8, say.
///
/// Closing through the handle leaves all reading to `print_all`; `sink.close()` would read, too, and
/// drop what that has no room to keep.
async fn send_lines(
    mut sink: impl Sink<Message, Error = wsweave::Error> + Unpin,
    handle: &Handle,
) -> io::Result<()> {
    let mut lines = BufReader::new(io::stdin()).lines();
    let mut read = Ok(());
    while let Some(line) = lines.next().await {
        let sent = match line {
            Ok(line) => sink.send(line.into()).await,
            Err(error) => {
                read = Err(io::Error::new(error.kind(), format!("standard input: {error}")));
                break;
            }
        };
        if sent.is_err() {
            break;
        }
    }
    // If this comes too late, or sending failed, the end says why.
    let _ = handle.close_with(CloseCode::NORMAL, "");
    read
}

/// How many bytes of a binary message to show.
const HEAD: usize = 16;
