//! [`Listeners`]: where a server accepts clients, all of them in one place.

use std::{
    fmt, io, mem,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

#[cfg(unix)]
use super::socket_file::SocketFile;
use crate::{
    config::{Sleep, Timer},
    error::{Error, ErrorKind},
    rt::{Incoming, Listening, Runtime},
    socket::Socket,
};

/// A client that has not said anything yet, and its address if it comes by TCP.
pub(super) type Arrival = (Socket, Option<SocketAddr>);

/// What a server listens at.
pub(super) struct Listeners {
    pub(super) incoming: Vec<Incoming>,
    /// Which of them was asked last: each has its turn.
    last: usize,
    /// Those of TCP.
    addrs: Vec<SocketAddr>,
    #[cfg(unix)]
    files: Vec<SocketFile>,
    accepting: Accepting,
    timer: Option<Arc<dyn Timer>>,
}

/// When the next client is accepted.
enum Accepting {
    Now,
    /// After this, because it failed.
    After(Sleep),
    Never,
}

impl Listeners {
    pub(super) fn new() -> Self {
        Self {
            incoming: Vec::new(),
            last: 0,
            addrs: Vec::new(),
            #[cfg(unix)]
            files: Vec::new(),
            accepting: Accepting::Now,
            timer: None,
        }
    }

    /// Listens there, too; after the end that is over at once.
    pub(super) fn add(&mut self, listener: Listening, runtime: &dyn Runtime) -> io::Result<()> {
        let addr = match &listener {
            Listening::Tcp(listener) => Some(listener.local_addr()?),
            #[cfg(unix)]
            Listening::Unix(_) => None,
        };
        let incoming = runtime.listen(listener)?;
        if !self.is_closed() {
            self.incoming.push(incoming);
        }
        self.addrs.extend(addr);
        self.timer = Some(runtime.timer());
        Ok(())
    }

    /// Has a file removed when its listener is closed.
    #[cfg(unix)]
    pub(super) fn keep(&mut self, file: SocketFile) {
        if !self.is_closed() {
            self.files.push(file);
        }
    }

    pub(super) fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Whether nothing listens, be it not yet or no more.
    pub(super) fn is_empty(&self) -> bool {
        self.incoming.is_empty()
    }

    /// The clock of the runtime that it listens on.
    pub(super) fn timer(&self) -> Option<Arc<dyn Timer>> {
        self.timer.clone()
    }

    /// Nobody is accepted any more, once what this returns is dropped.
    #[must_use]
    pub(super) fn close(&mut self) -> Vec<Incoming> {
        #[cfg(unix)]
        self.files.clear();
        self.accepting = Accepting::Never;
        mem::take(&mut self.incoming)
    }

    fn is_closed(&self) -> bool {
        matches!(self.accepting, Accepting::Never)
    }

    /// The next client.
    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        for _ in 0..MAX_GONE {
            if let Accepting::After(sleep) = &mut self.accepting {
                ready!(sleep.as_mut().poll(cx));
                self.accepting = Accepting::Now;
            }
            match ready!(self.poll_incoming(cx)) {
                Ok(arrival) => return Poll::Ready(arrival),
                Err(error) if is_of_one_client(&error) => {
                    tracing::debug!(%error, "a client went before it was accepted");
                }
                Err(error) => {
                    // Most often there are too many open files; the next try would fail at once, too.
                    tracing::warn!(%error, "cannot accept a connection");
                    if let Some(timer) = &self.timer {
                        self.accepting = Accepting::After(timer.sleep(BACK_OFF));
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        for _ in 0..self.incoming.len() {
            self.last = (self.last + 1) % self.incoming.len();
            if let Poll::Ready(Some(result)) = self.incoming[self.last].as_mut().poll_next(cx) {
                return Poll::Ready(result);
            }
        }
        Poll::Pending
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners")
            .field("addrs", &self.addrs)
            .field("open", &self.incoming.len())
            .finish_non_exhaustive()
    }
}

/// Looks up where to listen.
pub(super) async fn look_up(runtime: &dyn Runtime, addr: &str) -> Result<Vec<SocketAddr>, Error> {
    if let Ok(addr) = addr.parse() {
        return Ok(vec![addr]);
    }
    let (host, port) = addr
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .ok_or_else(|| Error::invalid_input(format!("`{addr}` is no HOST:PORT to listen on")))?;
    runtime.look_up(host, port).await.map_err(|error| cannot_listen(addr, error))
}

pub(super) fn cannot_listen(place: impl fmt::Display, error: io::Error) -> Error {
    Error::with_source(ErrorKind::Io, format!("cannot listen on {place}"), error)
}

/// Tells whether the next client may well be accepted.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// How many clients may be found gone before others on the executor have their turn.
const MAX_GONE: usize = 64;

/// How long to wait after a client could not be accepted.
const BACK_OFF: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use std::{future, iter, task::Waker, time::Instant};

    use futures::{StreamExt, stream};
    use futures_test::task::new_count_waker;

    use super::*;

    /// A pause that never ends.
    struct Endless;

    impl Timer for Endless {
        fn now(&self) -> Instant {
            Instant::now()
        }

        fn sleep(&self, _: Duration) -> Sleep {
            Box::pin(future::pending())
        }
    }

    /// Listeners whose system gives these errors, and then nothing.
    fn failing(kinds: impl IntoIterator<Item = io::ErrorKind>) -> Listeners {
        let errors: Vec<_> = kinds.into_iter().map(|kind| Err(kind.into())).collect();
        let mut listeners = Listeners::new();
        listeners.incoming.push(Box::pin(stream::iter(errors).chain(stream::pending())));
        listeners.timer = Some(Arc::new(Endless));
        listeners
    }

    fn pauses(listeners: &mut Listeners) -> bool {
        assert!(listeners.poll_accept(&mut Context::from_waker(Waker::noop())).is_pending());
        matches!(listeners.accepting, Accepting::After(_))
    }

    #[test]
    fn a_client_that_went_costs_the_next_one_no_time() {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, Other};
        assert!(!pauses(&mut failing([ConnectionAborted, ConnectionReset, Interrupted])));
        assert!(pauses(&mut failing([ConnectionAborted, Other])));
    }

    #[test]
    fn a_flood_of_clients_that_went_lets_others_run() {
        let mut listeners = failing(iter::repeat_n(io::ErrorKind::ConnectionAborted, 100));
        let (waker, count) = new_count_waker();
        let mut cx = Context::from_waker(&waker);
        assert!(listeners.poll_accept(&mut cx).is_pending());
        assert_eq!(count, 1);
        assert!(listeners.poll_accept(&mut cx).is_pending());
        assert_eq!(count, 1);
    }
}
