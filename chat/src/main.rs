//! The chat: `cargo run -p chat`, and then <http://127.0.0.1:8080/>.
//!
//! ctrl-c and SIGTERM send everybody away before the end.

use std::{
    error::Error,
    fmt,
    io::{self, Write},
    pin::pin,
    process::ExitCode,
};

use chat::{Chat, DRAIN, Limits, Network, raise_descriptors};
use lexopt::{Arg, Parser, ValueExt};
use wsweave::Origins;

const USAGE: &str = "\
usage: chat [--listen ADDR] [--origin ORIGIN]... [--backplane URL]

  --listen ADDR    where to listen, HOST:PORT; 127.0.0.1:8080
  --origin ORIGIN  a page that may connect, such as https://chat.example, instead of the server's own;
                   repeat it for more
  --backplane URL  where to meet other servers of the same rooms: nats://HOST:PORT, of a NATS server with
                   JetStream (-js), or redis://HOST:PORT";

struct Options {
    addr: String,
    origins: Origins,
    network: Option<Network>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::from_env() {
        Ok(Some(options)) => options,
        Ok(None) => {
            say(format_args!("{USAGE}"));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            warn(format_args!("{error}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Brokers' errors may have several lines.
            let error = error.to_string();
            warn(format_args!("{}", error.split_whitespace().collect::<Vec<_>>().join(" ")));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    let Options { addr, origins, network } = options;
    let mut limits = Limits::default();
    let descriptors = raise_descriptors((limits.connections + SPARE) as u64)?;
    let connections = usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(SPARE);
    if connections < limits.connections {
        warn(format_args!(
            "{connections} connections at most: the limit of open files is {descriptors}"
        ));
        limits.connections = connections;
    }
    let stopped = stopped()?;
    let starting = async {
        match &network {
            Some(network) => Chat::start_among(&addr, origins, limits, network).await,
            None => Ok(Chat::start(&addr, origins, limits).await?),
        }
    };
    let mut stopped = pin!(stopped);
    let chat = tokio::select! {
        chat = starting => chat?,
        () = &mut stopped => return Ok(()),
    };
    for addr in chat.addrs() {
        say(format_args!("listening on http://{addr}/"));
    }
    stopped.await;
    let (people, shutdown) = chat.stop(DRAIN).await;
    say(format_args!("{people} sent away; {shutdown}"));
    Ok(())
}

/// Whoever reads it may be gone, which is no reason to be gone, too.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn warn(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "chat: {line}");
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

impl Options {
    /// Nothing if help is all that is wanted. What is wrong with an address is told without it: there may be
    /// a password in it.
    fn from_env() -> Result<Option<Self>, Box<dyn Error>> {
        let (mut addr, mut origins) = ("127.0.0.1:8080".to_owned(), Vec::new());
        let mut network = None;
        let mut parser = Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("listen") => addr = parser.value()?.string()?,
                Arg::Long("origin") => origins.push(parser.value()?.string()?),
                Arg::Long("backplane") => {
                    let url = parser.value()?.into_string();
                    network =
                        Some(Network::new(&url.map_err(|_| "a backplane is no such bytes")?)?);
                }
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                Arg::Value(_) => return Err("there is nothing but options".into()),
                other => return Err(other.unexpected().into()),
            }
        }
        let origins =
            if origins.is_empty() { Origins::same_host() } else { Origins::list(origins)? };
        Ok(Some(Self { addr, origins, network }))
    }
}

/// How many descriptors are not for connections.
const SPARE: usize = 64;
