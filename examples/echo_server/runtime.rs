//! `--runtime`: the server, and whatever it spawns, runs on the one that is chosen.

use std::{future::Future, io};

#[derive(Clone, Copy, Default)]
pub(crate) enum Runtime {
    #[default]
    AsyncStd,
    Smol,
    Tokio,
}

impl Runtime {
    /// The runtime of a name, if the feature of that name is on.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let (runtime, is_there) = match name {
            "async-std" => (Self::AsyncStd, cfg!(feature = "async-std")),
            "smol" => (Self::Smol, cfg!(feature = "smol")),
            "tokio" => (Self::Tokio, cfg!(feature = "tokio")),
            _ => return Err("no such runtime".to_owned()),
        };
        if !is_there {
            return Err(format!("the runtime {name} needs `cargo run --features {name}`"));
        }
        Ok(runtime)
    }

    pub(crate) fn block_on<T>(self, future: impl Future<Output = T>) -> io::Result<T> {
        Ok(match self {
            Self::AsyncStd => async_std::task::block_on(future),
            Self::Smol => smol::block_on(future),
            Self::Tokio => tokio::runtime::Runtime::new()?.block_on(future),
        })
    }
}
