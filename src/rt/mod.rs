//! Runtimes: connect, listen, sleep, spawn. Nothing outside this folder names one.
//!
//! A runtime is one file behind one feature; deleting the file deletes the runtime.

#[cfg(feature = "async-std")]
mod async_std;
#[cfg(feature = "async-std")]
mod tcp;

use std::{future::Future, pin::Pin, sync::Arc};

#[cfg(feature = "async-std")]
pub(crate) use self::tcp::Incoming;
use crate::config::Timer;

/// A task for [`Runtime::spawn`].
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runtime {
    #[cfg(feature = "async-std")]
    AsyncStd,
}

/// The runtime around the caller, if there is one.
#[allow(clippy::unnecessary_wraps, reason = "async-std alone is there everywhere")]
pub(crate) fn ambient() -> Option<Runtime> {
    #[cfg(feature = "async-std")]
    return Some(Runtime::AsyncStd);
    #[cfg(not(feature = "async-std"))]
    None
}

impl Runtime {
    pub(crate) fn timer(self) -> Arc<dyn Timer> {
        match self {
            #[cfg(feature = "async-std")]
            Self::AsyncStd => async_std::timer(),
        }
    }

    /// Lets the runtime finish `task` by itself.
    pub(crate) fn spawn(self, task: Task) {
        match (self, task) {
            #[cfg(feature = "async-std")]
            (Self::AsyncStd, task) => async_std::spawn(task),
        }
    }
}
