//! `Sec-WebSocket-Extensions` (RFC 6455, section 9.1), of which we know permessage-deflate (RFC 7692).

use std::fmt;

use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};

use super::fields::list;
use crate::compression::{AgreedCompression, Compression, MAX_BITS, MIN_BITS};

/// The parameters of permessage-deflate (RFC 7692, section 7.1), in an offer or in its answer.
#[derive(Debug, Default)]
struct Deflate {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: ClientBits,
}

#[derive(Clone, Copy, Debug, Default)]
enum ClientBits {
    #[default]
    Absent,
    /// Without a value, as only an offer may have it.
    Any,
    AtMost(u8),
}

/// What a client offers.
pub(super) fn offer(own: &Compression) -> HeaderValue {
    Deflate::offer(own).to_header()
}

/// What a client finds in the server's answer: any extension that is not as offered breaks a rule.
pub(super) fn agreed(
    answer: &HeaderMap,
    own: Option<&Compression>,
) -> Result<Option<AgreedCompression>, &'static str> {
    let Some(extension) = single(answer)? else { return Ok(None) };
    let Some(own) = own else { return Err("it was not asked for") };
    let answer = Deflate::parse(extension).ok_or("it was not asked for")??;
    answer.fits(own)?;
    let mut agreed = answer.agreed()?;
    // What we have offered we keep to, whether or not the server has taken it up.
    agreed.client_max_window_bits = agreed.client_max_window_bits.min(own.client_bits());
    agreed.client_no_context_takeover |= own.client_no_context_takeover;
    Ok(Some(agreed))
}

/// What somebody else has agreed on, by the server's answer.
pub(crate) fn agreed_elsewhere(
    answer: &HeaderMap,
) -> Result<Option<AgreedCompression>, &'static str> {
    let Some(extension) = single(answer)? else { return Ok(None) };
    Deflate::parse(extension).ok_or("it is unknown")??.agreed().map(Some)
}

/// The only extension in an answer.
fn single(answer: &HeaderMap) -> Result<Option<&str>, &'static str> {
    let mut extensions = list(answer, SEC_WEBSOCKET_EXTENSIONS);
    let extension = extensions.next();
    match extensions.next() {
        Some(_) => Err("there is more than one"),
        None => Ok(extension),
    }
}

/// A server's answer to the first offer that it can keep to.
pub(super) fn accept(
    request: &HeaderMap,
    own: &Compression,
) -> Option<(HeaderValue, AgreedCompression)> {
    let answer = list(request, SEC_WEBSOCKET_EXTENSIONS)
        .filter_map(Deflate::parse)
        .filter_map(Result::ok)
        .find_map(|offer| offer.accept(own))?;
    Some((answer.to_header(), answer.agreed().ok()?))
}

/// What a client and a server would agree on.
pub(crate) fn between(client: &Compression, server: &Compression) -> Option<AgreedCompression> {
    Deflate::offer(client).accept(server)?.agreed().ok()
}

impl Deflate {
    fn offer(own: &Compression) -> Self {
        let bits = |bits| Some(bits).filter(|&bits| bits < MAX_BITS);
        Self {
            server_no_context_takeover: own.server_no_context_takeover,
            client_no_context_takeover: own.client_no_context_takeover,
            server_max_window_bits: bits(own.server_bits()),
            client_max_window_bits: bits(own.client_bits())
                .map_or(ClientBits::Any, ClientBits::AtMost),
        }
    }

    /// The answer to this offer; none if we could not keep to it, or the client not to our limits.
    fn accept(&self, own: &Compression) -> Option<Self> {
        let server_bits = self.server_max_window_bits.unwrap_or(MAX_BITS);
        let server_bits = server_bits.min(own.server_bits());
        let client_bits = match self.client_max_window_bits {
            ClientBits::AtMost(bits) => bits.min(own.client_bits()),
            ClientBits::Any => own.client_bits(),
            ClientBits::Absent => MAX_BITS,
        };
        if server_bits < MIN_BITS || client_bits > own.client_bits() {
            return None;
        }
        let limits_server = self.server_max_window_bits.is_some() || server_bits < MAX_BITS;
        Some(Self {
            server_no_context_takeover: self.server_no_context_takeover
                || own.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover
                || own.client_no_context_takeover,
            server_max_window_bits: limits_server.then_some(server_bits),
            client_max_window_bits: match client_bits {
                MAX_BITS => ClientBits::Absent,
                bits => ClientBits::AtMost(bits),
            },
        })
    }

    /// Checks that this answer keeps to our offer.
    fn fits(&self, own: &Compression) -> Result<(), &'static str> {
        let server_bits = self.server_max_window_bits.unwrap_or(MAX_BITS);
        if server_bits > own.server_bits() {
            return Err("server_max_window_bits is more than was asked for");
        }
        if own.server_no_context_takeover && !self.server_no_context_takeover {
            return Err("server_no_context_takeover was asked for and is missing");
        }
        match self.client_max_window_bits {
            ClientBits::AtMost(bits) if bits > own.client_bits() => {
                Err("client_max_window_bits is more than was offered")
            }
            _ => Ok(()),
        }
    }

    /// What both sides make of this answer.
    fn agreed(&self) -> Result<AgreedCompression, &'static str> {
        let client_max_window_bits = match self.client_max_window_bits {
            ClientBits::AtMost(bits) => bits,
            ClientBits::Absent => MAX_BITS,
            ClientBits::Any => return Err("client_max_window_bits has no value"),
        };
        Ok(AgreedCompression {
            server_max_window_bits: self.server_max_window_bits.unwrap_or(MAX_BITS),
            client_max_window_bits,
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
        })
    }

    /// Parses an element of the header; `None` if it is another extension.
    fn parse(element: &str) -> Option<Result<Self, &'static str>> {
        let mut parts = element.split(';').map(trim);
        (parts.next() == Some(NAME)).then(|| {
            let mut deflate = Self::default();
            let mut seen = Vec::new();
            for part in parts {
                let (name, value) = match part.split_once('=') {
                    Some((name, value)) => (trim(name), Some(trim(value))),
                    None => (part, None),
                };
                if seen.contains(&name) {
                    return Err("a parameter is repeated");
                }
                deflate.set(name, value)?;
                // Known names only: there are four of them.
                seen.push(name);
            }
            Ok(deflate)
        })
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), &'static str> {
        match (name, value) {
            (SERVER_NO_CONTEXT_TAKEOVER, None) => self.server_no_context_takeover = true,
            (CLIENT_NO_CONTEXT_TAKEOVER, None) => self.client_no_context_takeover = true,
            (SERVER_MAX_WINDOW_BITS, Some(value)) => {
                self.server_max_window_bits = Some(window_bits(value)?);
            }
            (CLIENT_MAX_WINDOW_BITS, value) => {
                self.client_max_window_bits = match value {
                    Some(value) => ClientBits::AtMost(window_bits(value)?),
                    None => ClientBits::Any,
                };
            }
            (SERVER_MAX_WINDOW_BITS, None) => return Err("server_max_window_bits has no value"),
            (SERVER_NO_CONTEXT_TAKEOVER | CLIENT_NO_CONTEXT_TAKEOVER, Some(_)) => {
                return Err("a parameter has a value that takes none");
            }
            _ => return Err("a parameter is unknown"),
        }
        Ok(())
    }

    fn to_header(&self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("names and numbers are a header value")
    }
}

impl fmt::Display for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            write!(f, "; {SERVER_NO_CONTEXT_TAKEOVER}")?;
        }
        if self.client_no_context_takeover {
            write!(f, "; {CLIENT_NO_CONTEXT_TAKEOVER}")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; {SERVER_MAX_WINDOW_BITS}={bits}")?;
        }
        match self.client_max_window_bits {
            ClientBits::AtMost(bits) => write!(f, "; {CLIENT_MAX_WINDOW_BITS}={bits}"),
            ClientBits::Any => write!(f, "; {CLIENT_MAX_WINDOW_BITS}"),
            ClientBits::Absent => Ok(()),
        }
    }
}

/// 8 to 15, without leading zeros (RFC 7692, section 7.1.2), perhaps in quotes (RFC 6455, section 9.1).
fn window_bits(value: &str) -> Result<u8, &'static str> {
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let bits = match quoted.unwrap_or(value).as_bytes() {
        [digit @ b'8'..=b'9'] => digit - b'0',
        [b'1', digit @ b'0'..=b'5'] => 10 + digit - b'0',
        _ => return Err("a window's bits are not 8 to 15"),
    };
    Ok(bits)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";
