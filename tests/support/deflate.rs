//! Connections that have agreed on compression over a scripted transport.

use std::{pin::pin, task::Poll};

use futures::executor::block_on;
use wsweave::{Acceptor, Client, Config, Connection, Role};

use super::{Script, Task, Wire, header, request, switching};

/// The peer says `extension` in its part of the handshake.
pub(crate) fn deflating(role: Role, config: Config, extension: &str) -> (Connection<Script>, Wire) {
    let compression = config.compression.clone().unwrap_or_default();
    let config = config.compression(compression);
    let (script, wire) = Wire::new();
    let line = format!("\r\nSec-WebSocket-Extensions: {extension}\r\n\r\n");
    let conn = match role {
        Role::Server => {
            wire.give(request("/").replace("\r\n\r\n", &line));
            block_on(Acceptor::new().config(config).accept(script)).unwrap()
        }
        Role::Client => {
            let client = Client::new("ws://server.example/").unwrap().config(config);
            let mut opening = pin!(client.connect_over(script));
            let task = Task::new();
            assert!(task.poll(&mut opening).is_pending());
            let asked = String::from_utf8(wire.take_written()).unwrap();
            wire.give(switching(&asked).replace("\r\n\r\n", &line));
            match task.poll(&mut opening) {
                Poll::Ready(conn) => conn.unwrap(),
                Poll::Pending => panic!("the handshake is not done"),
            }
        }
    };
    let answer = String::from_utf8(wire.take_written()).unwrap();
    let agreed = header(&answer, "sec-websocket-extensions");
    assert!(role == Role::Client || agreed.is_some(), "{answer}");
    (conn, wire)
}
