//! [`ClientTls`].

use std::{
    fmt,
    path::Path,
    sync::{Arc, LazyLock, OnceLock},
};

use futures_rustls::{
    TlsConnector,
    pki_types::{CertificateDer, ServerName},
    rustls::{ClientConfig, client::danger::ServerCertVerifier, sign::SingleCertAndKey},
};
use rustls_platform_verifier::Verifier;

use super::{ALPN, any_certificate::AnyCertificate, explain, pem, provider, stream::Stream};
use crate::{
    error::{Error, ErrorKind},
    net::Client,
    socket::Socket,
};

/// Whom a client trusts that connects to `wss://`, and as whom it shows itself.
///
/// TLS 1.2 and 1.3 by rustls, with `ring`. The server's certificate has to be for the host of the URL,
/// a name or an IP address, which the server is told (SNI) if it is a name.
///
/// The roots are loaded when they are first needed, which may take some milliseconds, and kept: the
/// platform's alone once in a process, else once for a `ClientTls` and its clones. A clone also shares
/// the sessions that make later handshakes shorter.
///
/// # Examples
///
/// ```no_run
/// use wsweave::{Client, ClientTls};
///
/// # async_std::task::block_on(async {
/// let tls = ClientTls::new()
///     .ca_file("our-authority.pem")?
///     .client_certificate("me.pem", "me.key")?;
/// let conn = Client::new("wss://internal.example/feed")?.tls(tls).connect().await?;
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
#[must_use]
pub struct ClientTls {
    trust: Trust,
    identity: Option<Arc<SingleCertAndKey>>,
    /// What the rest comes to, from the first connection on.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

#[derive(Clone)]
enum Trust {
    /// The platform's roots, and these.
    Roots(Vec<CertificateDer<'static>>),
    /// Whomever the configuration trusts.
    Given(Arc<ClientConfig>),
    Anyone,
}

impl ClientTls {
    /// Trusts whom the platform trusts, by rustls-platform-verifier: the roots of Linux are those of
    /// the package `ca-certificates`, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    ///
    /// A machine without any root is an error when connecting, of kind [`ErrorKind::Tls`].
    ///
    /// ```
    /// let tls = wsweave::ClientTls::new();
    /// ```
    pub fn new() -> Self {
        static CONFIG: LazyLock<Arc<OnceLock<Arc<ClientConfig>>>> = LazyLock::new(Arc::default);
        Self { trust: Trust::Roots(Vec::new()), identity: None, config: Arc::clone(&CONFIG) }
    }

    /// Trusts the roots in a PEM file, too, beside the platform's and those of files before. The
    /// platform then needs none. A server's certificate that it signed itself will do, if that does not
    /// claim to be an authority's (`CA:TRUE`).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the file cannot be read, has no certificate in it or one that
    /// cannot be a root, or if this is a whole rustls configuration, which has its own roots.
    ///
    /// ```
    /// use wsweave::ClientTls;
    /// let missing = ClientTls::new().ca_file("no/authority.pem").unwrap_err();
    /// assert!(missing.to_string().starts_with("cannot read no/authority.pem: "));
    /// ```
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let more = pem::roots(path.as_ref())?;
        match &mut self.trust {
            Trust::Roots(roots) => roots.extend(more),
            Trust::Given(_) => {
                return Err(Error::invalid_input(
                    "a whole rustls configuration has its own roots: add the file's to them",
                ));
            }
            Trust::Anyone => {}
        }
        Ok(self.changed())
    }

    /// Shows a certificate to servers that ask for one, followed by those between it and its
    /// authority's root; it and its key come from two files in PEM, which may be one. It takes the
    /// place of one set before, also by a whole rustls configuration.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if a file cannot be read or has no certificate or key in it, if the
    /// key is encrypted, or is not the certificate's.
    ///
    /// ```
    /// use wsweave::ClientTls;
    /// let missing = ClientTls::new().client_certificate("no/me.pem", "no/me.key").unwrap_err();
    /// assert!(missing.to_string().starts_with("cannot read no/me.pem: "));
    /// ```
    pub fn client_certificate(
        mut self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, Error> {
        let identity = pem::identity(certificate.as_ref(), key.as_ref())?;
        self.identity = Some(Arc::new(identity.into()));
        Ok(self.changed())
    }

    /// Trusts anyone, whatever the certificate: one that has expired, is for another name or was made
    /// by an attacker on the way, who can then read and change everything. For tests.
    ///
    /// The server is told its name (SNI) nevertheless, and has to prove that the key is its own.
    ///
    /// ```
    /// let tls = wsweave::ClientTls::new().danger_accept_invalid_certs();
    /// ```
    pub fn danger_accept_invalid_certs(mut self) -> Self {
        self.trust = match self.trust {
            Trust::Roots(_) | Trust::Anyone => Trust::Anyone,
            Trust::Given(config) => {
                let mut config = Arc::unwrap_or_clone(config);
                let verifier = AnyCertificate::new(config.crypto_provider());
                config.dangerous().set_certificate_verifier(Arc::new(verifier));
                Trust::Given(Arc::new(config))
            }
        };
        self.changed()
    }

    /// Prepares TLS with a server that is to be `host`, so that what is wrong at this side is known
    /// before anything is dialed.
    pub(in crate::net) fn connector(&self, host: &str) -> Result<Connector, Error> {
        let server = ServerName::try_from(host.to_owned()).map_err(|error| {
            let message = format!("no certificate can be for the host {host:?}");
            Error::with_source(ErrorKind::InvalidInput, message, error)
        })?;
        Ok(Connector { server, config: self.config()? })
    }

    /// Forgets what was made of the settings before.
    fn changed(self) -> Self {
        Self { config: Arc::default(), ..self }
    }

    fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let config = self.build()?;
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }

    fn build(&self) -> Result<ClientConfig, Error> {
        let mut config = match &self.trust {
            Trust::Roots(roots) => trusting(Arc::new(verifier(roots)?)),
            Trust::Given(config) => ClientConfig::clone(config),
            Trust::Anyone => trusting(Arc::new(AnyCertificate::new(&provider()))),
        };
        if let Some(identity) = &self.identity {
            config.client_auth_cert_resolver = Arc::clone(identity) as _;
        }
        Ok(config)
    }
}

/// Whom to meet by TLS, and how.
pub(in crate::net) struct Connector {
    server: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl Connector {
    /// Does the TLS handshake. The limit in time is the caller's.
    pub(in crate::net) async fn connect(self, io: Socket) -> Result<Socket, Error> {
        let Self { server, config } = self;
        match TlsConnector::from(config).connect(server.clone(), io).await {
            Ok(stream) => Ok(Socket::new(Stream(stream))),
            Err(error) => Err(explain::server_failed(&server.to_str(), error)),
        }
    }
}

impl Client {
    /// Sets whom to trust at `wss://`, and as whom to be known there; without it that is
    /// [`ClientTls::new`]. At `ws://` it has no effect.
    ///
    /// ```
    /// use wsweave::{Client, ClientTls};
    /// let tls = ClientTls::new().danger_accept_invalid_certs();
    /// let client = Client::new("wss://127.0.0.1:8443/")?.tls(tls);
    /// # Ok::<_, wsweave::Error>(())
    /// ```
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = tls;
        self
    }
}

fn trusting(verifier: Arc<dyn ServerCertVerifier>) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has all of them")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

/// It is content without any root of the platform if there are others.
fn verifier(roots: &[CertificateDer<'static>]) -> Result<Verifier, Error> {
    Verifier::new_with_extra_roots(roots.iter().cloned(), provider()).map_err(|error| {
        Error::with_source(
            ErrorKind::Tls,
            "there is no root certificate on this machine; install them, or give a file to \
             `ClientTls::ca_file`",
            error,
        )
    })
}

/// The same as [`ClientTls::new`].
impl Default for ClientTls {
    fn default() -> Self {
        Self::new()
    }
}

/// A whole rustls configuration, as it is. Its `alpn_protocols` should be empty or have `http/1.1`.
///
/// ```
/// use std::sync::Arc;
/// use wsweave::{ClientTls, rustls::{ClientConfig, RootCertStore, crypto::ring}};
///
/// let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
///     .with_safe_default_protocol_versions()?
///     .with_root_certificates(RootCertStore::empty())
///     .with_no_client_auth();
/// let tls = ClientTls::from(Arc::new(config));
/// # Ok::<_, wsweave::rustls::Error>(())
/// ```
impl From<Arc<ClientConfig>> for ClientTls {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self { trust: Trust::Given(config), identity: None, config: Arc::default() }
    }
}

/// Without the key.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = match &self.trust {
            Trust::Roots(extra) => format!("the platform's roots and {} more", extra.len()),
            Trust::Given(_) => "as the rustls configuration says".to_owned(),
            Trust::Anyone => "anyone".to_owned(),
        };
        f.debug_struct("ClientTls")
            .field("trust", &trust)
            .field("client_certificate", &self.identity.is_some())
            .finish_non_exhaustive()
    }
}
