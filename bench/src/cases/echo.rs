//! Echo over TCP on the loopback device.

use crate::report::Table;

pub(crate) const ABOUT: &str = "Echo over TCP on the loopback device";

pub(crate) fn tables() -> Vec<Table> {
    Vec::new()
}
