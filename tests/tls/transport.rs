//! Messages over TLS move as they do without it.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite, SinkExt, StreamExt, join};
use futures_rustls::TlsAcceptor;
use smol::net::TcpStream;
use wsweave::{Acceptor, ConnectionExt, Message};

use crate::{
    certificates::{Authority, LOOPBACK},
    peers::{client, listener, meet, serve, server_config, trusting},
    rt::{spawn, within},
};

/// A transport that keeps what was read.
struct Tap(TcpStream, Arc<Mutex<Vec<u8>>>);

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.0).poll_read(cx, buf);
        if let Poll::Ready(Ok(len)) = read {
            self.1.lock().unwrap().extend_from_slice(&buf[..len]);
        }
        read
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// The sizes of the TLS records that carry data (RFC 8446, section 5.1).
fn data_records(mut bytes: &[u8]) -> Vec<usize> {
    let mut sizes = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == 23 {
            sizes.push(size);
        }
        bytes = &rest[size..];
    }
    sizes
}

#[test]
fn many_small_messages_share_a_record() {
    within(async {
        let authority = Authority::new();
        let identity = authority.issue(&LOOPBACK);
        let (listener, addr) = listener().await;
        let read = Arc::new(Mutex::new(Vec::new()));
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(server_config(&identity)));
            let tls = acceptor.accept(Tap(stream, Arc::clone(&read))).await.unwrap();
            Acceptor::new().accept(tls).await.unwrap()
        };
        let client = client(addr, trusting(&authority));
        let (client, mut server) = join!(client.connect(), server);
        let mut client = client.unwrap();
        read.lock().unwrap().clear();

        let sending = async {
            for count in 0..10_000 {
                client.feed(format!("{count:06}").into()).await.unwrap();
            }
            client.flush().await.unwrap();
        };
        let ((), received) = join!(sending, server.by_ref().take(10_000).count());
        assert_eq!(received, 10_000);
        let records = data_records(&read.lock().unwrap());
        // 12 bytes a message, and 16 KiB a record.
        assert!(records.len() < 20, "{records:?}");
    });
}

#[test]
fn what_is_decrypted_is_read_without_another_wake_up() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let (mut client, mut server) = meet(&client(addr, trusting(&authority)), &mut server).await;
        for size in [0, 1, 1000, 16_000, 200_000] {
            let message = Message::from(vec![7; size]);
            let sending = async {
                for _ in 0..20 {
                    server.feed(message.clone()).await.unwrap();
                }
                // Nothing comes behind it.
                server.flush().await.unwrap();
            };
            let receiving = async {
                for _ in 0..20 {
                    assert_eq!(client.next().await.as_ref(), Some(&message));
                }
            };
            join!(sending, receiving);
        }
    });
}

#[test]
fn what_was_sent_is_on_its_way_although_nobody_polls_any_more() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let (mut client, mut server) = meet(&client(addr, trusting(&authority)), &mut server).await;
        for size in [1, 16_000, 64_000, 4_000_000] {
            let message = Message::from(vec![7; size]);
            let reading = spawn(async move { (server.next().await, server) });
            client.send(message.clone()).await.unwrap();
            let received;
            (received, server) = reading.await;
            assert_eq!(received, Some(message));
        }
    });
}

#[test]
fn two_halves_in_two_tasks_lose_no_wake_up() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let (client, server) = meet(&client(addr, trusting(&authority)), &mut server).await;
        let (echo, messages) = server.results().split();
        let echoing = spawn(messages.forward(echo));
        let (mut sink, mut stream) = client.split();
        let sending = spawn(async move {
            for round in 0..500_u32 {
                let size = if round % 50 == 0 { 300_000 } else { 100 };
                sink.send(vec![7; size].into()).await.unwrap();
            }
            sink
        });
        let receiving = spawn(async move {
            let mut count = 0;
            while count < 500 && stream.next().await.is_some() {
                count += 1;
            }
            (count, stream)
        });
        let (sink, (count, stream)) = join!(sending, receiving);
        assert_eq!(count, 500);
        let mut client = sink.reunite(stream).unwrap();
        client.close().await.unwrap();
        assert!(client.finish().unwrap().clean);
        echoing.await.unwrap();
    });
}
