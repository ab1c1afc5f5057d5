//! A transport in memory, the messages that go over it, and what drives a future there.

use std::{
    future::Future,
    io::{self, IoSlice},
    iter,
    pin::{Pin, pin},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker, ready},
};

use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite};
use tokio::{
    io::ReadBuf,
    runtime::{Builder, Runtime},
};

/// What one message carries.
#[derive(Clone)]
pub(crate) struct Payload {
    pub(crate) bytes: Bytes,
    pub(crate) text: bool,
}

/// The messages of the tables.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    Text16,
    Binary128,
    Text1Ki,
    NonAscii1Ki,
    Binary16Ki,
    Binary1Mi,
}

impl Load {
    pub(crate) const ALL: [Self; 6] = [
        Self::Text16,
        Self::Binary128,
        Self::Text1Ki,
        Self::NonAscii1Ki,
        Self::Binary16Ki,
        Self::Binary1Mi,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text16 => "16 B",
            Self::Binary128 => "128 B",
            Self::Text1Ki => "1 KiB",
            Self::NonAscii1Ki => "1 KiB non-ASCII",
            Self::Binary16Ki => "16 KiB",
            Self::Binary1Mi => "1 MiB",
        }
    }

    pub(crate) fn payload(self) -> Payload {
        let text = |text: &str, len| Payload { bytes: cycle(text.as_bytes(), len), text: true };
        // No byte is like the next one, so that a mistake in unmasking shows.
        let binary =
            |len| Payload { bytes: cycle(&(0..=250).collect::<Vec<u8>>(), len), text: false };
        match self {
            Self::Text16 => text("sixteen letters!", 16),
            Self::Binary128 => binary(128),
            Self::Text1Ki => text("sixteen letters!", 1024),
            // 16 bytes, 10 of them in characters of two or three.
            Self::NonAscii1Ki => text("Grüße, 世界!", 1024),
            Self::Binary16Ki => binary(16 << 10),
            Self::Binary1Mi => binary(1 << 20),
        }
    }
}

fn cycle(pattern: &[u8], len: usize) -> Bytes {
    let mut bytes = pattern.repeat(len / pattern.len() + 1);
    bytes.truncate(len);
    bytes.into()
}

/// How much a read gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As much as fits.
    AllAtOnce,
    /// One frame, and then nothing until the next poll of the task.
    OneFrameAWakeup,
}

/// One end of a connection, over which frames come without end, and which takes everything.
pub(crate) struct Wire {
    /// What comes before the frames: the opening handshake of those that cannot do without.
    opening: Bytes,
    opened: usize,
    /// Whole frames, again and again; if there are none, nothing ever comes.
    frames: Bytes,
    /// Where they end.
    ends: Arc<[usize]>,
    at: usize,
    /// How many of `ends` are behind.
    frame: usize,
    pace: Pace,
    paused: bool,
    written: Written,
}

/// What went into a [`Wire`].
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Counters>);

#[derive(Default)]
struct Counters {
    writes: AtomicUsize,
    bytes: AtomicUsize,
    keeps: AtomicBool,
    kept: Mutex<Vec<u8>>,
}

impl Wire {
    /// On which those frames come.
    pub(crate) fn replay(frames: &[Vec<u8>], pace: Pace) -> Self {
        // Enough of them that a read need not end early, and wrapping is rare.
        let times = REPLAYED / frames.iter().map(Vec::len).sum::<usize>() + 1;
        let mut ends = Vec::new();
        let mut bytes = Vec::new();
        for frame in (0..times).flat_map(|_| frames) {
            bytes.extend_from_slice(frame);
            ends.push(bytes.len());
        }
        Self { frames: bytes.into(), ends: ends.into(), ..Self::drain(pace) }
    }

    /// On which nothing comes.
    pub(crate) fn drain(pace: Pace) -> Self {
        Self {
            opening: Bytes::new(),
            opened: 0,
            frames: Bytes::new(),
            ends: Arc::new([]),
            at: 0,
            frame: 0,
            pace,
            paused: false,
            written: Written::default(),
        }
    }

    pub(crate) fn after(mut self, opening: impl Into<Bytes>) -> Self {
        self.opening = opening.into();
        self
    }

    pub(crate) fn written(&self) -> Written {
        self.written.clone()
    }

    /// At most `room` bytes; for a waiting task if there are none.
    fn take(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<&[u8]> {
        if self.opened < self.opening.len() {
            let start = self.opened;
            self.opened += room.min(self.opening.len() - start);
            return Poll::Ready(&self.opening[start..self.opened]);
        }
        if self.frames.is_empty() {
            return Poll::Pending;
        }
        if std::mem::take(&mut self.paused) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let (start, end) = (
            self.at,
            match self.pace {
                Pace::AllAtOnce => self.frames.len(),
                Pace::OneFrameAWakeup => self.ends[self.frame],
            },
        );
        let len = room.min(end - start);
        self.at += len;
        if self.pace == Pace::OneFrameAWakeup && self.at == end {
            self.paused = true;
            self.frame = (self.frame + 1) % self.ends.len();
        }
        if self.at == self.frames.len() {
            self.at = 0;
        }
        Poll::Ready(&self.frames[start..start + len])
    }

    /// One write, which takes all of it.
    fn put<'a>(&self, slices: impl Iterator<Item = &'a [u8]>) -> usize {
        let counters = &self.written.0;
        let mut len = 0;
        for slice in slices {
            len += slice.len();
            if counters.keeps.load(Relaxed) {
                counters.kept().extend_from_slice(slice);
            }
        }
        // One thread writes: no need of a read-modify-write, which would cost as much as a message.
        counters.writes.store(counters.writes.load(Relaxed) + 1, Relaxed);
        counters.bytes.store(counters.bytes.load(Relaxed) + len, Relaxed);
        len
    }
}

impl Written {
    pub(crate) fn writes(&self) -> usize {
        self.0.writes.load(Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes.load(Relaxed)
    }

    /// Keeps, from now on, what is written.
    pub(crate) fn keep(&self) {
        self.0.keeps.store(true, Relaxed);
    }

    /// What was kept; and keeps no more.
    pub(crate) fn kept(&self) -> Vec<u8> {
        self.0.keeps.store(false, Relaxed);
        std::mem::take(&mut *self.0.kept())
    }
}

impl Counters {
    fn kept(&self) -> MutexGuard<'_, Vec<u8>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = ready!(self.take(cx, buf.len()));
        buf[..bytes.len()].copy_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
}

impl tokio::io::AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = ready!(self.take(cx, buf.remaining()));
        buf.put_slice(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.put(iter::once(buf))))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.put(bufs.iter().map(|buf| &**buf))))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.put(iter::once(buf))))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.put(bufs.iter().map(|buf| &**buf))))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// One whole message as a client frames it (RFC 6455, section 5.2); `rsv1` says that it is compressed.
pub(crate) fn masked_frame(text: bool, rsv1: bool, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![0x80 | u8::from(rsv1) << 6 | if text { 1 } else { 2 }];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len.to_le_bytes()[0]),
        len @ 126..0x1_0000 => {
            frame.push(0x80 | 0x7e);
            frame.extend_from_slice(&len.to_be_bytes()[size_of::<usize>() - 2..]);
        }
        len => {
            frame.push(0x80 | 0x7f);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The payloads of whole messages, as they stand on the wire, with the bit that says "compressed".
pub(crate) fn parse_frames(mut bytes: &[u8]) -> Vec<(bool, Vec<u8>)> {
    let mut payloads = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert!(first & 0x80 != 0, "a fragment");
        let (len, rest) = match second & 0x7f {
            126 => (usize::from(rest[0]) << 8 | usize::from(rest[1]), &rest[2..]),
            127 => {
                (rest[..8].iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), &rest[8..])
            }
            len => (usize::from(len), rest),
        };
        let (mask, rest) =
            if second & 0x80 == 0 { ([0; 4].as_slice(), rest) } else { rest.split_at(4) };
        let (masked, rest) = rest.split_at(len);
        let payload =
            masked.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        payloads.push((first & 0x40 != 0, payload));
        bytes = rest;
    }
    payloads
}

/// Polls a future to its end on this thread, in a runtime of tokio whose clock some peers ask.
///
/// A task that waits without having been woken would wait forever here: that is a fault of the peer.
pub(crate) fn drive<F: Future>(future: F) -> F::Output {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        Builder::new_current_thread().enable_all().build().expect("a runtime of tokio")
    });
    let _entered = RUNTIME.enter();
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        assert!(woken.0.load(Relaxed), "waits, and nobody will wake it");
        woken.0.store(false, Relaxed);
    }
}

/// About how many bytes a [`Wire`] replays from the first to the last.
pub(crate) const REPLAYED: usize = 1 << 18;
