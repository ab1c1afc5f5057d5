//! [`Server`] as a stream: it accepts clients, and runs their handshakes side by side.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::{FusedStream, Stream};
use http::{StatusCode, header::RETRY_AFTER};

use super::{Server, listeners::Arrival};
use crate::{
    connection::Connection, error::Error, ext::ConnectionExt, handshake::Refusal, rt::Boxed,
};

/// What becomes of a client, whose address is for the log.
pub(super) type Handshake = Boxed<'static, (Option<SocketAddr>, Result<Connection, Error>)>;

impl Stream for Server {
    type Item = Connection;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Connection>> {
        let this = self.get_mut();
        this.shared.server.register(cx.waker());
        this.accept(cx);
        if this.shared.listeners().is_empty() {
            this.handshakes.clear();
            this.terminated = true;
            return Poll::Ready(None);
        }
        match Pin::new(&mut this.handshakes).poll_next(cx) {
            Poll::Ready(Some((_, Ok(conn)))) => Poll::Ready(Some(conn)),
            Poll::Ready(Some((peer, Err(error)))) => {
                tracing::debug!(?peer, %error, "a handshake failed");
                // There is room for another one now; a flood of failures still lets others run.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

impl FusedStream for Server {
    fn is_terminated(&self) -> bool {
        self.terminated
    }
}

impl Server {
    /// Starts the handshakes of all clients that wait, as far as there is room.
    fn accept(&mut self, cx: &mut Context<'_>) {
        while self.handshakes.len() < MAX_HANDSHAKES {
            let arrival = self.shared.listeners().poll_accept(cx);
            match arrival {
                Poll::Ready(arrival) => self.handshakes.push(self.handshake(arrival)),
                Poll::Pending => return,
            }
        }
    }

    /// What becomes of a client.
    fn handshake(&self, (socket, peer): Arrival) -> Handshake {
        let (mut acceptor, tls) = (self.acceptor.clone(), self.tls.clone());
        let (registry, max) = (Arc::clone(&self.shared.registry), self.max_connections);
        if tls.is_some() {
            acceptor.origins = acceptor.origins.over_tls();
        }
        Box::pin(async move {
            let io = async {
                match tls {
                    Some(tls) => tls.accept(socket).await,
                    None => Ok(socket),
                }
            };
            let admit = || registry.admit(max).ok_or_else(too_many);
            let accepted = acceptor.accept_from(io, peer, admit).await;
            (peer, accepted.map(enlist))
        })
    }
}

fn too_many() -> Refusal {
    let text = "the server has as many connections as it may have: try again later";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text).with_header(RETRY_AFTER, "10")
}

/// Has the shutdown find a connection.
fn enlist(mut conn: Connection) -> Connection {
    if let Some(permit) = conn.get_ref().permit.clone() {
        permit.attach(conn.handle());
    }
    conn.linger_on_drop()
}

/// How many handshakes run at a time; other clients wait in the system's queue.
const MAX_HANDSHAKES: usize = 512;

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use futures::{AsyncRead, AsyncWrite, Future, StreamExt, channel::oneshot, stream};
    use futures_test::task::new_count_waker;

    use super::*;
    use crate::{config::Config, socket::Socket};

    /// A client that says nothing, until it goes.
    struct Dawdler(oneshot::Receiver<()>);

    impl AsyncRead for Dawdler {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            _: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll(cx).map(|_| Ok(0))
        }
    }

    impl AsyncWrite for Dawdler {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(data.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn beyond_512_handshakes_clients_wait_for_one_to_be_done() {
        let (mut clients, dawdlers): (Vec<_>, Vec<_>) =
            (0..MAX_HANDSHAKES + 88).map(|_| oneshot::channel()).unzip();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let incoming = stream::iter(dawdlers).map(move |dawdler| {
            counter.fetch_add(1, SeqCst);
            Ok((Socket::new(Dawdler(dawdler)), None))
        });
        let mut server = Server::new().config(Config::default().no_timer());
        server.shared.listeners().incoming.push(Box::pin(incoming.chain(stream::pending())));

        let (waker, count) = new_count_waker();
        let mut poll = || {
            let mut seen = None;
            // As an executor does: again whenever it was woken.
            while seen != Some(count.get()) {
                seen = Some(count.get());
                assert!(server.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
                assert!(count.get() < 10_000, "a busy loop");
            }
            accepted.load(SeqCst)
        };
        assert_eq!(poll(), 512);
        assert_eq!(poll(), 512);
        clients.remove(0);
        assert_eq!(poll(), 513);
        clients.drain(100..180);
        assert_eq!(poll(), 593);
        clients.clear();
        assert_eq!(poll(), 600);
    }
}
