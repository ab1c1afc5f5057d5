//! What a connection costs without a network: `cargo bench --bench in_memory`.
//!
//! Every measurement checks how many bytes went through, so that it cannot measure nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use divan::{
    Bencher,
    counter::{BytesCount, ItemsCount},
};
use futures::{AsyncRead, AsyncWrite, SinkExt, StreamExt, executor::block_on};
use wsweave::{Config, Connection, ConnectionExt, Message, Role};

fn main() {
    divan::main();
}

/// As a server, so that there is something to unmask.
mod read {
    use super::{Bencher, Load, Pace, bench_read};

    #[divan::bench(args = Load::ALL)]
    fn all_at_once(bencher: Bencher<'_, '_>, load: Load) {
        bench_read(bencher, load, Pace::AllAtOnce);
    }

    #[divan::bench(args = Load::ALL)]
    fn one_frame_a_wakeup(bencher: Bencher<'_, '_>, load: Load) {
        bench_read(bencher, load, Pace::OneFrameAWakeup);
    }
}

/// Fed one by one, flushed once at the end.
mod write {
    use super::{Bencher, Load, Role, bench_write};

    #[divan::bench(args = Load::ALL)]
    fn as_server(bencher: Bencher<'_, '_>, load: Load) {
        bench_write(bencher, load, Role::Server);
    }

    /// The payload is shared, so masking has to copy it.
    #[divan::bench(args = Load::ALL)]
    fn as_client(bencher: Bencher<'_, '_>, load: Load) {
        bench_write(bencher, load, Role::Client);
    }
}

fn bench_read(bencher: Bencher<'_, '_>, load: Load, pace: Pace) {
    let (count, bytes) = (load.count(), load.count() * load.message().len());
    let mut conn =
        Connection::from_raw(Replay::new(&load.message(), pace), Role::Server, Config::default());
    bencher.counter(ItemsCount::new(count)).counter(BytesCount::new(bytes)).bench_local(|| {
        let read = block_on(async {
            let mut read = 0;
            for _ in 0..count {
                read += conn.next().await.map_or(0, |message| message.len());
            }
            read
        });
        assert_eq!(read, bytes);
    });
}

fn bench_write(bencher: Bencher<'_, '_>, load: Load, role: Role) {
    let (count, message) = (load.count(), load.message());
    let bytes = count * message.len();
    let mut conn = Connection::from_raw(Drain::default(), role, Config::default());
    bencher.counter(ItemsCount::new(count)).counter(BytesCount::new(bytes)).bench_local(|| {
        let before = conn.get_ref().written;
        let flushed = block_on(async {
            for _ in 0..count {
                conn.feed(message.clone()).await?;
            }
            conn.flush().await
        });
        assert!(flushed.is_ok());
        // Each message has a header of 2 to 14 bytes.
        let headers = conn.get_ref().written - before - bytes;
        assert!((2 * count..=14 * count).contains(&headers));
    });
}

/// The messages of the table of numbers to reach.
#[derive(Clone, Copy, Debug)]
enum Load {
    Text16,
    Binary128,
    Text1Ki,
    NonAscii1Ki,
    Binary16Ki,
    Binary1Mi,
}

impl Load {
    const ALL: [Self; 6] = [
        Self::Text16,
        Self::Binary128,
        Self::Text1Ki,
        Self::NonAscii1Ki,
        Self::Binary16Ki,
        Self::Binary1Mi,
    ];

    fn message(self) -> Message {
        match self {
            Self::Text16 => "sixteen letters!".into(),
            Self::Binary128 => vec![0xa5; 128].into(),
            Self::Text1Ki => "sixteen letters!".repeat(64).into(),
            Self::NonAscii1Ki => "Grüße, 世界!".repeat(64).into(),
            Self::Binary16Ki => vec![0xa5; 16 << 10].into(),
            Self::Binary1Mi => vec![0xa5; 1 << 20].into(),
        }
    }

    /// How many to a measurement: enough that the clock does not matter.
    fn count(self) -> usize {
        match self {
            Self::Text16 | Self::Binary128 | Self::Text1Ki | Self::NonAscii1Ki => 1000,
            Self::Binary16Ki => 100,
            Self::Binary1Mi => 4,
        }
    }
}

/// How much a read gives.
#[derive(Clone, Copy)]
enum Pace {
    /// As much as fits.
    AllAtOnce,
    /// One frame, and then nothing until the next poll of the task.
    OneFrameAWakeup,
}

/// A transport on which a client sends one message again and again, without end.
struct Replay {
    /// Several frames, one behind the other.
    frames: Vec<u8>,
    frame_len: usize,
    at: usize,
    pace: Pace,
    paused: bool,
}

impl Replay {
    fn new(message: &Message, pace: Pace) -> Self {
        let frame = masked_frame(message);
        let (frame_len, copies) = (frame.len(), (1 << 20) / frame.len() + 1);
        Self { frames: frame.repeat(copies), frame_len, at: 0, pace, paused: false }
    }
}

impl AsyncRead for Replay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.paused) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let end = match self.pace {
            Pace::AllAtOnce => self.frames.len(),
            Pace::OneFrameAWakeup => (self.at / self.frame_len + 1) * self.frame_len,
        };
        let len = buf.len().min(end - self.at);
        buf[..len].copy_from_slice(&self.frames[self.at..self.at + len]);
        self.at = (self.at + len) % self.frames.len();
        self.paused = matches!(self.pace, Pace::OneFrameAWakeup) && self.at % self.frame_len == 0;
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A transport that takes everything and gives nothing.
#[derive(Default)]
struct Drain {
    written: usize,
}

impl AsyncRead for Drain {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Drain {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written += buf.len();
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.written += len;
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// One whole message as a client frames it (RFC 6455, section 5.2).
fn masked_frame(message: &Message) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let payload = message.as_bytes();
    let mut frame = vec![if message.is_text() { 0x81 } else { 0x82 }];
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
