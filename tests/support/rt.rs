//! The runtime that the tests run on: the first one whose feature is on.

use std::{
    future::Future,
    net::{TcpListener, TcpStream},
    pin::pin,
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Either, LocalBoxFuture, RemoteHandle, select},
};
use wsweave::Socket;

struct Runtime {
    block_on: fn(LocalBoxFuture<'_, ()>),
    spawn: fn(BoxFuture<'static, ()>),
    socket: fn(TcpStream) -> Socket,
    count_tasks: fn() -> usize,
}

const RUNTIMES: &[Runtime] = &[
    #[cfg(feature = "tokio")]
    Runtime {
        block_on: |work| on_tokio::runtime().block_on(work),
        spawn: |task| drop(on_tokio::runtime().spawn(task)),
        socket: on_tokio::socket,
        count_tasks: || on_tokio::runtime().metrics().num_alive_tasks(),
    },
    #[cfg(feature = "smol")]
    Runtime {
        block_on: |work| smol::block_on(work),
        spawn: |task| smol::spawn(task).detach(),
        socket: |stream| smol::net::TcpStream::try_from(stream).unwrap().into(),
        count_tasks: || 0,
    },
    #[cfg(feature = "async-std")]
    Runtime {
        block_on: |work| async_std::task::block_on(work),
        spawn: |task| drop(async_std::task::spawn(task)),
        socket: |stream| async_std::net::TcpStream::from(stream).into(),
        count_tasks: || 0,
    },
    // One that the crate knows nothing of.
    Runtime {
        block_on: |work| futures::executor::block_on(work),
        spawn: |task| smol::spawn(task).detach(),
        socket: |stream| Socket::new(smol::net::TcpStream::try_from(stream).unwrap()),
        count_tasks: || 0,
    },
];

const RUNTIME: &Runtime = &RUNTIMES[0];

/// Runs `work` in the runtime's context; a test that hangs fails instead.
pub(crate) fn within<T>(work: impl Future<Output = T>) -> T {
    within_time(Duration::from_secs(60), work)
}

/// The same, where a minute is too little.
pub(crate) fn within_time<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    let mut output = None;
    (RUNTIME.block_on)(Box::pin(async { output = in_time(limit, work).await }));
    output.unwrap_or_else(|| panic!("not finished within {limit:?}"))
}

/// Runs `work` for at most `limit`.
pub(crate) async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), pin!(sleep(limit))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Sleeps, on every runtime by the same clock: not that of the connections under test.
pub(crate) async fn sleep(duration: Duration) {
    smol::Timer::after(duration).await;
}

/// Lets others run.
pub(crate) async fn yield_now() {
    smol::future::yield_now().await;
}

/// Runs `task` beside the caller; it ends when the handle is dropped.
pub(crate) fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> RemoteHandle<T> {
    let (task, handle) = task.remote_handle();
    (RUNTIME.spawn)(Box::pin(task));
    handle
}

/// How many tasks the runtime has, if it tells, as tokio does; else none.
pub(crate) fn count_tasks() -> usize {
    (RUNTIME.count_tasks)()
}

/// A socket of the runtime's own stream.
pub(crate) fn socket(stream: TcpStream) -> Socket {
    (RUNTIME.socket)(stream)
}

/// Both ends of a TCP connection over loopback, the one that asked for it first.
pub(crate) fn tcp_streams() -> [TcpStream; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    [client, listener.accept().unwrap().0]
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use std::{net::TcpStream, sync::OnceLock};

    use wsweave::Socket;

    pub(super) fn runtime() -> &'static tokio::runtime::Runtime {
        static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        RUNTIME.get_or_init(|| builder.worker_threads(2).enable_all().build().unwrap())
    }

    pub(super) fn socket(stream: TcpStream) -> Socket {
        let _context = runtime().enter();
        stream.set_nonblocking(true).unwrap();
        tokio::net::TcpStream::from_std(stream).unwrap().into()
    }
}
