//! Lets the client of this crate talk to a server of another library that obeys the commands of
//! `echo_server/commands.rs`: `interop_client URL [CA]`. `interop/run.py` starts both.

use std::{error::Error, fmt::Debug, process::ExitCode, time::Duration};

use async_std::future::timeout;
use futures::{FutureExt, SinkExt, StreamExt, future::BoxFuture};
use wsweave::{
    Bytes, Client, ClientTls, CloseCode, ConnectionExt, Finish, Initiator, Message, Peer,
};

#[async_std::main]
async fn main() -> ExitCode {
    let client = match client() {
        Ok(client) => client,
        Err(error) => {
            eprintln!("interop_client: {error}");
            return ExitCode::from(2);
        }
    };
    for (name, case) in cases(&client) {
        let outcome = timeout(LIMIT, case).await.unwrap_or_else(|_| Err("no end in sight".into()));
        if let Err(error) = outcome {
            eprintln!("{name}: {error}");
            return ExitCode::FAILURE;
        }
        println!("ok {name}");
    }
    ExitCode::SUCCESS
}

fn client() -> Result<Client, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: interop_client URL [CA]")?;
    let client = Client::new(&url)?;
    Ok(match arguments.next() {
        Some(ca) => client.tls(ClientTls::new().ca_file(ca)?),
        None => client,
    })
}

fn cases(client: &Client) -> [(&'static str, BoxFuture<'_, Outcome>); 14] {
    [
        ("text", echoed(client, "grüezi").boxed()),
        ("empty text", echoed(client, "").boxed()),
        ("emoji", echoed(client, "👩‍👩‍👧‍👦 🦀").boxed()),
        ("large text", echoed(client, "é".repeat(LARGE)).boxed()),
        ("binary", echoed(client, (0..=255).collect::<Vec<_>>()).boxed()),
        ("empty binary", echoed(client, Bytes::new()).boxed()),
        ("large binary", echoed(client, b"0123456789".repeat(LARGE / 10)).boxed()),
        ("order", messages_keep_their_order(client).boxed()),
        ("our ping", our_ping_is_answered(client).boxed()),
        ("their ping", their_ping_is_answered(client).boxed()),
        ("subprotocol", a_subprotocol_is_agreed_on(client).boxed()),
        ("our close", we_close(client).boxed()),
        ("their close", they_close(client).boxed()),
        ("their end without a close", they_vanish(client).boxed()),
    ]
}

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

async fn echoed(client: &Client, message: impl Into<Message>) -> Outcome {
    let message = message.into();
    let mut conn = client.connect().await?;
    conn.send(message.clone()).await?;
    same(&Some(message), &conn.next().await)?;
    Ok(conn.close().await?)
}

async fn messages_keep_their_order(client: &Client) -> Outcome {
    let mut conn = client.connect().await?;
    conn.send("!push 300 70000".into()).await?;
    for i in 0..300_u16 {
        same(&Some(vec![i.to_le_bytes()[0]; 70_000].into()), &conn.next().await)?;
    }
    same(&Some("!pushed 300".into()), &conn.next().await)?;
    Ok(conn.close().await?)
}

async fn our_ping_is_answered(client: &Client) -> Outcome {
    let mut conn = client.connect().await?;
    conn.ping("are you there?")?;
    let hang_up = |peer: &mut Peer<'_>, payload: &Bytes| {
        peer.close_with(CloseCode::NORMAL, "");
        same(&Bytes::from("are you there?"), payload)
    };
    ended(&conn.on_pong(hang_up).run().await, Initiator::Us, CloseCode::NORMAL, "")
}

async fn their_ping_is_answered(client: &Client) -> Outcome {
    let mut conn = client.connect().await?;
    conn.send("!ping grüezi".into()).await?;
    same(&Some("pong grüezi".into()), &conn.next().await)?;
    Ok(conn.close().await?)
}

async fn a_subprotocol_is_agreed_on(client: &Client) -> Outcome {
    let client = client.clone().subprotocol("nothing")?.subprotocol("chat")?;
    let mut conn = client.connect().await?;
    same(&Some("chat"), &conn.subprotocol())?;
    conn.send("!proto".into()).await?;
    same(&Some("chat".into()), &conn.next().await)?;
    Ok(conn.close().await?)
}

async fn we_close(client: &Client) -> Outcome {
    let mut conn = client.connect().await?;
    conn.close_with(CloseCode(4001), "tschüss 👋").await?;
    let finish = conn.finish().ok_or("the connection goes on")?;
    same(&(Initiator::Us, CloseCode(4001), true), &(finish.initiator, finish.code, finish.clean))
}

async fn they_close(client: &Client) -> Outcome {
    let mut conn = client.connect().await?;
    conn.send("!close 4000 good bye 👋".into()).await?;
    ended(&conn.run().await, Initiator::Peer, CloseCode(4000), "good bye 👋")
}

async fn they_vanish(client: &Client) -> Outcome {
    let mut conn = client.connect().await?;
    conn.send("!drop".into()).await?;
    let finish = conn.run().await;
    same(&(CloseCode::ABNORMAL, false), &(finish.code, finish.clean))
}

fn ended(finish: &Finish, initiator: Initiator, code: CloseCode, reason: &str) -> Outcome {
    let actual = (finish.initiator, finish.code, &*finish.reason, finish.clean);
    same(&(initiator, code, reason, true), &actual)
}

fn same<T: PartialEq + Debug>(expected: &T, actual: &T) -> Outcome {
    if expected == actual {
        return Ok(());
    }
    Err(format!("expected {expected:?}, got {actual:?}").into())
}

/// Bytes or characters of a large message.
const LARGE: usize = 3 << 20;
const LIMIT: Duration = Duration::from_secs(20);
