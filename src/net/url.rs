//! URLs as a client takes them (RFC 6455, section 3).

use std::net::Ipv6Addr;

use data_encoding::BASE64;
use http::{HeaderValue, Uri};
use percent_encoding::{AsciiSet, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, ErrorKind};

/// Where to connect to.
#[derive(Clone, Debug)]
pub(super) struct Url {
    /// Plain: `ws` or `wss`, a path, a port only where it is not the scheme's own, no user.
    pub(super) uri: Uri,
    /// What the user and the password before the host become.
    pub(super) authorization: Option<HeaderValue>,
}

impl Url {
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        // `Uri` would drop it silently.
        if url.contains('#') {
            return Err(Error::invalid_input("a WebSocket URL must not have a fragment (`#…`)"));
        }
        let ascii = utf8_percent_encode(url, &AsciiSet::EMPTY).to_string();
        let uri: Uri = ascii.parse().map_err(invalid)?;
        let scheme = match uri.scheme_str().map(str::to_ascii_lowercase).as_deref() {
            Some("ws" | "http") => "ws",
            Some("wss" | "https") => "wss",
            _ => return Err(Error::invalid_input("a WebSocket URL starts with ws:// or wss://")),
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, authority),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| Error::invalid_input("the URL has no host"))?;
        check_brackets(host)?;
        let port = match port(&authority[host.len()..])? {
            Some(port) if port != default_port(scheme) => format!(":{port}"),
            _ => String::new(),
        };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let plain = format!("{scheme}://{host}{port}{}{query}", uri.path());
        Ok(Self {
            authorization: user.filter(|user| !["", ":"].contains(user)).map(basic).transpose()?,
            uri: plain.parse().map_err(invalid)?,
        })
    }

    /// The host, an IPv6 address without its brackets.
    pub(super) fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_matches(['[', ']'])
    }

    pub(super) fn port(&self) -> u16 {
        self.uri
            .port_u16()
            .unwrap_or_else(|| default_port(self.uri.scheme_str().unwrap_or_default()))
    }
}

/// What stands in brackets is an IPv6 address. A zone, as in `[fe80::1%25eth0]`, has a meaning only at
/// the machine that it is of.
fn check_brackets(host: &str) -> Result<(), Error> {
    match host.strip_prefix('[').map(|host| host.trim_end_matches(']').parse::<Ipv6Addr>()) {
        Some(Err(_)) => {
            Err(Error::invalid_input("the URL's host is not an IPv6 address (without a zone)"))
        }
        Some(Ok(_)) | None => Ok(()),
    }
}

/// What stands behind the host.
fn port(behind_host: &str) -> Result<Option<u16>, Error> {
    match behind_host.strip_prefix(':') {
        _ if behind_host.is_empty() => Ok(None),
        Some("") => Ok(None),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => match port.parse() {
            Ok(0) => Err(Error::invalid_input("nobody can be reached at port 0")),
            Ok(port) => Ok(Some(port)),
            Err(_) => Err(Error::invalid_input("the URL's port is too large")),
        },
        _ => Err(Error::invalid_input("the URL's port is not a number")),
    }
}

fn default_port(scheme: &str) -> u16 {
    if scheme == "wss" { 443 } else { 80 }
}

/// Basic authorization (RFC 7617).
fn basic(user: &str) -> Result<HeaderValue, Error> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let user: Vec<u8> = percent_decode_str(user).collect();
    if user.contains(&b':') {
        return Err(Error::invalid_input("a user's name must not have a colon (RFC 7617)"));
    }
    let credentials: Vec<u8> =
        user.into_iter().chain([b':']).chain(percent_decode_str(password)).collect();
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(&credentials)))
        .expect("base64 is a header value");
    value.set_sensitive(true);
    Ok(value)
}

fn invalid(error: http::uri::InvalidUri) -> Error {
    Error::with_source(ErrorKind::InvalidInput, "the URL is not valid", error)
}
