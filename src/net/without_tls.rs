//! What stands in for TLS where the feature `tls` is off.

use std::future::Ready;

use crate::{
    error::{Error, ErrorKind},
    socket::Socket,
};

#[derive(Clone, Debug)]
pub(super) struct ClientTls;

impl ClientTls {
    pub(super) fn new() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as the one that there is with the feature")]
    pub(super) fn connector(&self, _host: &str) -> Result<Connector, Error> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "wss:// needs TLS: enable the feature `tls`, or make a TLS stream and use `connect_over`",
        ))
    }
}

/// There is none.
pub(super) enum Connector {}

impl Connector {
    pub(super) fn connect(self, _io: Socket) -> Ready<Result<Socket, Error>> {
        match self {}
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
