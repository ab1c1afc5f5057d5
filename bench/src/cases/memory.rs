//! What an idle connection holds, and what one kept message pins.

use crate::report::Table;

pub(crate) const ABOUT: &str = "What an idle connection holds, and what one kept message pins";

pub(crate) fn tables() -> Vec<Table> {
    Vec::new()
}
