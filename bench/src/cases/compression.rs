//! Messages with permessage-deflate and without.

use crate::report::Table;

pub(crate) const ABOUT: &str = "Messages with permessage-deflate and without";

pub(crate) fn tables() -> Vec<Table> {
    Vec::new()
}
