//! Real sockets, for the tests whose subject they are.

use async_std::net::{TcpListener, TcpStream};
use wsweave::{Config, Connection, Role};

/// A client and a server over loopback.
pub(crate) async fn tcp_pair(config: Config) -> [Connection<TcpStream>; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) =
        futures::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    [
        Connection::from_raw(client.unwrap(), Role::Client, config.clone()),
        Connection::from_raw(server.unwrap().0, Role::Server, config),
    ]
}
