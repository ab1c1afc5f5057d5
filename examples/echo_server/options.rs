//! The command line.

use lexopt::{Arg, Error, Parser, ValueExt};

use crate::styles::Style;

pub(crate) const USAGE: &str = "\
usage: echo_server ADDR [--style loop|pipe|hooks|async-hooks|callbacks|handle]
                   [--subprotocol NAME]... [--max-message BYTES] [--commands]";

pub(crate) struct Options {
    /// Where to listen; port 0 picks a free one.
    pub(crate) address: String,
    pub(crate) style: Style,
    /// The client's order of preference decides.
    pub(crate) subprotocols: Vec<String>,
    pub(crate) max_message: Option<usize>,
    /// Whether a text that starts with `!` is obeyed instead of echoed.
    pub(crate) commands: bool,
}

impl Options {
    pub(crate) fn from_env() -> Result<Self, Error> {
        let mut address = None;
        let mut style = Style::Loop;
        let mut subprotocols = Vec::new();
        let mut max_message = None;
        let mut commands = false;

        let mut parser = Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("style") => style = parser.value()?.parse_with(Style::named)?,
                Arg::Long("subprotocol") => subprotocols.push(parser.value()?.string()?),
                Arg::Long("max-message") => max_message = Some(parser.value()?.parse()?),
                Arg::Long("commands") => commands = true,
                Arg::Value(value) if address.is_none() => address = Some(value.string()?),
                other => return Err(other.unexpected()),
            }
        }
        let address = address.ok_or("ADDR is missing")?;
        Ok(Self { address, style, subprotocols, max_message, commands })
    }
}
