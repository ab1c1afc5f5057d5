//! URLs as a client takes them (RFC 6455, section 3).

use std::{borrow::Cow, cell::Cell, fmt, net::IpAddr};

use http::{HeaderValue, Uri};
use url::{Host, ParseError, SyntaxViolation};

use super::authorization;
use crate::error::{Error, ErrorKind};

/// Where to connect to: a `ws` or `wss` URL without a user and without a fragment.
#[derive(Clone)]
pub(super) struct Url {
    url: url::Url,
    /// The same, for requests.
    uri: Uri,
}

impl Url {
    /// Parses a URL, and gives what the user and the password before its host become.
    pub(super) fn parse(url: &str) -> Result<(Self, Option<HeaderValue>), Error> {
        let mut url = parse_exactly(url, SCHEMES)?;
        set_scheme(&mut url)?;
        if url.fragment().is_some() {
            return Err(Error::invalid_input("a WebSocket URL must not have a fragment (`#…`)"));
        }
        check_port(url.port())?;
        let authorization = authorization::of_url(&url)?;
        Ok((Self::without_user(url)?, authorization))
    }

    /// Where a redirect to `location`, which may be relative, leads to. Its fragment and its user are of
    /// no use here.
    pub(super) fn join(&self, location: &str) -> Result<Self, Error> {
        let mut url = self.url.join(location).map_err(|error| invalid(error, SCHEMES))?;
        set_scheme(&mut url)?;
        check_port(url.port())?;
        url.set_fragment(None);
        Self::without_user(url)
    }

    fn without_user(mut url: url::Url) -> Result<Self, Error> {
        // Neither fails for a URL that has a host, as those of these schemes have.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        match url.as_str().parse() {
            Ok(uri) => Ok(Self { url, uri }),
            // It is too long, say.
            Err(error) => {
                Err(Error::with_source(ErrorKind::InvalidInput, "the URL is not valid", error))
            }
        }
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The host, an IPv6 address without its brackets.
    pub(super) fn host(&self) -> Cow<'_, str> {
        match self.url.host() {
            Some(Host::Domain(name)) => name.into(),
            Some(Host::Ipv4(addr)) => addr.to_string().into(),
            Some(Host::Ipv6(addr)) => addr.to_string().into(),
            None => "".into(),
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// Over TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// Tells whether scheme, host and port are the same.
    pub(super) fn has_origin_of(&self, other: &Self) -> bool {
        self.url.origin() == other.url.origin()
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Url").field(&self.url.as_str()).finish()
    }
}

/// `http` and `https` mean `ws` and `wss`.
fn set_scheme(url: &mut url::Url) -> Result<(), Error> {
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return Err(Error::invalid_input(SCHEMES)),
    };
    url.set_scheme(scheme).map_err(|()| Error::invalid_input(SCHEMES))
}

/// Parses a URL as browsers do (WHATWG); but what a browser would silently leave out or correct is an
/// error.
pub(super) fn parse_exactly(url: &str, schemes: &'static str) -> Result<url::Url, Error> {
    let corrected = Cell::new(None);
    let note = |violation| {
        use SyntaxViolation as V;
        match violation {
            V::EmbeddedCredentials | V::NonUrlCodePoint | V::PercentDecode | V::UnencodedAtSign => {
            }
            violation => corrected.set(Some(violation)),
        }
    };
    let url = url::Url::options().syntax_violation_callback(Some(&note)).parse(url);
    let url = url.map_err(|error| invalid(error, schemes))?;
    match corrected.get() {
        Some(violation) => {
            let message = format!("the URL is not valid: {}", violation.description());
            Err(Error::invalid_input(message))
        }
        None => Ok(url),
    }
}

/// The host that somebody names beside a URL: an address, or a name, which may be international.
pub(super) fn parse_host(host: &str) -> Result<String, Error> {
    if host.parse::<IpAddr>().is_ok() {
        return Ok(host.to_owned());
    }
    match Host::parse(host) {
        Ok(Host::Domain(name)) => Ok(name),
        Ok(Host::Ipv4(addr)) => Ok(addr.to_string()),
        Ok(Host::Ipv6(addr)) => Ok(addr.to_string()),
        Err(error) => Err(Error::with_source(ErrorKind::InvalidInput, "this is no host", error)),
    }
}

pub(super) fn check_port(port: Option<u16>) -> Result<(), Error> {
    match port {
        Some(0) => Err(Error::invalid_input("nobody can be reached at port 0")),
        _ => Ok(()),
    }
}

fn invalid(error: ParseError, schemes: &'static str) -> Error {
    match error {
        ParseError::RelativeUrlWithoutBase => Error::invalid_input(schemes),
        // A zone, as in `[fe80::1%25eth0]`, has a meaning only at the machine that it is of.
        ParseError::InvalidIpv6Address => {
            Error::invalid_input("the URL's host is not an IPv6 address (without a zone)")
        }
        error => Error::with_source(ErrorKind::InvalidInput, "the URL is not valid", error),
    }
}

const SCHEMES: &str = "a WebSocket URL starts with ws:// or wss://";
