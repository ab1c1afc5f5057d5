//! What stands in for TLS where the feature `tls` is off.

use std::future::{Ready, ready};

use crate::{
    error::{Error, ErrorKind},
    socket::Socket,
};

#[derive(Clone, Debug, Default)]
pub(super) struct ClientTls;

impl ClientTls {
    pub(super) fn connect(&self, _host: &str, _io: Socket) -> Ready<Result<Socket, Error>> {
        ready(Err(Error::new(
            ErrorKind::Unsupported,
            "wss:// needs TLS: enable the feature `tls`, or make a TLS stream and use `connect_over`",
        )))
    }
}

/// There is none.
#[derive(Clone, Debug)]
pub(super) enum ServerTls {}

impl ServerTls {
    pub(super) fn accept(&self, _io: Socket) -> Ready<Result<Socket, Error>> {
        match *self {}
    }
}
