//! Writes in memory, as a server and as a client.

use crate::report::Table;

pub(crate) const ABOUT: &str = "Writes in memory, as a server and as a client";

pub(crate) fn tables() -> Vec<Table> {
    Vec::new()
}
