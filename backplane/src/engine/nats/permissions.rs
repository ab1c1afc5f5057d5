//! [`Permissions`]: where this connection may publish, as far as is known.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// The server says what may not be, and nothing of what may.
#[derive(Default)]
pub(super) struct Permissions {
    denied: HashSet<String>,
    /// How often something went there, and no complaint was heard.
    passed: HashMap<Arc<str>, u8>,
}

impl Permissions {
    pub(super) fn deny(&mut self, subject: &str) {
        if self.denied.len() >= MAX_SUBJECTS {
            self.denied.clear();
        }
        self.denied.insert(subject.to_owned());
        self.passed.remove(subject);
    }

    /// These went at once, and what came behind them has been heard.
    pub(super) fn passed<'a>(&mut self, subjects: impl Iterator<Item = &'a Arc<str>>) {
        let doubtful: HashSet<_> = subjects.filter(|subject| self.is_doubtful(subject)).collect();
        for subject in doubtful {
            if self.passed.len() >= MAX_SUBJECTS {
                self.passed.clear();
            }
            *self.passed.entry(Arc::clone(subject)).or_default() += 1;
        }
    }

    pub(super) fn is_denied(&self, subject: &str) -> bool {
        self.denied.contains(subject)
    }

    pub(super) fn is_doubtful(&self, subject: &str) -> bool {
        let passed = self.passed.get(subject).is_some_and(|passed| *passed >= MIN_PASSED);
        !passed && !self.is_denied(subject)
    }
}

const MAX_SUBJECTS: usize = 65_536;
/// A complaint may be heard a moment later than what has come behind it.
const MIN_PASSED: u8 = 2;

#[cfg(test)]
mod tests;
