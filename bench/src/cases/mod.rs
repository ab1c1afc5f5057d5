//! What is measured: one file a case, each a function that gives its tables.

use std::error::Error;

use crate::report::{Measure, Table};

mod compression;
mod echo;
mod hooks;
mod memory;
mod read;
mod reference;
mod scaling;
mod write;

/// A case, as the command line names it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) tables: fn() -> Vec<Table>,
}

pub(crate) const ALL: [Case; 8] = [
    Case { name: "read", about: read::ABOUT, tables: read::tables },
    Case { name: "write", about: write::ABOUT, tables: write::tables },
    Case { name: "echo", about: echo::ABOUT, tables: echo::tables },
    Case { name: "memory", about: memory::ABOUT, tables: memory::tables },
    Case { name: "hooks", about: hooks::ABOUT, tables: hooks::tables },
    Case { name: "compression", about: compression::ABOUT, tables: compression::tables },
    Case { name: "reference", about: reference::ABOUT, tables: reference::tables },
    Case { name: "scaling", about: scaling::ABOUT, tables: scaling::tables },
];

/// The row of that name in the first column of that name whose table has it.
pub(crate) fn row(case: &str, column: &str, row: &str) -> Result<Measure, Box<dyn Error>> {
    let tables = ALL.iter().find(|known| known.name == case).map(|case| (case.tables)());
    tables
        .into_iter()
        .flatten()
        .flat_map(|table| table.columns)
        .filter(|known| known.name == column)
        .flat_map(|column| column.rows)
        .find(|known| known.name == row)
        .map(|row| (row.make)())
        .ok_or_else(|| format!("no row {row:?} in a column {column:?} of {case}").into())
}
