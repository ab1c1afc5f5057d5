//! Header fields as the handshake reads them, and the names that belong to it.

use std::str;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE},
    uri::Authority,
};

/// The elements of a list over all lines of its field (RFC 9110, section 5.6.1).
///
/// One that is not text does not go unseen: it is there, and equals nothing.
pub(super) fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(|element| str::from_utf8(element).unwrap_or(NO_TEXT))
        .map(|element| element.trim_matches([' ', '\t']))
        .filter(|element| !element.is_empty())
}

/// Tells whether a list has an element, in whatever case.
pub(super) fn has(headers: &HeaderMap, name: HeaderName, element: &str) -> bool {
    list(headers, name).any(|other| other.eq_ignore_ascii_case(element))
}

/// The value of a field that must stand exactly once: `None` if it is missing or repeated.
pub(crate) fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    sole(headers.get_all(name).iter())
}

/// The one item of an iterator that has no other.
pub(crate) fn sole<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    match (items.next(), items.next()) {
        (Some(item), None) => Some(item),
        _ => None,
    }
}

/// A host and perhaps a port, with no user in front.
pub(crate) fn authority(text: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(text).ok()?;
    let port = authority.as_str().strip_prefix(authority.host())?;
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && (port.is_empty() || port.parse::<u16>().is_ok())
    };
    let is_valid = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    (is_valid && !authority.host().is_empty()).then_some(authority)
}

/// Tells whether this is a token (RFC 9110, section 5.6.2), as a subprotocol's name must be.
pub(crate) fn is_token(name: &str) -> bool {
    let is_token_char =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token_char)
}

/// Tells whether a field is the handshake's own, so that nobody else may set it. A handshake has no
/// body either.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    [HOST, CONNECTION, UPGRADE, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name)
        || name.as_str().starts_with("sec-websocket-")
}

/// No header's value can have this byte.
const NO_TEXT: &str = "\0";
