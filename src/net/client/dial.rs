//! Happy eyeballs (RFC 8305): the first of a host's addresses that answers.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::stage::Stage;
use crate::{
    config::Clock,
    error::{BoxError, Error, ErrorKind},
    rt::{self, Endpoint, Runtime},
    socket::Socket,
    timeout::within,
};

/// Makes TCP connections.
pub(super) struct Dialer<'a> {
    pub(super) runtime: &'a dyn Runtime,
    pub(super) clock: &'a Clock,
    pub(super) nodelay: bool,
    pub(super) stage: &'a Stage,
}

impl Dialer<'_> {
    /// Connects to a host: to its addresses in turn, the next one when the one before has failed or has
    /// not answered for 250 ms. The first connection made is kept; the attempts under way are dropped.
    ///
    /// # Errors
    ///
    /// One that names the host, and why each address failed.
    pub(super) async fn dial(&self, host: &str, port: u16) -> Result<(Socket, SocketAddr), Error> {
        let addrs = self.look_up(host, port).await?;
        let clock = Clock::Given(rt::timer(self.clock).unwrap_or_else(|| self.runtime.timer()));
        self.stage.set("TCP");
        let mut failures = Vec::new();
        let mut attempts = FuturesUnordered::new();
        for addr in interleave(addrs) {
            let endpoint = Endpoint::Tcp { addr, nodelay: self.nodelay };
            let connecting = self.runtime.connect(endpoint);
            attempts.push(async move { (connecting.await, addr) });
            match within(&clock, ATTEMPT_DELAY, attempts.next()).await.flatten() {
                Some((Ok(socket), addr)) => return Ok((socket, addr)),
                Some((Err(error), addr)) => failures.push((error, addr)),
                None => {}
            }
        }
        while let Some((result, addr)) = attempts.next().await {
            match result {
                Ok(socket) => return Ok((socket, addr)),
                Err(error) => failures.push((error, addr)),
            }
        }
        Err(unreachable(host, port, summary(failures)))
    }

    /// The addresses of a host, one at least.
    pub(super) async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        self.stage.set("the look-up of a name");
        match self.runtime.look_up(host, port).await {
            Ok(addrs) if addrs.is_empty() => Err(unreachable(host, port, "it has no address")),
            Ok(addrs) => Ok(addrs),
            Err(error) => Err(unreachable(host, port, error)),
        }
    }
}

fn unreachable(host: &str, port: u16, cause: impl Into<BoxError>) -> Error {
    Error::with_source(ErrorKind::Io, format!("cannot connect to {host} port {port}"), cause)
}

/// Takes turns between the families of addresses, the first address's family first, and keeps the order
/// within each.
fn interleave(addrs: Vec<SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let first = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) =
        addrs.into_iter().partition(|addr| addr.is_ipv6() == first);
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    std::iter::from_fn(move || {
        let next = preferred.next().or_else(|| other.next());
        std::mem::swap(&mut preferred, &mut other);
        next
    })
}

/// All failures in one, of the kind of the last one.
fn summary(mut failures: Vec<(io::Error, SocketAddr)>) -> io::Error {
    if failures.len() == 1 {
        return failures.remove(0).0;
    }
    let kind = failures.last().map_or(io::ErrorKind::NotFound, |(error, _)| error.kind());
    let texts: Vec<_> = failures.iter().map(|(error, addr)| format!("{addr}: {error}")).collect();
    io::Error::new(kind, texts.join("; "))
}

/// How long an address may take before the next one is tried beside it (RFC 8305, section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{Arc, Mutex, MutexGuard},
        task::{Poll, Waker},
        time::Instant,
    };

    use futures::{executor::block_on, future::poll_immediate, io::Cursor, pin_mut};

    use super::*;
    use crate::{
        config::{Sleep, Timer},
        rt::{Boxed, Incoming, Listening},
    };

    /// A network that the test plays, with a clock that it moves.
    #[derive(Clone, Default)]
    struct Network(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        /// What the look-up gives, and when each address answers how.
        addrs: Vec<(SocketAddr, Behaviour)>,
        attempts: Vec<String>,
        under_way: usize,
        passed: Duration,
        sleepers: Vec<Waker>,
    }

    type Behaviour = (Duration, Result<(), io::ErrorKind>);

    const REFUSES: Behaviour = (Duration::ZERO, Err(io::ErrorKind::ConnectionRefused));
    const HANGS: Behaviour = (Duration::MAX, Ok(()));
    const ANSWERS: Behaviour = (Duration::ZERO, Ok(()));

    impl Network {
        fn new(addrs: &[(&str, Behaviour)]) -> Self {
            let network = Self::default();
            let addrs = addrs.iter().map(|(addr, behaviour)| (addr.parse().unwrap(), *behaviour));
            network.state().addrs = addrs.collect();
            network
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.0.lock().unwrap()
        }

        fn attempts(&self) -> Vec<String> {
            self.state().attempts.clone()
        }

        fn advance(&self, millis: u64) {
            let mut state = self.state();
            state.passed += Duration::from_millis(millis);
            state.sleepers.drain(..).for_each(Waker::wake);
        }
    }

    impl Timer for Network {
        fn now(&self) -> Instant {
            Instant::now()
        }

        fn sleep(&self, duration: Duration) -> Sleep {
            let network = self.clone();
            let end = network.state().passed.saturating_add(duration);
            Box::pin(poll_fn(move |cx| {
                let mut state = network.state();
                if state.passed >= end {
                    return Poll::Ready(());
                }
                state.sleepers.push(cx.waker().clone());
                Poll::Pending
            }))
        }
    }

    impl Runtime for Network {
        fn timer(&self) -> Arc<dyn Timer> {
            Arc::new(self.clone())
        }

        fn spawn(&self, _: Boxed<'static, ()>) {
            unreachable!("nothing is spawned")
        }

        fn look_up(&self, _: &str, _: u16) -> Boxed<'static, io::Result<Vec<SocketAddr>>> {
            let addrs = self.state().addrs.iter().map(|(addr, _)| *addr).collect();
            Box::pin(async { Ok(addrs) })
        }

        fn connect(&self, to: Endpoint) -> Boxed<'static, io::Result<Socket>> {
            let Endpoint::Tcp { addr, .. } = to else { unreachable!("over TCP") };
            let mut state = self.state();
            state.attempts.push(addr.ip().to_string());
            state.under_way += 1;
            let (after, result) = state.addrs.iter().find(|(other, _)| *other == addr).unwrap().1;
            let attempt = Attempt(self.clone());
            drop(state);
            Box::pin(async move {
                attempt.0.sleep(after).await;
                result?;
                Ok(Socket::new(Cursor::new(Vec::new())))
            })
        }

        fn listen(&self, _: Listening) -> io::Result<Incoming> {
            unreachable!("nobody listens")
        }
    }

    /// One that is under way.
    struct Attempt(Network);

    impl Drop for Attempt {
        fn drop(&mut self) {
            self.0.state().under_way -= 1;
        }
    }

    /// Dials, and moves the clock by so many milliseconds whenever it waits.
    fn dial(network: &Network, steps: &[u64]) -> Option<Result<SocketAddr, Error>> {
        let stage = Stage::new("nothing");
        let dialer = Dialer { runtime: network, clock: &Clock::None, nodelay: true, stage: &stage };
        let dialing = dialer.dial("a.example", 80);
        pin_mut!(dialing);
        for step in steps.iter().copied().chain([0]) {
            if let Some(result) = block_on(poll_immediate(&mut dialing)) {
                return Some(result.map(|(_, addr)| addr));
            }
            network.advance(step);
        }
        None
    }

    #[test]
    fn families_take_turns_and_the_first_addresss_is_the_first() {
        let network = Network::new(&[
            ("[::1]:80", REFUSES),
            ("[::2]:80", REFUSES),
            ("[::3]:80", REFUSES),
            ("10.0.0.1:80", REFUSES),
            ("10.0.0.2:80", REFUSES),
        ]);
        assert!(dial(&network, &[]).unwrap().is_err());
        assert_eq!(network.attempts(), ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]);

        let network = Network::new(&[
            ("10.0.0.1:80", REFUSES),
            ("10.0.0.2:80", REFUSES),
            ("[::1]:80", REFUSES),
        ]);
        assert!(dial(&network, &[]).unwrap().is_err());
        assert_eq!(network.attempts(), ["10.0.0.1", "::1", "10.0.0.2"]);
    }

    #[test]
    fn the_next_address_is_tried_after_a_quarter_of_a_second() {
        let network = Network::new(&[("[::1]:80", HANGS), ("10.0.0.1:80", ANSWERS)]);
        assert!(dial(&network, &[249]).is_none());
        assert_eq!(network.attempts(), ["::1"]);

        let addr = dial(&network, &[249, 1]).unwrap().unwrap();
        assert_eq!(addr, "10.0.0.1:80".parse().unwrap());
        assert_eq!(network.state().under_way, 0, "the other attempt is dropped");
    }

    #[test]
    fn the_next_address_is_tried_at_once_when_one_fails() {
        let network = Network::new(&[("[::1]:80", REFUSES), ("10.0.0.1:80", ANSWERS)]);
        assert_eq!(dial(&network, &[]).unwrap().unwrap().port(), 80);
        assert_eq!(network.attempts(), ["::1", "10.0.0.1"]);
    }

    #[test]
    fn a_slow_address_still_wins_if_the_others_are_slower() {
        let slow = (Duration::from_millis(300), Ok(()));
        let network = Network::new(&[("[::1]:80", slow), ("10.0.0.1:80", HANGS)]);
        assert!(dial(&network, &[250, 49]).is_none());
        let addr = dial(&network, &[250, 50]).unwrap().unwrap();
        assert!(addr.is_ipv6());
        assert_eq!(network.state().under_way, 0);
    }

    #[test]
    fn the_last_attempts_are_waited_for() {
        let slow = (Duration::from_secs(20), Ok(()));
        let network = Network::new(&[("[::1]:80", HANGS), ("10.0.0.1:80", slow)]);
        assert!(dial(&network, &[250, 19_999]).is_none());
        assert!(dial(&network, &[250, 20_000]).unwrap().unwrap().is_ipv4());
    }

    #[test]
    fn the_error_says_why_each_address_failed() {
        let timed_out = (Duration::from_secs(1), Err(io::ErrorKind::TimedOut));
        let network = Network::new(&[("[::1]:80", timed_out), ("10.0.0.1:80", REFUSES)]);
        let error = dial(&network, &[250, 1000]).unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot connect to a.example port 80: 10.0.0.1:80: connection refused; [::1]:80: timed out"
        );
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_host_without_addresses_is_an_error() {
        let error = dial(&Network::new(&[]), &[]).unwrap().unwrap_err();
        assert_eq!(error.to_string(), "cannot connect to a.example port 80: it has no address");
    }
}
