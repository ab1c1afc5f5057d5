//! What goes wrong at either end of a connection of this crate.

use std::panic::AssertUnwindSafe;

use futures::{FutureExt, SinkExt, StreamExt};
use wsweave::{CloseCode, ConnectionExt, ErrorKind};

use crate::{
    server::panic_silently,
    support::rt::in_time,
    visit::{Outcome, Visit, expect},
};

pub(crate) async fn dropped_connecting(visit: &mut Visit) -> Outcome {
    let (path, moment) = (visit.echo_path(), visit.moment());
    in_time(moment, visit.connect(path)).await.transpose()?;
    Ok(())
}

pub(crate) async fn dropped_sending(visit: &mut Visit) -> Outcome {
    let path = visit.echo_path();
    let mut conn = visit.connect(path).await?;
    let (moment, messages) = (visit.moment(), visit.messages());
    let sending = async {
        for message in messages {
            conn.send(message).await?;
        }
        Ok(())
    };
    in_time(moment, sending).await.unwrap_or(Ok(()))
}

pub(crate) async fn dropped_closing(visit: &mut Visit) -> Outcome {
    let path = visit.echo_path();
    let mut conn = visit.connect(path).await?;
    let (moment, message) = (visit.moment(), visit.message());
    conn.send(message).await?;
    in_time(moment, conn.close()).await.transpose()?;
    Ok(())
}

/// What is left of it goes on for a moment.
pub(crate) async fn one_half_dropped(visit: &mut Visit) -> Outcome {
    let path = visit.echo_path();
    let (mut sink, mut stream) = visit.connect(path).await?.split();
    let (moment, message) = (visit.moment(), visit.message());
    sink.send(message.clone()).await?;
    if visit.one_in(2) {
        drop(sink);
        visit.check(&message, stream.next().await)
    } else {
        drop(stream);
        in_time(moment, sink.close()).await.transpose()?;
        Ok(())
    }
}

pub(crate) async fn aborted(visit: &mut Visit) -> Outcome {
    let path = visit.echo_path();
    let mut conn = visit.connect(path).await?;
    for message in visit.messages() {
        conn.feed(message).await?;
        if visit.one_in(4) {
            conn.flush().await?;
        }
    }
    if visit.one_in(2) {
        conn.abort();
    } else {
        conn.handle().abort();
    }
    while conn.next().await.is_some() {}
    let finish = conn.finish().unwrap();
    expect(finish.code == CloseCode::ABNORMAL, finish)
}

/// A hook of the server's fails, or panics.
pub(crate) async fn server_fails(visit: &mut Visit, path: &str) -> Outcome {
    let mut conn = visit.connect(path).await?;
    conn.send(visit.message()).await?;
    expect(conn.next().await.is_none(), "it was answered")?;
    let finish = conn.finish().unwrap();
    expect(finish.code == CloseCode::INTERNAL_ERROR, finish)
}

pub(crate) async fn client_panics(visit: &mut Visit) -> Outcome {
    let path = visit.echo_path();
    let mut conn = visit.connect(path).await?;
    conn.send(visit.message()).await?;
    let conn = conn.on_each(|_, _| -> () { panic_silently() });
    let run = AssertUnwindSafe(conn.run()).catch_unwind().await;
    expect(run.is_err(), "the hook did not run")
}

pub(crate) async fn server_drops(visit: &mut Visit) -> Outcome {
    let mut conn = visit.connect("/drop").await?;
    conn.send(visit.message()).await?;
    let last = conn.next().await.ok_or("what was fed before the drop is missing")?;
    expect(last.as_text() == Some("the last word"), "another word")?;
    expect(conn.next().await.is_none(), "it goes on")?;
    let finish = conn.finish().unwrap();
    expect(finish.clean && finish.code == CloseCode::GOING_AWAY, finish)
}

pub(crate) async fn server_aborts(visit: &mut Visit) -> Outcome {
    let mut conn = visit.connect("/abort").await?;
    conn.send(visit.message()).await?;
    expect(conn.next().await.is_none(), "it was answered")?;
    let finish = conn.finish().unwrap();
    expect(!finish.clean && finish.code == CloseCode::ABNORMAL, finish)
}

pub(crate) async fn refused(visit: &mut Visit) -> Outcome {
    match visit.connect("/none").await {
        Ok(_) => Err("it was accepted".into()),
        Err(error) => expect(error.kind() == ErrorKind::Refused, error),
    }
}
