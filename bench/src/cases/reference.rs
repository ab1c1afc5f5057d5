//! What the machine itself can do.

use crate::report::Table;

pub(crate) const ABOUT: &str = "What the machine itself can do";

pub(crate) fn tables() -> Vec<Table> {
    Vec::new()
}
