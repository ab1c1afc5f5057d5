//! The chat: `cargo run -p chat`, and then <http://127.0.0.1:8080/>.
//!
//! ctrl-c and SIGTERM send everybody away before the end.

use std::{error::Error, process::ExitCode};

use chat::{Chat, DRAIN, Limits, raise_descriptors};
use lexopt::{Arg, Parser, ValueExt};
use wsweave::Origins;

const USAGE: &str = "\
usage: chat [--listen ADDR] [--origin ORIGIN]...

  --listen ADDR    where to listen, HOST:PORT; 127.0.0.1:8080
  --origin ORIGIN  a page that may connect, such as https://chat.example, instead of the server's own;
                   repeat it for more";

#[tokio::main]
async fn main() -> ExitCode {
    let (addr, origins) = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("chat: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&addr, origins).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(addr: &str, origins: Origins) -> Result<(), Box<dyn Error>> {
    let mut limits = Limits::default();
    let descriptors = raise_descriptors((limits.connections + SPARE) as u64)?;
    let connections = usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(SPARE);
    if connections < limits.connections {
        eprintln!(
            "chat: {connections} connections at most: the limit of open files is {descriptors}"
        );
        limits.connections = connections;
    }
    let stopped = stopped()?;
    let chat = Chat::start(addr, origins, limits).await?;
    for addr in chat.addrs() {
        println!("listening on http://{addr}/");
    }
    stopped.await;
    let (people, shutdown) = chat.stop(DRAIN).await;
    println!("{people} sent away; {shutdown}");
    Ok(())
}

/// Is done at the first signal to stop.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Where to listen, and who may connect; nothing if help is all that is wanted.
fn options() -> Result<Option<(String, Origins)>, Box<dyn Error>> {
    let (mut addr, mut origins) = ("127.0.0.1:8080".to_owned(), Vec::new());
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("listen") => addr = parser.value()?.string()?,
            Arg::Long("origin") => origins.push(parser.value()?.string()?),
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    let origins = if origins.is_empty() { Origins::same_host() } else { Origins::list(origins)? };
    Ok(Some((addr, origins)))
}

/// How many descriptors are not for connections.
const SPARE: usize = 64;
