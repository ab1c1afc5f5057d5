//! The same echo through six parts of the API.

use std::future::ready;

use async_std::channel;
use futures::{SinkExt, StreamExt, TryStreamExt, future::join};
use wsweave::{ConnectionExt, Duplex, Error, Message};

#[derive(Clone, Copy, Default)]
pub(crate) enum Style {
    #[default]
    Loop,
    Pipe,
    Hooks,
    AsyncHooks,
    Callbacks,
    Handle,
}

impl Style {
    pub(crate) fn named(name: &str) -> Result<Self, &'static str> {
        Ok(match name {
            "loop" => Self::Loop,
            "pipe" => Self::Pipe,
            "hooks" => Self::Hooks,
            "async-hooks" => Self::AsyncHooks,
            "callbacks" => Self::Callbacks,
            "handle" => Self::Handle,
            _ => return Err("no such style"),
        })
    }

    /// Sends back every message that `echoes` says yes to, until the connection ends.
    pub(crate) async fn run(self, conn: impl Duplex + Send, echoes: Filter) -> Result<(), Error> {
        match self {
            Self::Loop => in_a_loop(conn, echoes).await,
            Self::Pipe => in_a_pipe(conn, echoes).await,
            Self::Hooks => in_a_hook(conn, echoes).await,
            Self::AsyncHooks => in_an_async_hook(conn, echoes).await,
            Self::Callbacks => in_a_callback(conn, echoes).await,
            Self::Handle => through_a_handle(conn, echoes).await,
        }
    }
}

/// Which messages to send back.
pub(crate) type Filter = fn(&Message) -> bool;

/// `feed`, not `send`: the echoes of all the messages of one read leave in one write.
async fn in_a_loop(mut conn: impl Duplex, echoes: Filter) -> Result<(), Error> {
    while let Some(message) = conn.next().await {
        if echoes(&message) {
            conn.feed(message).await?;
        }
    }
    Ok(())
}

/// `results` turns an unclean end into a last `Err`, which `forward` returns.
async fn in_a_pipe(conn: impl Duplex, echoes: Filter) -> Result<(), Error> {
    let (sink, stream) = conn.results().split();
    stream.try_filter(|message| ready(echoes(message))).forward(sink).await
}

/// A hook cannot wait: when the client does not read, the connection stops reading.
async fn in_a_hook(conn: impl Duplex, echoes: Filter) -> Result<(), Error> {
    let finish = conn
        .on_each(|peer, message| {
            if echoes(message) {
                peer.send(message.clone());
            }
        })
        .run()
        .await;
    finish.error.map_or(Ok(()), Err)
}

/// One future at a time: the next message waits until this one's echo has room.
async fn in_an_async_hook(conn: impl Duplex, echoes: Filter) -> Result<(), Error> {
    let finish = conn
        .on_each_async(|handle, message| async move {
            if echoes(&message) {
                // The only error is that the connection is closed: then nobody waits for an echo.
                let _ = handle.send(message).await;
            }
        })
        .run()
        .await;
    finish.error.map_or(Ok(()), Err)
}

/// Callbacks may be registered at any time, from anywhere that holds the registry.
async fn in_a_callback(conn: impl Duplex, echoes: Filter) -> Result<(), Error> {
    let (conn, callbacks) = conn.callbacks();
    callbacks.on_each(move |peer, message| {
        if echoes(message) {
            peer.send(message.clone());
        }
    });
    conn.run().await.error.map_or(Ok(()), Err)
}

/// A handle sends from elsewhere: here from a second future, which could as well be another task. The
/// asynchronous hook goes on driving the connection while that future is behind; a loop that waited for
/// the channel would stop the writes that the future is waiting for. Echoes that the client's Close finds
/// behind are too late.
async fn through_a_handle(mut conn: impl Duplex, echoes: Filter) -> Result<(), Error> {
    let (inbox, outbox) = channel::bounded(16);
    let handle = conn.handle();
    let echo = async move {
        while let Ok(message) = outbox.recv().await {
            if handle.send(message).await.is_err() {
                break;
            }
        }
    };
    let receive = conn.on_each_async(move |_, message| {
        let inbox = inbox.clone();
        async move {
            if echoes(&message) {
                // It fails when the other future has ended, as the connection then has, too.
                let _ = inbox.send(message).await;
            }
        }
    });
    let (finish, ()) = join(receive.run(), echo).await;
    finish.error.map_or(Ok(()), Err)
}
