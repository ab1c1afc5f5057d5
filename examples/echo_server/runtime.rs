//! `--runtime`: what the server, and all that it spawns, runs on.

use std::{future::Future, io};

#[derive(Clone, Copy)]
pub(crate) enum Runtime {
    AsyncStd,
    Smol,
    Tokio,
}

impl Runtime {
    /// The runtime of a name, if it is one that works here.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        match ALL.into_iter().find(|(known, ..)| *known == name) {
            Some((_, runtime, true)) => Ok(runtime),
            Some(_) => Err(format!("it takes `--no-default-features --features {name},tls`")),
            None => Err("no such runtime".to_owned()),
        }
    }

    pub(crate) fn block_on<T>(self, future: impl Future<Output = T>) -> io::Result<T> {
        Ok(match self {
            Self::AsyncStd => async_std::task::block_on(future),
            Self::Smol => smol::block_on(future),
            Self::Tokio => tokio::runtime::Runtime::new()?.block_on(future),
        })
    }
}

/// The first one that works; without any, the server says what is missing.
impl Default for Runtime {
    fn default() -> Self {
        ALL.into_iter().find(|(.., works)| *works).map_or(Self::AsyncStd, |(_, runtime, _)| runtime)
    }
}

/// Which runtimes work, as the crate was compiled: outside tokio async-std comes before smol.
const ALL: [(&str, Runtime, bool); 3] = [
    ("async-std", Runtime::AsyncStd, cfg!(feature = "async-std")),
    ("smol", Runtime::Smol, cfg!(all(feature = "smol", not(feature = "async-std")))),
    ("tokio", Runtime::Tokio, cfg!(feature = "tokio")),
];
