//! [`Stage`]: how far an attempt to connect has come.

use std::sync::{Mutex, PoisonError};

/// What is waited for at the moment, for the error if that takes too long.
pub(super) struct Stage(Mutex<&'static str>);

impl Stage {
    pub(super) fn new(what: &'static str) -> Self {
        Self(Mutex::new(what))
    }

    pub(super) fn set(&self, what: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    pub(super) fn get(&self) -> &'static str {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
