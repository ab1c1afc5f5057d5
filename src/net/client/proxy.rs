//! [`Proxy`]: another way to the server than the straight one.

use std::fmt;

use http::{HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;
use tokio_socks::{Error as SocksError, IntoTargetAddr, TargetAddr, io::Compat, tcp::Socks5Stream};

use super::{
    authorization,
    dial::Dialer,
    url::{check_port, parse_exactly},
};
use crate::{
    config::Config,
    error::{Error, ErrorKind},
    handshake::tunnel,
    socket::Socket,
};

/// A proxy for [`Client::proxy`](crate::Client::proxy).
///
/// | URL | what it speaks | who looks up the server's name |
/// |---|---|---|
/// | `http://` | CONNECT (RFC 9110, section 9.3.6), for `ws://` too | the proxy |
/// | `socks5://` | SOCKS5 (RFC 1928) | this side, and the first address is taken |
/// | `socks5h://` | SOCKS5 | the proxy |
///
/// The port is 80 for HTTP and 1080 for SOCKS5, if none is given. A user and a password before the host
/// become Basic authorization (RFC 7617), or SOCKS5's own (RFC 1929); `Debug` does not show them.
///
/// # Examples
///
/// ```
/// use wsweave::{Client, Proxy};
///
/// let proxy = Proxy::new("http://user:password@proxy.example:3128")?;
/// let client = Client::new("wss://example.com/feed")?.proxy(proxy);
/// # Ok::<_, wsweave::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Proxy {
    host: String,
    port: u16,
    protocol: Protocol,
}

#[derive(Clone)]
enum Protocol {
    Http { authorization: Option<HeaderValue> },
    Socks5 { login: Option<(String, String)>, looks_up: bool },
}

impl Proxy {
    /// A proxy at a URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if this is no URL, has another scheme, no host, or more than a user,
    /// a password, a host and a port; or if a user or a password is none for that protocol.
    ///
    /// ```
    /// use wsweave::Proxy;
    /// assert!(Proxy::new("socks5h://[::1]:9050").is_ok());
    /// assert_eq!(
    ///     Proxy::new("ftp://proxy.example").unwrap_err().to_string(),
    ///     "a proxy's URL starts with http://, socks5:// or socks5h://"
    /// );
    /// ```
    pub fn new(url: &str) -> Result<Self, Error> {
        let url = parse_exactly(url, SCHEMES)?;
        let (protocol, default_port) = match url.scheme() {
            "http" => (Protocol::Http { authorization: authorization::of_url(&url)? }, 80),
            "socks5" => (Protocol::Socks5 { login: login(&url)?, looks_up: false }, 1080),
            "socks5h" => (Protocol::Socks5 { login: login(&url)?, looks_up: true }, 1080),
            _ => return Err(Error::invalid_input(SCHEMES)),
        };
        check_port(url.port())?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(Error::invalid_input("the proxy's URL has no host"));
        }
        if !["", "/"].contains(&url.path()) || url.query().or(url.fragment()).is_some() {
            return Err(Error::invalid_input("a proxy's URL ends with its host and port"));
        }
        let port = url.port().unwrap_or(default_port);
        Ok(Self { host: host.to_owned(), port, protocol })
    }

    /// Connects to a server by way of the proxy.
    pub(super) async fn connect(
        &self,
        dialer: &Dialer<'_>,
        config: &Config,
        host: &str,
        port: u16,
    ) -> Result<Socket, Error> {
        let server = authority(host, port);
        match &self.protocol {
            Protocol::Http { authorization } => {
                let socket = self.dial(dialer).await?;
                self.tunnel(socket, &server, authorization.as_ref(), config).await
            }
            Protocol::Socks5 { login, looks_up } => {
                let target = if *looks_up {
                    (host, port).into_target_addr().map_err(|error| self.failed(&server, error))?
                } else {
                    TargetAddr::Ip(dialer.look_up(host, port).await?.swap_remove(0))
                };
                let socket = self.dial(dialer).await?;
                socks(socket, target, login.as_ref())
                    .await
                    .map_err(|error| self.failed(&server, error))
            }
        }
    }

    async fn dial(&self, dialer: &Dialer<'_>) -> Result<Socket, Error> {
        match dialer.dial(&self.host, self.port).await {
            Ok((socket, _)) => {
                dialer.stage.set("the proxy's answer");
                Ok(socket)
            }
            Err(error) => {
                Err(Error::with_source(error.kind(), "the proxy cannot be reached", error))
            }
        }
    }

    async fn tunnel(
        &self,
        mut socket: Socket,
        server: &str,
        authorization: Option<&HeaderValue>,
        config: &Config,
    ) -> Result<Socket, Error> {
        let refused = |status| match status {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                format!("the proxy {} {UNKNOWN_USER} ({status})", self.name())
            }
            status => {
                format!("the proxy {} refused the way to {server} with {status}", self.name())
            }
        };
        match tunnel::open(&mut socket, server, authorization, config, refused).await {
            Ok(()) => Ok(socket),
            Err(error) if error.kind() == ErrorKind::Refused => Err(error),
            Err(error) => {
                let message = format!("the proxy {} opened no way to {server}", self.name());
                Err(Error::with_source(error.kind(), message, error))
            }
        }
    }

    /// The error for what SOCKS5 came to.
    fn failed(&self, server: &str, error: SocksError) -> Error {
        use SocksError as E;
        let (kind, what) = match &error {
            E::Io(_)
            | E::GeneralSocksServerFailure
            | E::NetworkUnreachable
            | E::HostUnreachable
            | E::ConnectionRefused
            | E::TtlExpired => (ErrorKind::Io, format!("opened no way to {server}")),
            E::NoAcceptableAuthMethods | E::AuthorizationRequired | E::PasswordAuthFailure(_) => {
                (ErrorKind::Refused, UNKNOWN_USER.to_owned())
            }
            E::ConnectionNotAllowedByRuleset
            | E::CommandNotSupported
            | E::AddressTypeNotSupported => {
                (ErrorKind::Refused, format!("refused the way to {server}"))
            }
            E::InvalidTargetAddress(_) => {
                (ErrorKind::InvalidInput, format!("cannot be asked for {server}"))
            }
            _ => (ErrorKind::Handshake, "does not speak SOCKS5".to_owned()),
        };
        Error::with_source(kind, format!("the proxy {} {what}", self.name()), error)
    }

    fn name(&self) -> String {
        authority(&self.host, self.port)
    }
}

async fn socks(
    socket: Socket,
    target: TargetAddr<'_>,
    login: Option<&(String, String)>,
) -> Result<Socket, SocksError> {
    let socket = Compat::new(socket);
    let stream = match login {
        Some((user, password)) => {
            Socks5Stream::connect_with_password_and_socket(socket, target, user, password).await?
        }
        None => Socks5Stream::connect_with_socket(socket, target).await?,
    };
    Ok(stream.into_inner().into_inner())
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// The user and the password of SOCKS5 (RFC 1929).
fn login(url: &url::Url) -> Result<Option<(String, String)>, Error> {
    let (user, password) = (url.username(), url.password());
    if user.is_empty() && password.is_none() {
        return Ok(None);
    }
    let decode = |part| match percent_decode_str(part).decode_utf8() {
        Ok(part) if (1..=255).contains(&part.len()) => Ok(part.into_owned()),
        _ => Err(Error::invalid_input(
            "a SOCKS5 proxy's user and password have 1 to 255 bytes of UTF-8 each (RFC 1929)",
        )),
    };
    Ok(Some((decode(user)?, decode(password.unwrap_or_default())?)))
}

/// A host and a port as they stand in a URL.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

const SCHEMES: &str = "a proxy's URL starts with http://, socks5:// or socks5h://";

const UNKNOWN_USER: &str = "wants a user and a password, or others than those in its URL";
