//! [`listen`] and [`Listener`].

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use http::Request;

use crate::{
    config::{Config, Sleep},
    connection::Connection,
    error::{Error, ErrorKind},
    handshake::{Accept, Refusal},
    net::Acceptor,
    rt::{self, Incoming, Listening, Runtime},
};

/// Listens for WebSocket connections on a TCP address: `HOST:PORT`, where port 0 picks a free one.
///
/// # Errors
///
/// [`ErrorKind::Io`] if the address cannot be had; [`ErrorKind::Unsupported`] without the
/// feature of a runtime.
///
/// # Examples
///
/// ```
/// # async_std::task::block_on(async {
/// let listener = wsweave::listen("127.0.0.1:0").await?;
/// println!("listening on ws://{}", listener.local_addr());
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
pub async fn listen(addr: &str) -> Result<Listener, Error> {
    let runtime = rt::required("listen")?;
    let (local_addr, incoming) = bind(&*runtime, addr).map_err(|error| {
        Error::with_source(ErrorKind::Io, format!("cannot listen on {addr}"), error)
    })?;
    Ok(Listener {
        local_addr,
        incoming,
        accepting: Accepting::Now,
        handshakes: FuturesUnordered::new(),
        acceptor: Acceptor::new(),
        runtime,
    })
}

/// Gives the connections that clients make: a stream that does not end.
///
/// Handshakes run side by side, 512 at most, and only while the stream is polled: serve each connection
/// in a task of its own. One that fails is logged with `tracing` and costs the others nothing. Dropping
/// the listener drops the handshakes under way; connections that it gave stay.
///
/// # Examples
///
/// ```
/// use async_std::task;
/// use futures::StreamExt;
/// use wsweave::ConnectionExt;
///
/// # async_std::task::block_on(async {
/// let mut listener = wsweave::listen("127.0.0.1:0").await?;
/// let url = format!("ws://{}", listener.local_addr());
/// task::spawn(async move {
///     while let Some(conn) = listener.next().await {
///         task::spawn(conn.on_each(|peer, message| peer.send(message.clone())).run());
///     }
/// });
/// # let _conn = wsweave::connect(&url).await?;
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[must_use = "a listener does nothing unless polled"]
pub struct Listener {
    local_addr: SocketAddr,
    incoming: Incoming,
    accepting: Accepting,
    handshakes: FuturesUnordered<Handshake>,
    acceptor: Acceptor,
    runtime: Arc<dyn Runtime>,
}

fn bind(runtime: &dyn Runtime, addr: &str) -> io::Result<(SocketAddr, Incoming)> {
    let listener = std::net::TcpListener::bind(addr)?;
    Ok((listener.local_addr()?, runtime.listen(Listening::Tcp(listener))?))
}

type Handshake =
    Pin<Box<dyn Future<Output = (Option<SocketAddr>, Result<Connection, Error>)> + Send>>;

/// When the next client is accepted.
enum Accepting {
    Now,
    /// After this, because it failed.
    After(Sleep),
}

impl Listener {
    /// The address that clients connect to.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// let listener = wsweave::listen("127.0.0.1:0").await?;
    /// assert_ne!(listener.local_addr().port(), 0);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Sets the configuration of the handshakes and connections to come.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// use wsweave::Config;
    /// let config = Config::default().max_message_size(1 << 16);
    /// let listener = wsweave::listen("127.0.0.1:0").await?.config(config);
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub fn config(mut self, config: Config) -> Self {
        self.acceptor = self.acceptor.config(config);
        self
    }

    /// Lets `decide` see each request and accept or refuse it: see [`Acceptor::on_request`]. The
    /// request's extensions have the [`SocketAddr`] of the client.
    ///
    /// ```
    /// # async_std::task::block_on(async {
    /// use std::net::SocketAddr;
    /// use wsweave::{Accept, Refusal, http::StatusCode};
    ///
    /// let listener = wsweave::listen("127.0.0.1:0").await?.on_request(|request| {
    ///     match request.extensions().get::<SocketAddr>() {
    ///         Some(peer) if peer.ip().is_loopback() => Ok(Accept::new()),
    ///         _ => Err(Refusal::new(StatusCode::FORBIDDEN, "neighbours only")),
    ///     }
    /// });
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub fn on_request<F>(mut self, decide: F) -> Self
    where
        F: Fn(&Request<()>) -> Result<Accept, Refusal> + Send + Sync + 'static,
    {
        self.acceptor = self.acceptor.on_request(decide);
        self
    }

    /// Starts the handshakes of all clients that wait, as far as there is room.
    fn accept(&mut self, cx: &mut Context<'_>) {
        let mut gone = 0;
        while self.handshakes.len() < MAX_HANDSHAKES {
            if let Accepting::After(sleep) = &mut self.accepting {
                if sleep.as_mut().poll(cx).is_pending() {
                    return;
                }
                self.accepting = Accepting::Now;
            }
            match self.incoming.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok((socket, peer)))) => {
                    let acceptor = self.acceptor.clone();
                    self.handshakes.push(Box::pin(async move {
                        let accepted = acceptor.accept_from(socket, peer).await;
                        (peer, accepted.map(Connection::linger_on_drop))
                    }));
                }
                Poll::Ready(Some(Err(error))) if is_of_one_client(&error) => {
                    tracing::debug!(%error, "a client went before it was accepted");
                    gone += 1;
                    if gone == MAX_GONE {
                        cx.waker().wake_by_ref();
                        return;
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    // Most often there are too many open files; the next try would fail at once, too.
                    tracing::warn!(%error, "cannot accept a connection");
                    self.accepting = Accepting::After(self.runtime.timer().sleep(BACK_OFF));
                }
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }
}

impl Stream for Listener {
    type Item = Connection;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Connection>> {
        let this = self.get_mut();
        this.accept(cx);
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

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("local_addr", &self.local_addr)
            .field("handshakes", &self.handshakes.len())
            .field("acceptor", &self.acceptor)
            .finish_non_exhaustive()
    }
}

/// Tells whether the next client may well be accepted.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// How many handshakes run at a time; other clients wait in the system's queue.
const MAX_HANDSHAKES: usize = 512;

/// How many clients may be found gone before others on the executor have their turn.
const MAX_GONE: usize = 64;

/// How long to wait after a client could not be accepted.
const BACK_OFF: Duration = Duration::from_millis(200);

#[cfg(all(test, feature = "async-std"))]
mod tests {
    use std::{iter, task::Waker};

    use futures::{StreamExt, stream};
    use futures_test::task::new_count_waker;

    use super::*;

    /// A listener whose system gives these errors, and then nothing.
    fn failing(kinds: impl IntoIterator<Item = io::ErrorKind>) -> Listener {
        let errors: Vec<_> = kinds.into_iter().map(|kind| Err(kind.into())).collect();
        Listener {
            local_addr: ([127, 0, 0, 1], 1).into(),
            incoming: Box::pin(stream::iter(errors).chain(stream::pending())),
            accepting: Accepting::Now,
            handshakes: FuturesUnordered::new(),
            acceptor: Acceptor::new(),
            runtime: rt::ambient().expect("the feature is on"),
        }
    }

    fn pauses(listener: &mut Listener) -> bool {
        listener.accept(&mut Context::from_waker(Waker::noop()));
        matches!(listener.accepting, Accepting::After(_))
    }

    #[test]
    fn a_client_that_went_costs_the_next_one_no_time() {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, Other};
        assert!(!pauses(&mut failing([ConnectionAborted, ConnectionReset, Interrupted])));
        assert!(pauses(&mut failing([ConnectionAborted, Other])));
    }

    #[test]
    fn a_flood_of_clients_that_went_lets_others_run() {
        let mut listener = failing(iter::repeat_n(io::ErrorKind::ConnectionAborted, 100));
        let (waker, count) = new_count_waker();
        let mut cx = Context::from_waker(&waker);
        listener.accept(&mut cx);
        assert_eq!(count, 1);
        listener.accept(&mut cx);
        assert_eq!(count, 1);
    }
}
