//! The command line.

use std::{path::PathBuf, time::Duration};

use lexopt::{Arg, Parser, ValueExt};
use wsweave::{Client, ClientTls, Compression, Config, Connection, Error, Proxy};

pub(crate) const USAGE: &str = "\
usage: wscat URL [--header 'K: V']... [--subprotocol P]... [--origin O]
             [--proxy URL] [--ca FILE]... [--insecure]
             [--connect-to HOST:PORT | --unix PATH] [--timeout SECONDS] [--follow N]
             [--compress]";

#[derive(Default)]
pub(crate) struct Options {
    url: String,
    headers: Vec<(String, String)>,
    /// In the order of preference.
    subprotocols: Vec<String>,
    origin: Option<String>,
    proxy: Option<String>,
    /// Certificates to trust besides the system's.
    cas: Vec<PathBuf>,
    /// Whether the server may have any certificate.
    insecure: bool,
    way: Way,
    timeout: Option<Duration>,
    /// The most redirects.
    follow: usize,
    /// Whether to compress, if the server can.
    compress: bool,
}

/// Where the connection goes; the URL still says what the server is asked for.
#[derive(Default)]
enum Way {
    #[default]
    Url,
    Tcp(String, u16),
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Options {
    pub(crate) fn from_env() -> Result<Self, lexopt::Error> {
        let mut options = Self::default();
        let mut parser = Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("header") => options.headers.push(parser.value()?.parse_with(header)?),
                Arg::Long("subprotocol") => options.subprotocols.push(parser.value()?.string()?),
                Arg::Long("origin") => options.origin = Some(parser.value()?.string()?),
                Arg::Long("proxy") => options.proxy = Some(parser.value()?.string()?),
                Arg::Long("ca") => options.cas.push(parser.value()?.into()),
                Arg::Long("insecure") => options.insecure = true,
                Arg::Long("connect-to") => {
                    options.way = parser.value()?.parse_with(host_and_port)?;
                }
                #[cfg(unix)]
                Arg::Long("unix") => options.way = Way::Unix(parser.value()?.into()),
                Arg::Long("timeout") => {
                    options.timeout = Some(parser.value()?.parse_with(seconds)?);
                }
                Arg::Long("follow") => options.follow = parser.value()?.parse()?,
                Arg::Long("compress") => options.compress = true,
                Arg::Value(value) if options.url.is_empty() => options.url = value.string()?,
                other => return Err(other.unexpected()),
            }
        }
        if options.url.is_empty() {
            return Err("URL is missing".into());
        }
        Ok(options)
    }

    /// Connects as the command line says.
    pub(crate) async fn connect(self) -> Result<Connection, Error> {
        let client = self.client()?;
        match self.way {
            Way::Url => client.connect().await,
            Way::Tcp(host, port) => client.connect_to(&host, port).await,
            #[cfg(unix)]
            Way::Unix(path) => client.connect_unix(path).await,
        }
    }

    fn client(&self) -> Result<Client, Error> {
        let mut client = Client::new(&self.url)?.tls(self.tls()?).follow_redirects(self.follow);
        for (name, value) in &self.headers {
            client = client.header(name.as_str(), value.as_str())?;
        }
        for subprotocol in &self.subprotocols {
            client = client.subprotocol(subprotocol)?;
        }
        if let Some(origin) = &self.origin {
            client = client.origin(origin)?;
        }
        if let Some(proxy) = &self.proxy {
            client = client.proxy(Proxy::new(proxy)?);
        }
        let mut config = Config::default();
        if let Some(timeout) = self.timeout {
            config = config.connect_timeout(timeout);
        }
        if self.compress {
            config = config.compression(Compression::default());
        }
        Ok(client.config(config))
    }

    fn tls(&self) -> Result<ClientTls, Error> {
        let tls = self.cas.iter().try_fold(ClientTls::new(), ClientTls::ca_file)?;
        Ok(if self.insecure { tls.danger_accept_invalid_certs() } else { tls })
    }
}

/// Splits `K: V`.
fn header(line: &str) -> Result<(String, String), &'static str> {
    let (name, value) = line.split_once(':').ok_or("a header is 'K: V'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn host_and_port(text: &str) -> Result<Way, &'static str> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or("--connect-to wants HOST:PORT")?;
    Ok(Way::Tcp(host.to_owned(), port))
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let duration = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or("not a number of seconds")
}
