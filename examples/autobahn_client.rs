//! Runs every case of Autobahn's fuzzing server against this crate as the client, and has it write
//! its report: `cargo run --release --example autobahn_client -- ws://127.0.0.1:9002 wsweave`. It offers
//! compression, which only sections 12 and 13 take up.
//!
//! `autobahn/README.md` says where the fuzzing server comes from.

use std::process::ExitCode;

use futures::StreamExt;
use wsweave::{Client, Compression, Config, ConnectionExt, Error, Finish};

#[async_std::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(url) = arguments.next() else {
        eprintln!("usage: autobahn_client URL [AGENT]");
        return ExitCode::from(2);
    };
    let agent = arguments.next().unwrap_or_else(|| "wsweave".to_owned());
    match run_all(url.trim_end_matches('/'), &agent).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn_client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run_all(url: &str, agent: &str) -> Result<(), Box<dyn std::error::Error>> {
    let count = case_count(url).await?;
    for case in 1..=count {
        let finish = run_case(&format!("{url}/runCase?case={case}&agent={agent}")).await?;
        // Many cases break the connection on purpose: the fuzzing server judges how it ended.
        println!("case {case} of {count}: {finish}");
    }
    wsweave::connect(&format!("{url}/updateReports?agent={agent}")).await?.run().await;
    Ok(())
}

/// The server's only message is the number of cases.
async fn case_count(url: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let mut conn = wsweave::connect(&format!("{url}/getCaseCount")).await?;
    let count = conn.next().await.ok_or("the server did not tell the number of cases")?;
    Ok(count.as_text().ok_or("the number of cases is not a text")?.parse()?)
}

/// Echoes until the server ends the case.
async fn run_case(url: &str) -> Result<Finish, Error> {
    let config = Config::default().compression(Compression::default().min_size(0));
    let conn = Client::new(url)?.config(config).connect().await?;
    Ok(conn.on_each(|peer, message| peer.send(message.clone())).run().await)
}
