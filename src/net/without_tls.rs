//! In the place of TLS, when its feature is off.

use crate::{
    error::{Error, ErrorKind},
    socket::Socket,
};

/// Stands for the TLS that is not there.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientTls(());

impl ClientTls {
    /// Says what is missing.
    #[expect(clippy::unused_async, reason = "as the one that encrypts")]
    pub(super) async fn connect(&self, _host: &str, _io: Socket) -> Result<Socket, Error> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "wss:// needs TLS: enable the feature `tls`, or make a TLS stream and use `connect_over`",
        ))
    }
}
