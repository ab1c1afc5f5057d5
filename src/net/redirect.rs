//! Redirects (RFC 9110, section 15.4).

use std::str;

use http::HeaderMap;

use super::{client::Client, url::Url};
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
        match self.destination(&answer) {
            Ok(url) => Ok(self.elsewhere(url)),
            Err(error) => Err(answer.refuse(format!("the redirect is not followed: {error}"))),
        }
    }

    fn destination(&self, answer: &Answer) -> Result<Url, Error> {
        let location = answer.location().map(|value| str::from_utf8(value.as_bytes()));
        let url = match location {
            Some(Ok(location)) => self.url.join(location)?,
            _ => return Err(Error::invalid_input("its Location is not text")),
        };
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
