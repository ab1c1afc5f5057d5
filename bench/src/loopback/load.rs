//! [`Load`]: the load generator.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    ops::Range,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fd::OwnedFd,
    time::{ClockId, clock_gettime},
};

use super::{backend, counted, traffic::Traffic};

/// Connections that send frames made beforehand and compare every byte of the answers.
///
/// It runs on its caller's thread, and the server on one of its own, and nothing else in the process
/// runs meanwhile but the backend of relays: so the time that the process has used without this thread's
/// and that one's is the server's.
pub(crate) struct Load {
    epoll: OwnedFd,
    clients: Vec<Client>,
    buffer: Vec<u8>,
}

/// What a message cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Nanoseconds until all were answered.
    pub(crate) wall: f64,
    /// Nanoseconds of CPU time of the server.
    pub(crate) cpu: f64,
    /// Writes of the server that moved bytes.
    pub(crate) writes: f64,
}

struct Client {
    stream: TcpStream,
    sent: usize,
    received: usize,
}

impl Load {
    pub(crate) fn connect(addr: SocketAddr, connections: usize) -> io::Result<Self> {
        Self::connect_and(addr, connections, |_| Ok(()))
    }

    /// Like [`connect`](Self::connect), for a server that does the opening handshake.
    pub(crate) fn connect_with_handshake(addr: SocketAddr, connections: usize) -> io::Result<Self> {
        Self::connect_and(addr, connections, shake_hands)
    }

    fn connect_and(
        addr: SocketAddr,
        connections: usize,
        open: fn(&mut TcpStream) -> io::Result<()>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let clients = (0..connections as u64).map(|number| {
            let mut stream = TcpStream::connect(addr)?;
            open(&mut stream)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let events = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&epoll, &stream, EventData::new_u64(number), events)?;
            Ok(Client { stream, sent: 0, received: 0 })
        });
        Ok(Self { clients: clients.collect::<io::Result<_>>()?, epoll, buffer: vec![0; 256 << 10] })
    }

    /// Sends `messages` on each connection and waits for the answers; says what each cost.
    ///
    /// A connection sends when half of its window is free: so the server always has something to read,
    /// and finds about as much at each read however fast it is.
    pub(crate) fn exchange(&mut self, traffic: &Traffic, messages: usize) -> io::Result<Cost> {
        self.exchange_among(0..self.clients.len(), traffic, messages)
    }

    /// Like [`exchange`](Self::exchange), one connection after the other.
    pub(crate) fn exchange_in_turn(
        &mut self,
        traffic: &Traffic,
        messages: usize,
    ) -> io::Result<()> {
        (0..self.clients.len()).try_for_each(|number| {
            self.exchange_among(number..number + 1, traffic, messages).map(drop)
        })
    }

    /// Has the first connection send a window of messages, so many times, and waits each time until all
    /// connections have got them; says what each of those cost.
    pub(crate) fn publish(&mut self, traffic: &Traffic, bursts: usize) -> io::Result<Cost> {
        let before = Clocks::now()?;
        let mut events: Vec<Event> = Vec::with_capacity(256);
        self.clients.iter_mut().for_each(|client| (client.sent, client.received) = (0, 0));
        for burst in 1..=bursts {
            let messages = burst * traffic.window;
            let due = messages * traffic.expected_frame;
            // It is sent with its own turn, and to the others nothing is due.
            let mut unfinished = self.clients.len();
            unfinished -= usize::from(self.clients[0].turn(traffic, messages, &mut self.buffer)?);
            while unfinished > 0 {
                epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&PATIENCE))?;
                if events.is_empty() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                for event in events.drain(..) {
                    let number = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
                    let client = &mut self.clients[number];
                    if number > 0 {
                        client.sent = messages * traffic.sent_frame;
                    }
                    if client.received < due {
                        let finished = client.turn(traffic, messages, &mut self.buffer)?;
                        unfinished -= usize::from(finished);
                    }
                }
            }
        }
        before.until_now((bursts * traffic.window * self.clients.len()) as f64)
    }

    fn exchange_among(
        &mut self,
        among: Range<usize>,
        traffic: &Traffic,
        messages: usize,
    ) -> io::Result<Cost> {
        let total = messages * among.len();
        let before = Clocks::now()?;
        let mut events: Vec<Event> = Vec::with_capacity(256);
        let mut unfinished = among.len();
        for client in &mut self.clients[among.clone()] {
            (client.sent, client.received) = (0, 0);
            unfinished -= usize::from(client.turn(traffic, messages, &mut self.buffer)?);
        }
        while unfinished > 0 {
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&PATIENCE))?;
            if events.is_empty() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            for event in events.drain(..) {
                let number = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
                let client = &mut self.clients[number];
                if among.contains(&number) && client.received < messages * traffic.expected_frame {
                    let finished = client.turn(traffic, messages, &mut self.buffer)?;
                    unfinished -= usize::from(finished);
                }
            }
        }
        before.until_now(total as f64)
    }
}

impl Client {
    /// Sends and receives what can be without waiting; says whether all is answered.
    fn turn(&mut self, traffic: &Traffic, messages: usize, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            self.send(traffic, messages)?;
            if self.received == messages * traffic.expected_frame {
                return Ok(true);
            }
            let len = match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            self.check(traffic, &buffer[..len])?;
        }
    }

    fn send(&mut self, traffic: &Traffic, messages: usize) -> io::Result<()> {
        let answered = self.received / traffic.expected_frame;
        let unanswered = self.sent.div_ceil(traffic.sent_frame) - answered;
        let between = !self.sent.is_multiple_of(traffic.sent_frame);
        if unanswered > traffic.window / 2 && !between {
            return Ok(());
        }
        let end = (answered + traffic.window).min(messages) * traffic.sent_frame;
        while self.sent < end {
            let from = self.sent % traffic.sent.len();
            let to = (from + end - self.sent).min(traffic.sent.len());
            match self.stream.write(&traffic.sent[from..to]) {
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn check(&mut self, traffic: &Traffic, mut answer: &[u8]) -> io::Result<()> {
        while !answer.is_empty() {
            let rest = &traffic.expected[self.received % traffic.expected.len()..];
            let (part, behind) = answer.split_at(answer.len().min(rest.len()));
            if !rest.starts_with(part) {
                return Err(io::Error::other("the answer is not what was sent"));
            }
            self.received += part.len();
            answer = behind;
        }
        Ok(())
    }
}

/// The opening handshake (RFC 6455, section 4.1), with the key of section 1.2.
fn shake_hands(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    if answer.starts_with(b"HTTP/1.1 101 ") {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// What has gone by so far, of time and of system calls.
struct Clocks {
    wall: Instant,
    cpu: f64,
    writes: u64,
}

impl Clocks {
    fn now() -> io::Result<Self> {
        let nanoseconds = |clock| {
            let time = clock_gettime(clock);
            time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
        };
        let cpu = nanoseconds(ClockId::ProcessCPUTime) - nanoseconds(ClockId::ThreadCPUTime);
        let cpu = cpu - backend::cpu()?;
        Ok(Self { wall: Instant::now(), cpu, writes: counted::writes() })
    }

    fn until_now(&self, messages: f64) -> io::Result<Cost> {
        let now = Self::now()?;
        let wall: Duration = now.wall - self.wall;
        Ok(Cost {
            wall: wall.as_nanos() as f64 / messages,
            cpu: (now.cpu - self.cpu) / messages,
            writes: (now.writes - self.writes) as f64 / messages,
        })
    }
}

/// A server that answers nothing for so long never will.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };
