//! `Error`: its one line, its source, and what becomes of it as an `io::Error`.

use std::{error::Error as _, fmt, io};

use futures::{SinkExt, executor::block_on, future::join};
use wsweave::{Connection, ConnectionExt, Error, ErrorKind};

#[derive(Debug, PartialEq)]
struct OutOfTea;

impl fmt::Display for OutOfTea {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no tea")
    }
}

impl std::error::Error for OutOfTea {}

#[test]
fn a_hooks_own_error_can_be_had_back() {
    let (conn, mut peer) = Connection::pair();
    let conn = conn.on_each(|_, _| Err(OutOfTea));
    let (finish, _) = block_on(join(conn.run(), peer.send("tea".into())));
    let error = finish.error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Hook);
    assert_eq!(error.to_string(), "a hook failed: there is no tea");
    assert_eq!(error.source().unwrap().downcast_ref(), Some(&OutOfTea));
}

#[test]
fn the_kind_of_the_transports_error_is_kept() {
    let error = Error::from(io::Error::from(io::ErrorKind::ConnectionReset));
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn other_kinds_become_those_of_io_that_are_near() {
    let error = wsweave::Text::try_from(vec![0xff]).unwrap_err();
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
}
