//! A transport that plays a part.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures::io::{AsyncRead, AsyncWrite};

/// What the peer does, one thing a read.
pub(crate) enum Step {
    Send(Vec<u8>),
    /// Answers what was written so far.
    Answer(Box<Answer>),
    /// Neither sends nor ends.
    Wait,
    /// Reports more bytes than there is room for.
    Lie,
}

type Answer = dyn FnOnce(&str) -> Vec<u8> + Send;

/// A transport whose peer follows a script, and ends when the script does.
#[derive(Default)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    log: Log,
    pause: bool,
    /// Takes nothing.
    is_deaf: bool,
}

/// What was done to a [`Script`].
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Logged>>);

#[derive(Default)]
struct Logged {
    written: Vec<u8>,
    read: usize,
    closed: bool,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }

    /// Sends everything at once, and then waits.
    pub(crate) fn whole(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new([Step::Send(bytes.into()), Step::Wait])
    }

    /// Sends the bytes in pieces of that size, and then waits.
    pub(crate) fn pieces(bytes: &[u8], size: usize) -> Self {
        let pieces = bytes.chunks(size).map(|piece| Step::Send(piece.into()));
        Self::new(pieces.chain([Step::Wait]))
    }

    /// Answers the request, in pieces of that size, and then waits.
    pub(crate) fn answer(answer: impl FnOnce(&str) -> Vec<u8> + Send + 'static) -> Self {
        Self::new([Step::Answer(Box::new(answer)), Step::Wait])
    }

    /// Follows the steps, and fails whenever it is written to.
    pub(crate) fn deaf(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { is_deaf: true, ..Self::new(steps) }
    }

    pub(crate) fn log(&self) -> Log {
        self.log.clone()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

impl Log {
    pub(crate) fn written(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().written.clone()).unwrap()
    }

    pub(crate) fn read(&self) -> usize {
        self.0.lock().unwrap().read
    }

    /// Whether the transport is gone.
    pub(crate) fn is_dropped(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().unwrap().closed
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // Every piece comes with a wake-up of its own.
        self.pause = !self.pause;
        if self.pause {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut bytes = match self.steps.pop_front() {
            None => return Poll::Ready(Ok(0)),
            Some(Step::Send(bytes)) => bytes,
            Some(Step::Answer(answer)) => answer(&self.log.written()),
            Some(Step::Lie) => return Poll::Ready(Ok(buf.len() + 1)),
            Some(Step::Wait) => {
                self.steps.push_front(Step::Wait);
                return Poll::Pending;
            }
        };
        let rest = bytes.split_off(bytes.len().min(buf.len()));
        if !rest.is_empty() {
            self.steps.push_front(Step::Send(rest));
        }
        buf[..bytes.len()].copy_from_slice(&bytes);
        self.log.0.lock().unwrap().read += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_deaf {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // Short writes.
        let buf = &buf[..buf.len().min(100)];
        self.log.0.lock().unwrap().written.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.log.0.lock().unwrap().closed = true;
        Poll::Ready(Ok(()))
    }
}
