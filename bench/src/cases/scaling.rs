//! Whether cost grows linearly with messages and with connections.

use crate::report::Table;

pub(crate) const ABOUT: &str = "Whether cost grows linearly with messages and with connections";

pub(crate) fn tables() -> Vec<Table> {
    Vec::new()
}
