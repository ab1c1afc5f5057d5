//! [`ServerTls`].

use std::{fmt, path::Path, sync::Arc};

use futures_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        sign::{CertifiedKey, SingleCertAndKey},
    },
};

use super::{ALPN, explain, pem, provider, stream::Stream};
use crate::{config::Clock, error::Error, handshake::server::drain, net::Server, socket::Socket};

/// How a server encrypts: with a certificate and its key, or as a whole rustls configuration says.
///
/// TLS 1.2 and 1.3 by rustls, with `ring`. A clone shares the configuration.
///
/// # Examples
///
/// ```
/// use wsweave::ServerTls;
///
/// let missing = ServerTls::from_pem_files("no/cert.pem", "no/key.pem").unwrap_err();
/// assert_eq!(missing.kind(), wsweave::ErrorKind::InvalidInput);
/// assert!(missing.to_string().starts_with("cannot read no/cert.pem: "));
/// ```
#[derive(Clone)]
#[must_use]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// Takes a certificate, followed by those between it and its authority's root, and its key from
    /// two files in PEM, which may be one. They are read now, and not again: a renewed certificate
    /// needs a new `ServerTls`, or a rustls configuration with a resolver of its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if a file cannot be read or has no
    /// certificate or key in it, if the key is encrypted, or is not the certificate's.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), wsweave::Error> {
    /// let tls = wsweave::ServerTls::from_pem_files("fullchain.pem", "privkey.pem")?;
    /// # Ok(()) }
    /// ```
    pub fn from_pem_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, Error> {
        let identity = pem::identity(certificate.as_ref(), key.as_ref())?;
        Ok(Self(Arc::new(showing(identity))))
    }

    /// Does the TLS handshake. The limit in time is the caller's.
    pub(in crate::net) async fn accept(&self, io: Socket) -> Result<Socket, Error> {
        let accepting = TlsAcceptor::from(Arc::clone(&self.0)).accept(io).into_fallible();
        match accepting.await {
            Ok(stream) => Ok(Socket::new(Stream(stream))),
            Err((error, mut io)) => {
                // The alert that says why is written; it has to arrive.
                drain(&mut io, &Clock::Ambient).await;
                Err(explain::client_failed(error))
            }
        }
    }
}

impl Server {
    /// Serves `wss://` in the place of `ws://`, on every address.
    ///
    /// ```no_run
    /// use wsweave::{Server, ServerTls};
    ///
    /// # async_std::task::block_on(async {
    /// let tls = ServerTls::from_pem_files("fullchain.pem", "privkey.pem")?;
    /// let server = Server::new().tls(tls).bind("0.0.0.0:443").await?;
    /// # Ok::<_, wsweave::Error>(()) }).unwrap();
    /// ```
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }
}

fn showing(identity: CertifiedKey) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has all of them")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

/// A whole rustls configuration, as it is: certificates of clients, a certificate for each name,
/// versions. Its `alpn_protocols` should be empty or have `http/1.1`.
///
/// ```
/// use std::sync::Arc;
/// use wsweave::{ServerTls, rustls::{ServerConfig, crypto::ring, server::ResolvesServerCertUsingSni}};
///
/// let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
///     .with_safe_default_protocol_versions()?
///     .with_no_client_auth()
///     .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
/// let tls = ServerTls::from(Arc::new(config));
/// # Ok::<_, wsweave::rustls::Error>(())
/// ```
impl From<Arc<ServerConfig>> for ServerTls {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(config)
    }
}

/// Without the key.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
