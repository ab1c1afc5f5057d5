//! Proxies from the environment, as most programs know them.

use std::{env, net::IpAddr};

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use super::proxy::{Proxy, authority};
use crate::error::Error;

/// The proxy that the environment names for a server.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput), naming the variable, if its value is no
/// proxy.
pub(super) fn find(is_secure: bool, host: &str, port: u16) -> Result<Option<Proxy>, Error> {
    let variable = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    find_in(variable, is_secure, host, port)
}

fn find_in(
    variable: impl Fn(&str) -> Option<String>,
    is_secure: bool,
    host: &str,
    port: u16,
) -> Result<Option<Proxy>, Error> {
    if is_loopback(host) {
        return Ok(None);
    }
    // In a CGI program this one is what the client sent as the header `Proxy` (CVE-2016-5385).
    let is_foreign = |name: &str| name == "HTTP_PROXY" && variable("REQUEST_METHOD").is_some();
    let either_case = |name: &str| {
        let names = [name.to_owned(), name.to_ascii_uppercase()];
        let mut known = names.into_iter().filter(|name| !is_foreign(name));
        known.find_map(|name| Some((variable(&name).filter(|value| !value.is_empty())?, name)))
    };
    let own = if is_secure { ["wss_proxy", "https_proxy"] } else { ["ws_proxy", "http_proxy"] };
    let Some((value, name)) = own.into_iter().chain(["all_proxy"]).find_map(either_case) else {
        return Ok(None);
    };
    let exceptions = either_case("no_proxy").map(|(value, _)| value).unwrap_or_default();
    if is_excepted(&exceptions, host, port) {
        return Ok(None);
    }
    let url = if value.contains("://") { value } else { format!("http://{value}") };
    match Proxy::new(&url) {
        Ok(proxy) => Ok(Some(proxy)),
        Err(error) => {
            let message = format!("the environment variable {name} is of no use");
            Err(Error::with_source(error.kind(), message, error))
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let addr = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || addr.is_ok_and(|addr| addr.to_canonical().is_loopback())
}

/// Asks what would be sent to some proxy if it was for everything but the exceptions.
fn is_excepted(exceptions: &str, host: &str, port: u16) -> bool {
    let uri = format!("http://{}/", authority(host, port)).parse::<Uri>();
    let matcher = Matcher::builder().all("http://proxy").no(exceptions).build();
    uri.is_ok_and(|uri| matcher.intercept(&uri).is_none())
}
