//! A transport in the test's hands.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite};
use wsweave::Role;

use super::{Frame, parse};

/// The connection's end of the transport.
#[derive(Debug)]
pub(crate) struct Script(Wire);

/// The test's end: says what reads and writes meet, and sees what was done.
///
/// Like tokio's sockets it keeps one waker a direction: of two tasks that read, the first is lost.
#[derive(Clone, Debug)]
pub(crate) struct Wire(Arc<(Mutex<State>, Condvar)>);

/// What the connection did to its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Read(usize),
    Write(usize),
    Flush,
    Close,
}

#[derive(Debug)]
pub(crate) struct State {
    inbound: VecDeque<Vec<u8>>,
    /// Repeated without end when nothing else waits, `.1` bytes a read.
    flood: Option<(Vec<u8>, usize)>,
    flooded: usize,
    end: Option<End>,
    /// How many bytes writes may still take before they block.
    room: usize,
    write_limit: usize,
    vectored: bool,
    write_error: Option<io::ErrorKind>,
    /// `Flush` or `Close`, if that blocks for now.
    stuck: Option<Op>,
    /// How many reads and writes to come are interrupted.
    interruptions: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
    pub(crate) written: Vec<u8>,
    pub(crate) ops: Vec<Op>,
    /// Where the large slices given to writes lie in memory.
    pub(crate) large_slices: Vec<usize>,
    pub(crate) closed: bool,
    pub(crate) dropped: bool,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Eof,
    Reset,
}

impl Wire {
    pub(crate) fn new() -> (Script, Self) {
        let state = State {
            inbound: VecDeque::new(),
            flood: None,
            flooded: 0,
            end: None,
            room: usize::MAX,
            write_limit: usize::MAX,
            vectored: true,
            write_error: None,
            stuck: None,
            interruptions: 0,
            reader: None,
            writer: None,
            written: Vec::new(),
            ops: Vec::new(),
            large_slices: Vec::new(),
            closed: false,
            dropped: false,
        };
        let wire = Self(Arc::new((Mutex::new(state), Condvar::new())));
        (Script(wire.clone()), wire)
    }

    /// One piece: no read returns bytes of two pieces.
    pub(crate) fn give(&self, piece: impl AsRef<[u8]>) {
        self.change(|state| state.inbound.push_back(piece.as_ref().to_vec()));
    }

    /// A piece for each `size` bytes.
    pub(crate) fn give_in_pieces(&self, bytes: &[u8], size: usize) {
        self.change(|state| state.inbound.extend(bytes.chunks(size).map(<[u8]>::to_vec)));
    }

    /// Repeats `pattern` without end, at most `piece` bytes a read.
    pub(crate) fn flood(&self, pattern: impl AsRef<[u8]>, piece: usize) {
        self.change(|state| state.flood = Some((pattern.as_ref().to_vec(), piece)));
    }

    pub(crate) fn stop_flood(&self) {
        self.change(|state| state.flood = None);
    }

    /// The peer ends its side, behind what was given.
    pub(crate) fn end(&self) {
        self.change(|state| state.end = Some(End::Eof));
    }

    /// Reads fail behind what was given, writes at once.
    pub(crate) fn reset(&self) {
        self.change(|state| {
            state.end = Some(End::Reset);
            state.write_error = Some(io::ErrorKind::ConnectionReset);
        });
    }

    /// Writes fail from now on; reads do not.
    pub(crate) fn break_writes(&self) {
        self.change(|state| state.write_error = Some(io::ErrorKind::BrokenPipe));
    }

    /// Writes take `bytes` more and then block.
    pub(crate) fn allow(&self, bytes: usize) {
        self.change(|state| state.room = bytes);
    }

    pub(crate) fn block_writes(&self) {
        self.allow(0);
    }

    pub(crate) fn unblock_writes(&self) {
        self.allow(usize::MAX);
    }

    /// Flushing the transport (`Op::Flush`) or ending our side of it (`Op::Close`) blocks.
    pub(crate) fn stick(&self, op: Op) {
        self.change(|state| state.stuck = Some(op));
    }

    pub(crate) fn unstick(&self) {
        self.change(|state| state.stuck = None);
    }

    /// The next `times` reads and writes are interrupted, as by a signal.
    pub(crate) fn interrupt(&self, times: usize) {
        self.change(|state| state.interruptions = times);
    }

    /// A write takes at most `bytes`.
    pub(crate) fn limit_writes(&self, bytes: usize) {
        self.change(|state| state.write_limit = bytes);
    }

    /// Vectored writes take their first slice only, as a transport without them does.
    pub(crate) fn without_vectored(&self) {
        self.change(|state| state.vectored = false);
    }

    /// What was written since the last call.
    pub(crate) fn take_written(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().written)
    }

    /// The frames among that, as a connection in `role` must send them: whole, and masked by a client.
    pub(crate) fn sent_by(&self, role: Role) -> Vec<Frame> {
        let written = self.take_written();
        let (frames, rest) = parse(&written);
        assert!(rest.is_empty(), "{} bytes of an unfinished frame", rest.len());
        for frame in &frames {
            assert_eq!(frame.key.is_some(), role == Role::Client, "masked by role: {frame:?}");
        }
        frames.into_iter().map(|frame| frame.keyed(None)).collect()
    }

    pub(crate) fn reads(&self) -> usize {
        self.state().ops.iter().filter(|op| matches!(op, Op::Read(_))).count()
    }

    pub(crate) fn writes(&self) -> usize {
        self.state().ops.iter().filter(|op| matches!(op, Op::Write(_))).count()
    }

    /// How many bytes the connection has read.
    pub(crate) fn bytes_read(&self) -> usize {
        self.state().ops.iter().map(|op| if let Op::Read(bytes) = op { *bytes } else { 0 }).sum()
    }

    /// How many bytes wait to be read.
    pub(crate) fn unread(&self) -> usize {
        self.state().inbound.iter().map(Vec::len).sum()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.state().dropped
    }

    /// The waker that waits for something to read.
    pub(crate) fn reader(&self) -> Option<Waker> {
        self.state().reader.clone()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// Blocks this thread until another one has made `condition` true.
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let patience = Duration::from_secs(30);
        let (_state, waited) =
            self.0.1.wait_timeout_while(self.state(), patience, |state| !condition(state)).unwrap();
        assert!(!waited.timed_out(), "waited too long until {what}");
    }

    /// Changes the state and wakes whoever waits for a change.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = self.state();
            change(&mut state);
            let reader = if state.can_read() { state.reader.take() } else { None };
            let writer = if state.can_write() { state.writer.take() } else { None };
            [reader, writer]
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Does what the connection asks for and tells whoever waits in [`wait_until`](Self::wait_until).
    fn act<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        let done = action(&mut self.state());
        self.0.1.notify_all();
        done
    }
}

impl State {
    fn can_read(&self) -> bool {
        !self.inbound.is_empty() || self.flood.is_some() || self.end.is_some()
    }

    fn can_write(&self) -> bool {
        self.room > 0 || self.write_error.is_some()
    }

    fn is_interrupted(&mut self) -> bool {
        let interrupted = self.interruptions > 0;
        self.interruptions -= usize::from(interrupted);
        interrupted
    }

    /// Done at once unless it is stuck.
    fn finish(&mut self, cx: &Context<'_>, op: Op) -> Poll<io::Result<()>> {
        if self.stuck == Some(op) {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.closed |= op == Op::Close;
        self.ops.push(op);
        Poll::Ready(Ok(()))
    }

    fn read(&mut self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        assert!(!buffer.is_empty(), "a read into nothing looks like the end");
        if self.is_interrupted() {
            return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
        }
        let bytes = if let Some(piece) = self.inbound.front_mut() {
            let bytes = piece.len().min(buffer.len());
            buffer[..bytes].copy_from_slice(&piece[..bytes]);
            piece.drain(..bytes);
            if piece.is_empty() {
                self.inbound.pop_front();
            }
            bytes
        } else if let Some((pattern, piece)) = &self.flood {
            let bytes = buffer.len().min(*piece);
            let start = self.flooded % pattern.len();
            let repeated = pattern.repeat((start + bytes).div_ceil(pattern.len()));
            buffer[..bytes].copy_from_slice(&repeated[start..][..bytes]);
            self.flooded += bytes;
            bytes
        } else {
            match self.end {
                Some(End::Eof) => 0,
                Some(End::Reset) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                None => {
                    self.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        };
        self.ops.push(Op::Read(bytes));
        Poll::Ready(Ok(bytes))
    }

    fn write(&mut self, cx: &Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.write_error {
            return Poll::Ready(Err(error.into()));
        }
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.is_interrupted() {
            return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
        }
        if self.room == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut bytes = 0;
        let slices = slices.iter().filter(|slice| !slice.is_empty());
        for slice in slices.take(if self.vectored { usize::MAX } else { 1 }) {
            let part = &slice[..slice.len().min(self.room).min(self.write_limit - bytes)];
            if part.len() >= LARGE {
                self.large_slices.push(part.as_ptr().addr());
            }
            self.written.extend_from_slice(part);
            bytes += part.len();
            if self.room != usize::MAX {
                self.room -= part.len();
            }
        }
        self.ops.push(Op::Write(bytes));
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncRead for Script {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.act(|state| state.read(cx, buffer))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.act(|state| state.write(cx, &[IoSlice::new(buffer)]))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.act(|state| state.write(cx, slices))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.act(|state| state.finish(cx, Op::Flush))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.act(|state| state.finish(cx, Op::Close))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.0.act(|state| state.dropped = true);
    }
}

const LARGE: usize = 64 << 10;
