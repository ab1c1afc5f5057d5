//! What the servers do with a connection: its path says.

use futures::{
    SinkExt, StreamExt,
    channel::mpsc::{channel, unbounded},
    future::join,
};
use wsweave::{Connection, ConnectionExt};

use crate::holdings::spawn;

/// The paths on which every message comes back, in every style.
pub(crate) const ECHOES: [&str; 7] =
    ["/loop", "/pipe", "/hook", "/async", "/callbacks", "/handle", "/tasks"];

pub(crate) async fn serve_one(conn: Connection) {
    let path = conn.request().unwrap().uri().path().to_owned();
    match &*path {
        "/loop" => echo_in_a_loop(conn).await,
        "/pipe" => {
            let (sink, stream) = conn.results().split();
            let _ = stream.forward(sink).await;
        }
        "/hook" => {
            conn.on_ping(|_, _| ()).on_each(|peer, message| peer.send(message.clone())).run().await;
        }
        "/async" => {
            let echo = |handle: wsweave::Handle, message| async move {
                let _ = handle.send(message).await;
            };
            conn.on_each_async(echo).run().await;
        }
        "/callbacks" => echo_in_callbacks(conn).await,
        "/handle" => echo_by_a_handle(conn).await,
        "/tasks" => echo_in_two_tasks(conn).await,
        "/flood" => flood(conn).await,
        "/panic" => {
            conn.on_each(|_, _| -> () { panic_silently() }).run().await;
        }
        "/fail" => {
            conn.on_each(|_, _| Err::<(), _>("as it may")).run().await;
        }
        "/drop" => {
            let mut conn = conn;
            let _ = conn.next().await;
            let _ = conn.feed("the last word".into()).await;
        }
        "/abort" => {
            let mut conn = conn;
            let _ = conn.next().await;
            conn.abort();
        }
        path => panic!("nobody is at {path}"),
    }
}

async fn echo_in_a_loop(mut conn: Connection) {
    while let Some(message) = conn.next().await {
        if conn.send(message).await.is_err() {
            // The end is still to come.
            conn.run().await;
            return;
        }
    }
}

/// A callback that holds its registry, which holds the callback.
async fn echo_in_callbacks(conn: Connection) {
    let (conn, callbacks) = conn.callbacks();
    let own = callbacks.clone();
    callbacks.on_each(move |peer, message| {
        peer.send(message.clone());
        own.on_next(|_, _| ()).cancel();
    });
    callbacks.on_finish(|finish| drop(finish.to_string()));
    conn.run().await;
}

/// Another task answers, with a handle that it keeps beyond the end. Who sends on and on and takes no
/// answer is left: to wait for room, and not to poll meanwhile, would be to wait for ever.
async fn echo_by_a_handle(mut conn: Connection) {
    let handle = conn.handle();
    let (messages, mut received) = unbounded();
    let answering = spawn(async move {
        while let Some(message) = received.next().await {
            let _ = handle.send(message).await;
        }
        handle.closed().await;
        assert!(handle.try_send("too late").is_err());
    });
    while let Some(message) = conn.next().await {
        if messages.len() > MANY {
            break;
        }
        messages.unbounded_send(message).unwrap();
    }
    drop((messages, conn));
    answering.await;
}

/// The sink's half drives the connection, too, so the other one may wait for it.
async fn echo_in_two_tasks(conn: Connection) {
    let (mut sink, mut stream) = conn.split();
    let (mut messages, mut received) = channel(0);
    let answering = spawn(async move {
        while let Some(message) = received.next().await {
            let _ = sink.send(message).await;
        }
    });
    while let Some(message) = stream.next().await {
        messages.send(message).await.unwrap();
    }
    drop(messages);
    answering.await;
}

/// Sends for as long as that goes.
async fn flood(conn: Connection) {
    let (mut sink, stream) = conn.split();
    let sending = async { while sink.send(vec![7; 64 << 10].into()).await.is_ok() {} };
    join(sending, stream.for_each(|_| async {})).await;
}

/// What does not go by way of the process's hook for panics prints nothing.
pub(crate) fn panic_silently() -> ! {
    std::panic::resume_unwind(Box::new("as it may"))
}

/// More than a well-behaved visitor has under way.
const MANY: usize = 20;
