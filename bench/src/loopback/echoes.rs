//! The echo servers: each library as its documentation has it, and in its best known form.
//!
//! The best known form echoes all that one read has brought with one write. Libraries with a buffer of
//! their own are fed, and flushed when no more input is ready; the others get [`Corked`]. Buffers are
//! enlarged where they can be, and tokio's budget, which makes a busy task yield now and then, is off.

use std::{future::poll_fn, hint::black_box, io::ErrorKind, task::Poll};

use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use bytes::BytesMut;
use futures::{
    Sink, SinkExt, Stream, StreamExt, TryStreamExt,
    future::{Either, ready},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::coop::unconstrained,
};
use tokio_util::compat::TokioAsyncReadCompatExt;
use wsweave::{Config, Connection, ConnectionExt, Duplex, Role, Socket};

use super::{
    corked::Corked,
    counted::Counted,
    server::{Echo, Serve},
};

/// Adds up to what a socket has to be for everyone.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for S {}

macro_rules! echoes {
    ($($peer:literal, $form:literal => $echo:expr;)*) => {
        [$(Echo {
            peer: $peer,
            form: $form,
            serve: Serve::Tokio(|io| drop(tokio::spawn($echo(io)))),
            raw: false,
        }),*]
    };
}

/// The limit: what the socket costs alone, and a server that does nothing that is not necessary.
pub(crate) fn references() -> Vec<Echo> {
    let raw = Echo { raw: true, ..echoes!["TCP", "bytes as they come" => tcp;][0] };
    let mut echoes = vec![raw];
    echoes.extend(echoes!["bare loop", "scan and unmask, no checks" => bare_loop;]);
    echoes
}

/// What a task with a socket holds when it holds nothing else.
pub(crate) fn bare_task() -> Vec<Echo> {
    let mut echoes = Vec::from(echoes!["TCP", "a task without a buffer" => tcp_without_buffer;]);
    for echo in &mut echoes {
        echo.raw = true;
    }
    echoes
}

pub(crate) fn wsweave() -> Vec<Echo> {
    let mut echoes = Vec::from(echoes! {
        "wsweave", "loop, send" => |io| wsweave_send(over_tokio(io, Role::Server));
        "wsweave", "loop, feed" => |io| wsweave_loop(over_tokio(io, Role::Server));
        "wsweave", "pipe" => |io| wsweave_pipe(over_tokio(io, Role::Server));
        "wsweave", "hooks" => |io| wsweave_hooks(over_tokio(io, Role::Server));
    });
    echoes.push(Echo {
        peer: "wsweave",
        form: "hooks, on async-std",
        serve: Serve::AsyncStd(|executor, io| {
            let conn = Connection::from_raw(Socket::new(io), Role::Server, Config::default());
            executor.spawn(wsweave_hooks(conn.linger_on_drop())).detach();
        }),
        raw: false,
    });
    echoes
}

/// The loop with hooks that have nothing to do with the echo.
pub(crate) fn wsweave_layers() -> Vec<Echo> {
    Vec::from(echoes! {
        "wsweave", "no hook" => |io| wsweave_loop(over_tokio(io, Role::Server));
        "wsweave", "one hook" => |io| wsweave_loop(hook(over_tokio(io, Role::Server)));
        "wsweave", "five hooks" => |io| wsweave_loop(hook(hook(hook(hook(hook(over_tokio(io, Role::Server)))))));
    })
}

pub(crate) fn peers() -> Vec<Echo> {
    Vec::from(echoes! {
        "async-tungstenite", "send" => |io| in_turn(async_tungstenite(io, None), Result::ok);
        "async-tungstenite", "forward" => async_tungstenite_pipe;
        "async-tungstenite", "tuned" => |io| unconstrained(in_batches(
            async_tungstenite(io, Some(tungstenite_tuned())),
            Result::ok,
        ));
        "tokio-tungstenite", "send" => |io| in_turn(tokio_tungstenite(io, None), Result::ok);
        "tokio-tungstenite", "forward" => tokio_tungstenite_pipe;
        "tokio-tungstenite", "tuned" => |io| unconstrained(in_batches(
            tokio_tungstenite(io, Some(tungstenite_tuned())),
            Result::ok,
        ));
        "tokio-websockets", "send" => |io| unconstrained(in_turn(
            ready(tokio_websockets::ServerBuilder::new().serve(io)),
            Result::ok,
        ));
        // It flushes before each read, so all has to be read before anything is fed.
        "tokio-websockets", "tuned" => |io| unconstrained(in_bulk(
            tokio_websockets::ServerBuilder::new()
                .config(tokio_websockets::Config::default().flush_threshold(BUFFER))
                .serve(io),
        ));
        "fastwebsockets", "write_frame" => |io| unconstrained(fastwebsockets(io, true));
        "fastwebsockets", "tuned" => |io| unconstrained(fastwebsockets(Corked::new(io), false));
        "yawc", "send" => |io| in_turn(ready(yawc(io, yawc::Options::default())), Some);
        "yawc", "tuned" => |io| unconstrained(in_batches(
            ready(yawc(
                io,
                yawc::Options::default()
                    .with_read_buffer_capacity(BUFFER)
                    .with_write_buffer_capacity(BUFFER)
                    .with_backpressure_boundary(BUFFER),
            )),
            Some,
        ));
        "sockudo-ws", "send" => |io| in_turn(
            ready(sockudo_ws::WebSocketStream::server(io, sockudo_ws::Config::default())),
            Result::ok,
        );
        // Without the clock that it asks at every message.
        "sockudo-ws", "tuned" => |io| unconstrained(in_batches(
            ready(sockudo_ws::WebSocketStream::server(
                io,
                sockudo_ws::Config::builder()
                    .write_buffer_size(BUFFER)
                    .auto_ping(false)
                    .idle_timeout(0)
                    .build(),
            )),
            Result::ok,
        ));
        "soketto", "send, flush" => |io| soketto(
            futures::io::BufReader::new(futures::io::BufWriter::new(TokioAsyncReadCompatExt::compat(io))),
            true,
        );
        "soketto", "tuned" => |io| unconstrained(soketto(
            futures::io::BufReader::with_capacity(
                BUFFER,
                TokioAsyncReadCompatExt::compat(Corked::new(io)),
            ),
            false,
        ));
        "web-socket", "send" => |io| web_socket(BufReader::new(io));
        "web-socket", "tuned" => |io| unconstrained(web_socket(BufReader::with_capacity(
            BUFFER,
            Corked::new(io),
        )));
    })
}

pub(super) fn over_tokio(io: impl Io, role: Role) -> Connection {
    Connection::from_raw(Socket::from_tokio(io), role, Config::default()).linger_on_drop()
}

fn hook(conn: impl Duplex) -> impl Duplex {
    conn.on_each(|_, message| {
        black_box(message.len());
    })
}

async fn wsweave_send(mut conn: impl Duplex) {
    while let Some(message) = conn.next().await {
        if conn.send(message).await.is_err() {
            break;
        }
    }
}

async fn wsweave_loop(mut conn: impl Duplex) {
    while let Some(message) = conn.next().await {
        if conn.feed(message).await.is_err() {
            break;
        }
    }
}

async fn wsweave_pipe(conn: impl Duplex) {
    let (sink, stream) = conn.results().split();
    let _ = stream.forward(sink).await;
}

async fn wsweave_hooks(conn: impl Duplex) {
    conn.on_each(|peer, message| peer.send(message.clone())).run().await;
}

/// Sends each message back at once.
async fn in_turn<W, I, M>(ws: impl Future<Output = W>, message: fn(I) -> Option<M>)
where
    W: Stream<Item = I> + Sink<M> + Unpin,
{
    let mut ws = ws.await;
    while let Some(item) = ws.next().await {
        let Some(message) = message(item) else { break };
        if ws.send(message).await.is_err() {
            break;
        }
    }
}

/// Flushes when no more input is ready.
async fn in_batches<W, I, M>(ws: impl Future<Output = W>, message: fn(I) -> Option<M>)
where
    W: Stream<Item = I> + Sink<M> + Unpin,
{
    let mut ws = ws.await;
    let mut fed = false;
    loop {
        let next = poll_fn(|cx| match ws.poll_next_unpin(cx) {
            Poll::Pending if fed => Poll::Ready(Either::Right(())),
            next => next.map(Either::Left),
        });
        let done = match next.await {
            Either::Left(item) => {
                let Some(message) = item.and_then(message) else { break };
                fed = true;
                ws.feed(message).await
            }
            Either::Right(()) => {
                fed = false;
                ws.flush().await
            }
        };
        if done.is_err() {
            break;
        }
    }
}

/// Reads what is ready, then feeds and flushes it.
async fn in_bulk<M, E>(mut ws: impl Stream<Item = Result<M, E>> + Sink<M> + Unpin) {
    let mut messages = Vec::new();
    while let Some(Ok(first)) = ws.next().await {
        messages.push(first);
        poll_fn(|cx| {
            while messages.len() < 1024 {
                let Poll::Ready(Some(Ok(next))) = ws.poll_next_unpin(cx) else { break };
                messages.push(next);
            }
            Poll::Ready(())
        })
        .await;
        for message in messages.drain(..) {
            if ws.feed(message).await.is_err() {
                return;
            }
        }
        if ws.flush().await.is_err() {
            break;
        }
    }
}

/// With a smaller read buffer: all of it is cleared at every read.
pub(super) fn tungstenite_tuned() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(BUFFER / 2)
}

async fn async_tungstenite<S: Io>(
    io: S,
    config: Option<WebSocketConfig>,
) -> async_tungstenite::WebSocketStream<tokio_util::compat::Compat<S>> {
    use async_tungstenite::{WebSocketStream, tungstenite::protocol::Role};
    WebSocketStream::from_raw_socket(io.compat(), Role::Server, config).await
}

async fn async_tungstenite_pipe(io: impl Io) {
    let (sink, stream) = StreamExt::split(async_tungstenite(io, None).await);
    let _ = stream
        .try_filter(|message| ready(message.is_text() || message.is_binary()))
        .forward(sink)
        .await;
}

async fn tokio_tungstenite<S: Io>(
    io: S,
    config: Option<WebSocketConfig>,
) -> tokio_tungstenite::WebSocketStream<S> {
    use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};
    WebSocketStream::from_raw_socket(io, Role::Server, config).await
}

async fn tokio_tungstenite_pipe(io: impl Io) {
    let (sink, stream) = tokio_tungstenite(io, None).await.split();
    let _ = stream
        .try_filter(|message| ready(message.is_text() || message.is_binary()))
        .forward(sink)
        .await;
}

async fn fastwebsockets(io: impl Io, vectored: bool) {
    use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
    let mut ws = WebSocket::after_handshake(io, Role::Server);
    ws.set_writev(vectored);
    let mut ws = FragmentCollector::new(ws);
    while let Ok(frame) = ws.read_frame().await {
        if frame.opcode == OpCode::Close || ws.write_frame(frame).await.is_err() {
            break;
        }
    }
}

/// It checks UTF-8 only when asked to; all others do, or are helped to.
fn yawc<S: Io>(io: S, options: yawc::Options) -> yawc::WebSocket<S> {
    yawc::WebSocket::from_stream(io, yawc::Role::Server, options.with_utf8())
        .expect("no extensions that could be wrong")
}

/// Its user has to check UTF-8.
async fn soketto(io: impl futures::AsyncRead + futures::AsyncWrite + Unpin, flush: bool) {
    use soketto::connection::{Builder, Mode};
    let (mut sender, mut receiver) = Builder::new(io, Mode::Server).finish();
    let mut message = Vec::new();
    loop {
        message.clear();
        let Ok(data) = receiver.receive_data(&mut message).await else { break };
        let sent = if data.is_text() {
            let Ok(text) = simdutf8::basic::from_utf8(&message) else { break };
            sender.send_text(text).await
        } else {
            sender.send_binary(&message).await
        };
        if sent.is_err() || flush && sender.flush().await.is_err() {
            break;
        }
    }
}

/// Its user has to check UTF-8.
async fn web_socket(io: impl Io) {
    use web_socket::{DataType, Event, MessageType, WebSocket};
    let mut ws = WebSocket::server(io);
    while let Ok(Event::Data { ty: DataType::Complete(ty), data }) = ws.recv().await {
        let sent = match ty {
            MessageType::Text => {
                let Ok(text) = simdutf8::basic::from_utf8(&data) else { break };
                ws.send(text).await
            }
            MessageType::Binary => ws.send(&*data).await,
        };
        if sent.is_err() {
            break;
        }
    }
}

async fn tcp(mut io: impl Io) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(len @ 1..) = io.read(&mut buffer).await {
        if io.write_all(&buffer[..len]).await.is_err() {
            break;
        }
    }
}

async fn tcp_without_buffer(mut io: Counted<TcpStream>) {
    while io.0.readable().await.is_ok() {
        let mut buffer = Vec::with_capacity(BUFFER);
        match io.0.try_read_buf(&mut buffer) {
            Ok(1..) => {
                if io.write_all(&buffer).await.is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => break,
        }
    }
}

/// Knows frames of one piece only, and believes what they say.
pub(super) async fn bare_loop(mut io: impl Io) {
    let (mut input, mut output) =
        (BytesMut::with_capacity(2 * BUFFER), Vec::with_capacity(2 * BUFFER));
    while let Ok(1..) = io.read_buf(&mut input).await {
        output.clear();
        let mut rest = &input[..];
        while let Some((frame, behind)) = split_frame(rest) {
            output.push(frame.opcode);
            output.extend_from_slice(frame.length);
            let start = output.len() - frame.length.len();
            output[start] &= 0x7f;
            let start = output.len();
            output.extend_from_slice(frame.payload);
            unmask(&mut output[start..], frame.mask);
            rest = behind;
        }
        let done = input.len() - rest.len();
        let _ = input.split_to(done);
        input.reserve(BUFFER);
        if io.write_all(&output).await.is_err() {
            break;
        }
    }
}

struct Frame<'a> {
    opcode: u8,
    length: &'a [u8],
    mask: [u8; 4],
    payload: &'a [u8],
}

fn split_frame(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (&opcode, rest) = bytes.split_first()?;
    let (length, payload_len) = match rest.first()? & 0x7f {
        126 => (rest.get(..3)?, u16::from_be_bytes(rest.get(1..3)?.try_into().ok()?).into()),
        127 => {
            let len = u64::from_be_bytes(rest.get(1..9)?.try_into().ok()?);
            (rest.get(..9)?, usize::try_from(len).ok()?)
        }
        len => (rest.get(..1)?, len.into()),
    };
    let (mask, rest) = rest[length.len()..].split_first_chunk()?;
    let (payload, rest) = rest.split_at_checked(payload_len)?;
    Some((Frame { opcode, length, mask: *mask, payload }, rest))
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}

pub(super) const BUFFER: usize = 64 << 10;
