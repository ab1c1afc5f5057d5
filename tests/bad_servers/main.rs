//! Servers and proxies that misbehave: one error of the right kind, in time, whose text helps, and
//! neither a descriptor nor a task left behind. It is one test, so that nothing else has any.

#![cfg(all(target_os = "linux", feature = "runtime"))]
#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

#[cfg(feature = "tls")]
#[path = "../tls/certificates.rs"]
#[allow(dead_code, reason = "the tests of TLS share it, and these use a part of it")]
mod certificates;
mod http;
#[path = "../support/mod.rs"]
mod support;
mod tcp;
#[cfg(feature = "tls")]
mod tls;

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use wsweave::{Client, Config, ErrorKind};

use crate::support::{rt, within};

/// Connects, and checks the error that comes of it.
fn check(name: &str, client: Client, kind: ErrorKind, text: &str) {
    // Only what shall take too long may do so on a busy machine.
    let limit = if kind == ErrorKind::Timeout { 300 } else { 30_000 };
    let config = Config::default().connect_timeout(Duration::from_millis(limit));
    let started = Instant::now();
    let error = within(client.config(config).connect()).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10), "{name}: {error}");
    assert_eq!(error.kind(), kind, "{name}: {error}");
    assert!(error.to_string().contains(text), "{name}: {error}");
    let passes = matches!(kind, ErrorKind::Io | ErrorKind::Timeout);
    assert_eq!(error.is_retryable(), passes, "{name}: {error}");
}

/// What there is in this process.
#[derive(Debug, PartialEq)]
struct Holdings {
    descriptors: usize,
    tasks: usize,
}

impl Holdings {
    fn count() -> Self {
        Self {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            tasks: rt::count_tasks(),
        }
    }

    /// Waits until there is no more than this; a task that was dropped ends soon after.
    fn assert_left(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Self::count() != *self {
            assert!(Instant::now() < deadline, "{name}: {:?} of {self:?}", Self::count());
            thread::yield_now();
        }
    }
}

#[test]
fn bad_peers_are_one_error_in_time_and_leave_nothing_behind() {
    // What the runtime opens for itself it keeps.
    http::meet_silence();
    let before = Holdings::count();

    tcp::meet_all(&before);
    http::meet_all(&before);
    #[cfg(feature = "tls")]
    tls::meet_all(&before);
}
