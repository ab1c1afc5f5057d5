//! In the place of the environment's proxies, when their feature is off.

use super::proxy::Proxy;
use crate::error::Error;

/// There is none.
#[expect(clippy::unnecessary_wraps, reason = "as the one that reads the environment")]
pub(super) fn find(_is_secure: bool, _host: &str, _port: u16) -> Result<Option<Proxy>, Error> {
    Ok(None)
}
