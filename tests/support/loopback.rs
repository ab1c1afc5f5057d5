//! Servers and proxies on loopback that a test plays by hand, byte by byte.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread::{self, JoinHandle},
};

/// Plays the server of every client that comes, each in a thread of its own.
pub(crate) fn serve(play: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, play) = (stream.unwrap(), play.clone());
            thread::spawn(move || play(stream));
        }
    });
    addr
}

/// Plays the server of one client.
pub(crate) fn serve_one<T: Send + 'static>(
    play: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (addr, thread::spawn(move || play(listener.accept().unwrap().0)))
}

/// A server that gives each request this answer, and what it is asked.
pub(crate) fn answering(
    answer: impl Fn(&str) -> String + Clone + Send + 'static,
) -> (SocketAddr, Receiver<String>) {
    let (requests, asked) = channel();
    let addr = serve(move |mut stream| {
        let request = read_head(&mut stream);
        let answer = answer(&request);
        let _ = requests.send(request);
        stream.write_all(answer.as_bytes()).unwrap();
        wait_for_end(&mut stream);
    });
    (addr, asked)
}

/// Reads up to the empty line and no further; what has come, if the stream ends before.
pub(crate) fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).unwrap()
}

/// Reads until the client is gone.
pub(crate) fn wait_for_end(stream: &mut TcpStream) {
    while matches!(stream.read(&mut [0; 1024]), Ok(1..)) {}
}
