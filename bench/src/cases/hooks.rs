//! What hooks, callbacks and a handle add to reading.

use crate::report::Table;

pub(crate) const ABOUT: &str = "What hooks, callbacks and a handle add to reading";

pub(crate) fn tables() -> Vec<Table> {
    Vec::new()
}
