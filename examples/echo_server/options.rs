//! The command line.

use std::{path::PathBuf, time::Duration};

use lexopt::{Arg, Error, Parser, ValueExt};

use crate::{runtime::Runtime, styles::Style};

pub(crate) const USAGE: &str = "\
usage: echo_server [ADDR]... [--unix PATH]... [--tls CERT KEY] [--runtime async-std|smol|tokio]
                   [--style loop|pipe|hooks|async-hooks|callbacks|handle] [--commands] [--log]
                   [--subprotocol NAME]... [--origin ORIGIN]... [--keepalive SECONDS]
                   [--max-connections N] [--max-message BYTES] [--compress]";

#[derive(Default)]
pub(crate) struct Options {
    /// Where to listen; port 0 picks a free one.
    pub(crate) addresses: Vec<String>,
    pub(crate) paths: Vec<PathBuf>,
    /// The files of the certificates and of the key.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    pub(crate) runtime: Runtime,
    pub(crate) style: Style,
    /// Whether a text that starts with `!` is obeyed instead of echoed.
    pub(crate) commands: bool,
    /// Whether to print how each connection ended.
    pub(crate) log: bool,
    /// The client's order of preference decides.
    pub(crate) subprotocols: Vec<String>,
    /// None: that of the server itself.
    pub(crate) origins: Vec<String>,
    pub(crate) keepalive: Option<Duration>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) max_message: Option<usize>,
    /// Whether to compress, with clients that can.
    pub(crate) compress: bool,
}

impl Options {
    pub(crate) fn from_env() -> Result<Self, Error> {
        let mut options = Self::default();
        let mut parser = Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                #[cfg(unix)]
                Arg::Long("unix") => options.paths.push(parser.value()?.into()),
                Arg::Long("tls") => {
                    options.tls = Some((parser.value()?.into(), parser.value()?.into()));
                }
                Arg::Long("runtime") => {
                    options.runtime = parser.value()?.parse_with(Runtime::named)?;
                }
                Arg::Long("style") => options.style = parser.value()?.parse_with(Style::named)?,
                Arg::Long("commands") => options.commands = true,
                Arg::Long("log") => options.log = true,
                Arg::Long("subprotocol") => options.subprotocols.push(parser.value()?.string()?),
                Arg::Long("origin") => options.origins.push(parser.value()?.string()?),
                Arg::Long("keepalive") => {
                    options.keepalive = Some(parser.value()?.parse_with(seconds)?);
                }
                Arg::Long("max-connections") => {
                    options.max_connections = Some(parser.value()?.parse()?);
                }
                Arg::Long("max-message") => options.max_message = Some(parser.value()?.parse()?),
                Arg::Long("compress") => options.compress = true,
                Arg::Value(value) => options.addresses.push(value.string()?),
                other => return Err(other.unexpected()),
            }
        }
        if options.addresses.is_empty() && options.paths.is_empty() {
            return Err("there is no ADDR to listen on".into());
        }
        Ok(options)
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let duration = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or("not a number of seconds")
}
