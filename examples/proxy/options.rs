//! The command line.

use lexopt::{Arg, Error, Parser, ValueExt};
use wsweave::http::HeaderName;

pub(crate) const USAGE: &str = "usage: proxy LISTEN TARGET [--header NAME]... [--compress]";

pub(crate) struct Options {
    /// Where to listen; port 0 picks a free one.
    pub(crate) listen: String,
    /// The URL to which the paths of requests are appended.
    pub(crate) target: String,
    /// What is passed on of requests and answers.
    pub(crate) headers: Vec<HeaderName>,
    /// Whether to compress, with peers that can, on either side.
    pub(crate) compress: bool,
}

impl Options {
    pub(crate) fn from_env() -> Result<Self, Error> {
        let (mut listen, mut target) = (None, None);
        let (mut headers, mut compress) = (Vec::new(), false);
        let mut parser = Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("header") => headers.push(parser.value()?.parse()?),
                Arg::Long("compress") => compress = true,
                Arg::Value(value) if listen.is_none() => listen = Some(value.string()?),
                Arg::Value(value) if target.is_none() => target = Some(value.string()?),
                other => return Err(other.unexpected()),
            }
        }
        let listen = listen.ok_or("there is no LISTEN, a HOST:PORT")?;
        let target = target.ok_or("there is no TARGET, a ws:// or wss:// URL")?;
        if target.contains('?') {
            return Err("TARGET cannot have a query: that is the request's".into());
        }
        Ok(Self { listen, target, headers, compress })
    }
}
