//! Talks to any WebSocket server by hand:
//! `cargo run --example wscat -- wss://example.com/feed --header 'Authorization: Bearer x'`.
//!
//! Each line of standard input leaves as a text; each message that comes is a line of standard output.
//! The end of the input closes the connection. How that ended goes to standard error, and into the
//! exit code: 0 clean, 1 unclean or input that cannot be read, 2 no connection.

mod options;

use std::{io::Write, pin::pin, process::ExitCode};

use async_std::io::{self, BufReader, prelude::BufReadExt};
use data_encoding::HEXLOWER;
use futures::{
    Sink, SinkExt, Stream, StreamExt,
    future::{Either, select},
};
use wsweave::{CloseCode, Connection, ConnectionExt, Finish, Handle, Message};

use crate::options::{Options, USAGE};

#[async_std::main]
async fn main() -> ExitCode {
    let options = match Options::from_env() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("wscat: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let conn = match options.connect().await {
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
