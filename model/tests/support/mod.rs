//! What the models share: how many schedules each is run with, and a transport in memory whose lock is
//! the model checker's, too.
//!
//! A lost wake-up shows as a thread that waits although nobody is left to wake it, which the checker
//! calls a dead lock. It takes every atomic operation as sequentially consistent: orderings that are too
//! weak are nothing that it can find.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures::{AsyncRead, AsyncWrite};
use shuttle::{
    Config, Runner,
    scheduler::{PctScheduler, RandomScheduler},
    sync::Mutex,
};
use wsweave::{Connection, Role};

/// Runs `model` with half of the `schedules` random at each step, and half with few changes of thread
/// at places that are. They are the same each time; `SHUTTLE_RANDOM_SEED` gives others.
pub(crate) fn check(schedules: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.silence_warnings = true;
    let model = Arc::new(model);
    let each = schedules / 2;
    let random = Arc::clone(&model);
    Runner::new(RandomScheduler::new_from_seed(1, each), config.clone()).run(move || random());
    Runner::new(PctScheduler::new_from_seed(2, 4, each), config).run(move || model());
}

/// A client and a server over a transport that holds `capacity` bytes each way.
pub(crate) fn pair(capacity: usize, config: wsweave::Config) -> (Connection<End>, Connection<End>) {
    let [up, down] = [(); 2].map(|()| Arc::new(Mutex::new(Way { capacity, ..Way::default() })));
    let client = End { input: Arc::clone(&down), output: Arc::clone(&up) };
    let server = End { input: up, output: down };
    (
        Connection::from_raw(client, Role::Client, config),
        Connection::from_raw(server, Role::Server, wsweave::Config::default()),
    )
}

/// One end of the transport; like a socket it keeps one waker a direction.
#[derive(Debug)]
pub(crate) struct End {
    input: Arc<Mutex<Way>>,
    output: Arc<Mutex<Way>>,
}

#[derive(Debug, Default)]
struct Way {
    bytes: VecDeque<u8>,
    capacity: usize,
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut way = self.input.lock().unwrap();
        if way.bytes.is_empty() && !way.ended {
            way.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let len = way.bytes.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(way.bytes.drain(..len)) {
            *place = byte;
        }
        let writer = way.writer.take();
        drop(way);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut way = self.output.lock().unwrap();
        if way.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let len = data.len().min(way.capacity - way.bytes.len());
        if len == 0 {
            way.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        way.bytes.extend(&data[..len]);
        let reader = way.reader.take();
        drop(way);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        end(&self.output);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        end(&self.input);
        end(&self.output);
    }
}

fn end(way: &Mutex<Way>) {
    let mut way = way.lock().unwrap();
    way.ended = true;
    let wakers = [way.reader.take(), way.writer.take()];
    drop(way);
    wakers.into_iter().flatten().for_each(Waker::wake);
}
