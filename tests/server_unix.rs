//! `Server` on Unix sockets, and what becomes of their files.

#![cfg(all(unix, feature = "runtime"))]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{
    fs,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{StreamExt, future::join};
use wsweave::{Client, ConnectionExt, ErrorKind, Server};

use crate::support::within;

/// A place for a socket, of this test alone.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("wsweave-{}-{name}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Connects, and returns the server's side.
async fn meet(server: &mut Server, path: &Path) -> wsweave::Connection {
    let client = Client::new("ws://server.example/").unwrap();
    let (client, conn) = join(client.connect_unix(path), server.next()).await;
    assert!(client.is_ok());
    conn.unwrap()
}

#[test]
fn a_socket_is_served_and_its_file_removed() {
    within(async {
        let place = Place::new("served");
        let mut server = Server::new().bind_unix(place.socket()).unwrap();
        assert!(server.local_addrs().is_empty());
        assert_eq!(meet(&mut server, &place.socket()).await.peer_addr(), None);
        drop(server);
        assert!(!place.socket().exists());
    });
}

#[test]
fn a_listener_made_elsewhere_is_served_and_its_file_stays() {
    within(async {
        let place = Place::new("elsewhere");
        let listener = UnixListener::bind(place.socket()).unwrap();
        let mut server = Server::new().listener(listener).unwrap();
        drop(meet(&mut server, &place.socket()).await);
        drop(server);
        assert!(place.socket().exists());
    });
}

#[test]
fn a_shutdown_removes_the_file() {
    within(async {
        let place = Place::new("shutdown");
        let server = Server::new().bind_unix(place.socket()).unwrap();
        server.handle().shutdown(Duration::ZERO).await;
        assert!(!place.socket().exists());
        let _server = server.bind_unix(place.socket()).unwrap();
        assert!(!place.socket().exists());
    });
}

#[test]
fn a_socket_in_use_is_an_error_and_left_alone() {
    within(async {
        let place = Place::new("in-use");
        let mut server = Server::new().bind_unix(place.socket()).unwrap();
        let error = Server::new().bind_unix(place.socket()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        let text = format!("cannot listen on {}: ", place.socket().display());
        assert!(error.to_string().starts_with(&text), "{error}");
        drop(meet(&mut server, &place.socket()).await);
    });
}

#[test]
fn the_socket_of_a_server_that_is_gone_is_replaced() {
    within(async {
        let place = Place::new("gone");
        drop(UnixListener::bind(place.socket()).unwrap());
        assert!(UnixStream::connect(place.socket()).is_err());
        let mut server = Server::new().bind_unix(place.socket()).unwrap();
        drop(meet(&mut server, &place.socket()).await);
    });
}

#[test]
fn another_file_is_an_error_and_left_alone() {
    within(async {
        let place = Place::new("other");
        fs::write(place.socket(), "precious").unwrap();
        let error = Server::new().bind_unix(place.socket()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(fs::read(place.socket()).unwrap(), b"precious");
    });
}

#[test]
fn what_took_the_files_place_is_not_removed() {
    within(async {
        let place = Place::new("moved");
        let server = Server::new().bind_unix(place.socket()).unwrap();
        fs::rename(place.socket(), place.0.join("old")).unwrap();
        let _other = UnixListener::bind(place.socket()).unwrap();
        drop(server);
        assert!(place.socket().exists());
    });
}
