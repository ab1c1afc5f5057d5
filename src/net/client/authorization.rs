//! `Authorization` and `Proxy-Authorization`: Basic (RFC 7617) and Bearer (RFC 6750).

use data_encoding::BASE64;
use http::HeaderValue;
use percent_encoding::percent_decode_str;

use crate::error::Error;

pub(super) fn basic(user: &[u8], password: &[u8]) -> Result<HeaderValue, Error> {
    if user.contains(&b':') {
        return Err(Error::invalid_input("a user's name must not have a colon (RFC 7617)"));
    }
    let credentials = BASE64.encode(&[user, b":", password].concat());
    Ok(secret(&format!("Basic {credentials}")))
}

/// What the user and the password in a URL become, if it has any.
pub(super) fn of_url(url: &url::Url) -> Result<Option<HeaderValue>, Error> {
    let (user, password) = (url.username(), url.password());
    if user.is_empty() && password.is_none() {
        return Ok(None);
    }
    let [user, password] = [user, password.unwrap_or_default()]
        .map(|part| percent_decode_str(part).collect::<Vec<u8>>());
    basic(&user, &password).map(Some)
}

pub(super) fn bearer(token: &str) -> Result<HeaderValue, Error> {
    let is_token_char = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    let start = token.trim_end_matches('=');
    if start.is_empty() || !start.bytes().all(is_token_char) {
        return Err(Error::invalid_input("this is not a Bearer token (RFC 6750, section 2.1)"));
    }
    Ok(secret(&format!("Bearer {token}")))
}

/// `Debug` does not show it, and redirects do not carry it elsewhere.
fn secret(value: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(value).expect("base64 and tokens make a header value");
    value.set_sensitive(true);
    value
}
