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

#[cfg(test)]
mod tests {
    use super::*;

    /// The proxy of a URL in an environment.
    fn find(environment: &[(&str, &str)], url: &str) -> Result<Option<String>, Error> {
        let url = url::Url::parse(url).unwrap();
        let variable = |name: &str| {
            environment.iter().find(|(other, _)| *other == name).map(|(_, value)| value.to_string())
        };
        let host = url.host_str().unwrap().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap();
        let found = find_in(variable, url.scheme() == "wss", host, port)?;
        Ok(found.map(|proxy| format!("{proxy:?}")))
    }

    /// Tells which of these proxies is taken.
    #[track_caller]
    fn assert_found(environment: &[(&str, &str)], url: &str, expected: Option<&str>) {
        let found = find(environment, url).unwrap();
        match expected {
            Some(host) => assert!(found.as_ref().is_some_and(|p| p.contains(host)), "{found:?}"),
            None => assert_eq!(found, None),
        }
    }

    const ALL: &[(&str, &str)] = &[
        ("ws_proxy", "http://for-ws"),
        ("wss_proxy", "http://for-wss"),
        ("http_proxy", "http://for-http"),
        ("https_proxy", "http://for-https"),
        ("all_proxy", "socks5://for-all"),
    ];

    #[test]
    fn the_closest_variable_is_taken() {
        for (names, ws, wss) in [
            (ALL, Some("for-ws\""), Some("for-wss\"")),
            (&ALL[2..], Some("for-http\""), Some("for-https\"")),
            (&ALL[3..], Some("for-all"), Some("for-https\"")),
            (&ALL[4..], Some("for-all"), Some("for-all")),
            (&[], None, None),
        ] {
            let upper: Vec<_> = names.iter().map(|(n, v)| (n.to_uppercase(), *v)).collect();
            let upper: Vec<_> = upper.iter().map(|(n, v)| (n.as_str(), *v)).collect();
            for environment in [names, &upper] {
                assert_found(environment, "ws://a.example/", ws);
                assert_found(environment, "wss://a.example/", wss);
            }
        }
    }

    #[test]
    fn lower_case_comes_first_and_an_empty_value_is_none() {
        let both = [("WS_PROXY", "http://upper"), ("ws_proxy", "http://lower")];
        assert_found(&both, "ws://a.example/", Some("lower"));
        let empty = [("WS_PROXY", "http://upper"), ("ws_proxy", "")];
        assert_found(&empty, "ws://a.example/", Some("upper"));
    }

    #[test]
    fn a_value_may_be_a_host_and_a_port() {
        let environment = [("http_proxy", "proxy.example:3128")];
        assert_found(&environment, "ws://a.example/", Some("port: 3128"));
    }

    #[test]
    fn this_machine_needs_no_proxy() {
        for host in
            ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"]
        {
            assert_found(ALL, &format!("ws://{host}/"), None);
        }
        for host in ["localhost.example", "128.0.0.1", "[::2]"] {
            assert_found(ALL, &format!("ws://{host}/"), Some("for-ws"));
        }
    }

    #[test]
    fn exceptions_are_made_for_names_networks_and_all() {
        let listed = "b.example, .c.example,10.0.0.0/8,192.168.1.7,fd00::/8";
        for (exceptions, host, is_excepted) in [
            (listed, "b.example", true),
            (listed, "x.b.example", true),
            (listed, "xb.example", false),
            (listed, "x.c.example", true),
            (listed, "B.Example", true),
            (listed, "10.255.0.1", true),
            (listed, "11.0.0.1", false),
            (listed, "192.168.1.7", true),
            (listed, "[fd00::1]", true),
            (listed, "[fe00::1]", false),
            ("*", "anything.example", true),
            ("", "b.example", false),
        ] {
            for name in ["no_proxy", "NO_PROXY"] {
                let environment = [("ws_proxy", "http://proxy"), (name, exceptions)];
                let expected = (!is_excepted).then_some("proxy");
                assert_found(&environment, &format!("ws://{host}/"), expected);
            }
        }
    }

    #[test]
    fn a_proxy_that_is_none_is_an_error_that_names_its_variable() {
        for value in ["ftp://proxy", "http://", "http://proxy:0", "http://pro xy"] {
            let environment = [("WSS_PROXY", value), ("no_proxy", "b.example")];
            let error = find(&environment, "wss://a.example/").unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("WSS_PROXY"), "{error}");
            assert_found(&environment, "wss://b.example/", None);
            assert_found(&environment, "ws://a.example/", None);
        }
    }

    #[test]
    fn a_header_of_a_cgi_request_is_no_proxy() {
        let cgi = [("HTTP_PROXY", "http://evil"), ("REQUEST_METHOD", "GET")];
        assert_found(&cgi, "ws://a.example/", None);
        assert_found(&cgi[..1], "ws://a.example/", Some("evil"));
    }
}
