//! Clients over TCP that say only what the test has them say, on every runtime with the same sockets.

use std::net::SocketAddr;

use futures::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

use super::request;

/// Sends `request`, and returns everything that comes back until the end.
pub(crate) async fn ask(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Sends `request`, and returns the head of the answer.
pub(crate) async fn greet(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// A client whose request was accepted.
pub(crate) async fn upgraded(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let answer = greet(&mut stream, &request("/")).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    stream
}
