//! The server behind relays: the bare loop, on a thread of its own.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    os::unix::fs::FileExt,
    sync::{LazyLock, OnceLock},
};

use tokio::net::TcpStream;

use super::{
    counted::Counted,
    echoes::bare_loop,
    server::{Serve, Server},
};

/// Runs from when it is first asked for until the end of the process.
static BACKEND: LazyLock<Server> = LazyLock::new(|| {
    let serve = |io: Counted<TcpStream>| {
        CLOCK.get_or_init(|| File::open("/proc/thread-self/schedstat").expect("a file of Linux"));
        // Its writes are not the relay's.
        tokio::spawn(bare_loop(io.0));
    };
    Server::start(Serve::Tokio(serve)).expect("a server on the loopback interface")
});

/// Of its thread, for whoever reads it.
static CLOCK: OnceLock<File> = OnceLock::new();

pub(super) fn addr() -> SocketAddr {
    BACKEND.addr
}

/// Nanoseconds of CPU time that it has used; it counts as of when it last waited.
pub(super) fn cpu() -> io::Result<f64> {
    let Some(clock) = CLOCK.get() else { return Ok(0.0) };
    let mut text = [0; 64];
    let len = clock.read_at(&mut text, 0)?;
    let text = str::from_utf8(&text[..len]).map_err(io::Error::other)?;
    text.split(' ').next().unwrap_or_default().parse().map_err(io::Error::other)
}
