//! [`raise_descriptors`]: a connection takes a file descriptor.

use std::io;

/// Lets the process have at least `wanted` file descriptors open, as far as the hard limit goes; returns
/// how many it can have now.
///
/// # Errors
///
/// If the system does not let it.
#[cfg(unix)]
pub fn raise_descriptors(wanted: u64) -> io::Result<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = wanted.min(maximum.unwrap_or(u64::MAX));
    match current {
        Some(current) if current < raised => {
            setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum })?;
            Ok(raised)
        }
        current => Ok(current.unwrap_or(u64::MAX)),
    }
}

/// There is no limit to raise.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
pub fn raise_descriptors(_: u64) -> io::Result<u64> {
    Ok(u64::MAX)
}
