//! A server that the test plays frame by frame, and what its client tells.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use futures::{
    AsyncReadExt, AsyncWriteExt, FutureExt, SinkExt, StreamExt,
    channel::mpsc::{UnboundedReceiver, unbounded},
    future::{Either, RemoteHandle, select},
    join, poll,
};
use smol::net::{TcpListener, TcpStream};
use wsweave::{
    Client, Config, ConnectionExt, Duplex, Finish, Handle, Message, Outage, Peer, Reconnect,
    ReconnectPolicy, Role, Status, Timer,
};

use crate::support::{
    Frame, ManualClock, parse,
    rt::{sleep, spawn, yield_now},
    switching,
};

/// A place on loopback where there may be a server, and the client's clock.
pub(crate) struct Site {
    listener: Option<TcpListener>,
    port: u16,
    pub(crate) clock: ManualClock,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener: Some(listener), port, clock: ManualClock::new() }
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(Config::default())
    }

    /// With `config`, but the test's clock.
    pub(crate) fn client_with(&self, config: Config) -> Client {
        let client = Client::new(&format!("ws://127.0.0.1:{}/", self.port)).unwrap();
        client.config(config.timer(self.clock.clone()))
    }

    /// A client that connects again, and what it tells.
    pub(crate) fn reconnect(&self, policy: ReconnectPolicy) -> (Reconnect, Told) {
        Told::by(self.client().reconnect(policy))
    }

    /// Has a client connect, and send a first message.
    pub(crate) async fn open(&self, conn: &mut impl Duplex, told: &mut Told) -> Far {
        let (sent, far) = join!(conn.send("1".into()), self.accept());
        sent.unwrap();
        told.open().await;
        far
    }

    /// Runs a client, and accepts it.
    pub(crate) async fn run<C>(&self, conn: C, told: &mut Told) -> (RemoteHandle<Finish>, Far)
    where
        C: Duplex + Send + 'static,
    {
        let running = spawn(conn.run());
        let far = self.accept().await;
        told.open().await;
        (running, far)
    }

    /// The same, with a handle of it.
    pub(crate) async fn run_with_handle<C>(
        &self,
        mut conn: C,
        told: &mut Told,
    ) -> (Handle, RemoteHandle<Finish>, Far)
    where
        C: Duplex + Send + 'static,
    {
        let handle = conn.handle();
        let (running, far) = self.run(conn, told).await;
        (handle, running, far)
    }

    /// The connection is lost, and the next attempt is due.
    pub(crate) async fn lose(&self, far: Far, told: &mut Told) {
        drop(far);
        self.wait_out(&told.waiting().await.0);
    }

    /// The connection is lost, and made anew.
    pub(crate) async fn renew(&self, far: Far, told: &mut Told) -> Far {
        self.lose(far, told).await;
        let far = self.accept().await;
        told.open().await;
        far
    }

    /// The server goes away: its port refuses.
    pub(crate) fn shut(&mut self) {
        self.listener = None;
    }

    /// It comes back, on the same port.
    pub(crate) async fn reopen(&mut self) {
        self.listener = Some(TcpListener::bind(("127.0.0.1", self.port)).await.unwrap());
    }

    /// The next client, and what it asks for.
    pub(crate) async fn asked(&self) -> (TcpStream, String) {
        let (mut stream, _) = self.listener.as_ref().unwrap().accept().await.unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).await.unwrap();
            head.extend(byte);
        }
        (stream, String::from_utf8(head).unwrap())
    }

    /// Accepts the next client.
    pub(crate) async fn accept(&self) -> Far {
        let (mut stream, request) = self.asked().await;
        stream.write_all(switching(&request).as_bytes()).await.unwrap();
        Far { stream, frames: VecDeque::new(), rest: Vec::new() }
    }

    /// Answers the next client with something else.
    pub(crate) async fn answer(&self, answer: &str) {
        let (mut stream, _) = self.asked().await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.close().await.unwrap();
        // Until the client has gone, so that no reset overtakes the answer.
        while matches!(stream.read(&mut [0; 64]).await, Ok(1..)) {}
    }

    /// Moves the clock bit by bit until something has happened: who is to wait may be just about to.
    pub(crate) async fn pass_until<T>(&self, what: impl Future<Output = T>) -> T {
        let mut what = pin!(what);
        loop {
            if let Poll::Ready(output) = poll!(&mut what) {
                return output;
            }
            self.clock.advance(Duration::from_millis(100));
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Moves the clock to the end of a wait, and says how long that was.
    pub(crate) fn wait_out(&self, status: &Status) -> Duration {
        let Status::Waiting { until, .. } = status else { panic!("{status:?}") };
        let wait = until.saturating_duration_since(self.clock.now());
        self.clock.advance(wait);
        wait
    }
}

/// The server's end of a connection.
pub(crate) struct Far {
    stream: TcpStream,
    frames: VecDeque<Frame>,
    rest: Vec<u8>,
}

impl Far {
    /// The next frame; `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        while self.frames.is_empty() {
            let mut buffer = [0; 4096];
            let len = self.stream.read(&mut buffer).await.ok().filter(|len| *len > 0)?;
            self.rest.extend_from_slice(&buffer[..len]);
            let (frames, rest) = parse(&self.rest);
            self.frames.extend(frames);
            self.rest = rest.to_vec();
        }
        self.frames.pop_front()
    }

    /// Skips so much of what the client sends.
    pub(crate) async fn skip(&mut self, len: usize) {
        self.stream.read_exact(&mut vec![0; len]).await.unwrap();
    }

    /// Reads to the end; returns how many bytes that was.
    pub(crate) async fn rest(&mut self) -> usize {
        let (mut buffer, mut count) = (vec![0; 1 << 16], 0);
        while let Ok(len @ 1..) = self.stream.read(&mut buffer).await {
            count += len;
        }
        count
    }

    /// Sends a message that the client, who is driven, has read when this is done.
    pub(crate) async fn send_unseen(&mut self, text: &str) {
        // In one write.
        self.send_all([Frame::ping("?"), Frame::text(text)]).await;
        while self.frame().await.unwrap().opcode != 10 {}
    }

    /// The text of the next message, whatever pings come before it.
    pub(crate) async fn text(&mut self) -> Option<String> {
        loop {
            let frame = self.frame().await?;
            match frame.opcode {
                1 => return Some(String::from_utf8(frame.payload).unwrap()),
                8 => return None,
                _ => {}
            }
        }
    }

    /// The payload of the next ping, whatever messages come before it.
    pub(crate) async fn ping(&mut self) -> Vec<u8> {
        loop {
            let frame = self.frame().await.unwrap();
            if frame.opcode == 9 {
                return frame.payload;
            }
        }
    }

    /// Answers the next ping.
    pub(crate) async fn pong(&mut self) {
        let payload = self.ping().await;
        self.send(Frame::pong(payload)).await;
    }

    pub(crate) async fn send(&mut self, frame: Frame) {
        self.send_all([frame]).await;
    }

    /// In one write.
    pub(crate) async fn send_all(&mut self, frames: impl IntoIterator<Item = Frame>) {
        let bytes: Vec<_> = frames.into_iter().flat_map(|frame| frame.to(Role::Client)).collect();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Says goodbye, and waits for the client's answer.
    pub(crate) async fn close(mut self, code: u16) {
        self.send(Frame::close(code, "")).await;
        self.closed().await;
        self.end().await;
    }

    /// Answers the client's goodbye, and returns its code.
    pub(crate) async fn answer_close(mut self) -> Option<u16> {
        let close = self.closed().await;
        let code = close.close_code();
        self.send(close.keyed(None)).await;
        self.end().await;
        code
    }

    /// The client's Close.
    async fn closed(&mut self) -> Frame {
        loop {
            let frame = self.frame().await.expect("it says goodbye");
            if frame.opcode == 8 {
                return frame;
            }
        }
    }

    async fn end(mut self) {
        self.stream.close().await.unwrap();
        while self.frame().await.is_some() {}
    }
}

/// What the client tells of its status.
pub(crate) struct Told(UnboundedReceiver<Status>);

impl Told {
    pub(crate) fn by(conn: Reconnect) -> (Reconnect, Self) {
        let (tell, told) = unbounded();
        (conn.on_status(move |status| drop(tell.unbounded_send(status.clone()))), Self(told))
    }

    pub(crate) async fn next(&mut self) -> Status {
        self.0.next().await.expect("the client lives")
    }

    /// All has been told, for the client is gone.
    pub(crate) async fn end(mut self) {
        let more = self.0.next().await;
        assert!(more.is_none(), "{more:?}");
    }

    /// Skips what is told of the next attempt; returns its number.
    pub(crate) async fn connecting(&mut self) -> u32 {
        match self.next().await {
            Status::Connecting { attempt } => attempt,
            status => panic!("{status:?}"),
        }
    }

    pub(crate) async fn open(&mut self) {
        self.connecting().await;
        let status = self.next().await;
        assert!(matches!(status, Status::Open), "{status:?}");
    }

    /// The next wait, and what it is for.
    pub(crate) async fn waiting(&mut self) -> (Status, Outage) {
        match self.next().await {
            status @ Status::Waiting { .. } => {
                let Status::Waiting { outage, .. } = &status else { unreachable!() };
                let outage = outage.clone();
                (status, outage)
            }
            status => panic!("{status:?}"),
        }
    }
}

/// Does `work` while `needed`, which does not end, is polled.
pub(crate) async fn beside<T>(needed: impl Future, work: impl Future<Output = T>) -> T {
    match select(pin!(work), pin!(needed)).await {
        Either::Left((output, _)) => output,
        Either::Right(_) => panic!("it should wait"),
    }
}

/// Drives without taking messages.
pub(crate) async fn drive(conn: &mut impl Duplex) {
    poll_fn(|cx| Pin::new(&mut *conn).poll_drive(cx)).await;
}

/// Has the sink find that the connection is lost, so that what was read stays.
pub(crate) async fn until_lost(conn: &mut impl Duplex, told: &mut Told) -> Status {
    while conn.send("2".into()).now_or_never().is_some() {
        yield_now().await;
    }
    beside(conn.send("2".into()), told.waiting()).await.0
}

/// For `on_reconnect`: sends what may be lost again.
pub(crate) fn send_again(peer: &mut Peer<'_>, lost: Vec<Message>, _attempt: u32) {
    for message in lost {
        peer.send(message);
    }
}

/// A policy whose random times are the same each time.
pub(crate) fn policy() -> ReconnectPolicy {
    ReconnectPolicy::default()
        .backoff(Duration::from_secs(1), Duration::from_secs(8))
        .unwrap()
        .seed(7)
}
