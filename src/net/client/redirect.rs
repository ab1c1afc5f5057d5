//! Redirects (RFC 9110, section 15.4).

use std::str;

use http::HeaderMap;

use super::{builder::Client, url::Url};
use crate::{
    error::{Error, ErrorKind},
    handshake::client::Answer,
};

impl Client {
    /// The client that goes where a redirect leads to, after so many others.
    pub(super) fn redirected(&self, answer: Answer, followed: usize) -> Result<Self, Error> {
        if followed == self.max_redirects {
            return Err(answer.refuse(format!("the server redirected more than {followed} times")));
        }
        let location = answer.location().map_or(&[][..], |location| location.as_bytes());
        match self.destination(location) {
            Ok(url) => Ok(self.elsewhere(url)),
            Err(error) => Err(answer.refuse(format!("the redirect is not followed: {error}"))),
        }
    }

    fn destination(&self, location: &[u8]) -> Result<Url, Error> {
        let location = str::from_utf8(location)
            .map_err(|_| Error::invalid_input("its Location is not text"))?;
        let url = self.url.join(location)?;
        if self.url.is_secure() && !url.is_secure() {
            return Err(Error::new(ErrorKind::Refused, "it leads from wss:// to ws://"));
        }
        Ok(url)
    }

    /// The same client for another URL. Secrets stay with the server that they are for.
    fn elsewhere(&self, url: Url) -> Self {
        let mut client = self.clone();
        if !url.has_origin_of(&self.url) {
            client.headers = HeaderMap::new();
            for (name, value) in self.headers.iter().filter(|(_, value)| !value.is_sensitive()) {
                client.headers.append(name, value.clone());
            }
        }
        client.url = url;
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(from: &str, location: &str) -> Result<String, Error> {
        let url = Client::new(from)?.destination(location.as_bytes())?;
        Ok(url.uri().to_string())
    }

    #[test]
    fn a_location_is_seen_from_where_it_was_given() {
        for (location, expected) in [
            ("wss://b.example/x", "wss://b.example/x"),
            ("https://b.example:444", "wss://b.example:444/"),
            ("//b.example/x", "wss://b.example/x"),
            ("/x?y", "wss://a.example:8443/x?y"),
            ("x", "wss://a.example:8443/room/x"),
            ("?y", "wss://a.example:8443/room/1?y"),
            ("#part", "wss://a.example:8443/room/1"),
            ("", "wss://a.example:8443/room/1"),
            ("wss://user:password@b.example/", "wss://b.example/"),
            ("/grüezi", "wss://a.example:8443/gr%C3%BCezi"),
        ] {
            let to = destination("wss://user:password@a.example:8443/room/1", location);
            assert_eq!(to.unwrap(), expected, "{location}");
        }
    }

    #[test]
    fn encryption_is_never_given_up() {
        for location in ["ws://a.example/", "http://a.example/", "ws://b.example:443/"] {
            let error = destination("wss://a.example/", location).unwrap_err();
            assert_eq!(error.to_string(), "it leads from wss:// to ws://");
            assert!(destination("ws://a.example/", location).is_ok());
        }
        assert!(destination("ws://a.example/", "wss://a.example/").is_ok());
    }

    #[test]
    fn what_is_no_websocket_url_leads_nowhere() {
        for location in ["ftp://a.example/", "javascript:alert(1)", "ws://", "ws://a.example:0/"] {
            let error = destination("ws://a.example/", location).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{location}: {error}");
        }
        assert!(Client::new("ws://a.example/").unwrap().destination(b"\xff").is_err());
    }
}
