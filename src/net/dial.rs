//! Happy eyeballs (RFC 8305): the first of a host's addresses that answers.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};

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
