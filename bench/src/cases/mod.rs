//! What is measured: one file a case, each a function that gives its tables.

use std::error::Error;

use crate::report::{Row, Table};

mod calls;
mod compression;
mod echo;
mod hooks;
mod memory;
mod publish;
mod read;
mod reference;
mod relay;
mod scaling;
mod write;

/// A case, as the command line names it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) tables: fn() -> Vec<Table>,
}

pub(crate) const ALL: [Case; 11] = [
    Case { name: "read", about: read::ABOUT, tables: read::tables },
    Case { name: "write", about: write::ABOUT, tables: write::tables },
    Case { name: "echo", about: echo::ABOUT, tables: echo::tables },
    Case { name: "relay", about: relay::ABOUT, tables: relay::tables },
    Case { name: "memory", about: memory::ABOUT, tables: memory::tables },
    Case { name: "hooks", about: hooks::ABOUT, tables: hooks::tables },
    Case { name: "calls", about: calls::ABOUT, tables: calls::tables },
    Case { name: "compression", about: compression::ABOUT, tables: compression::tables },
    Case { name: "publish", about: publish::ABOUT, tables: publish::tables },
    Case { name: "reference", about: reference::ABOUT, tables: reference::tables },
    Case { name: "scaling", about: scaling::ABOUT, tables: scaling::tables },
];

/// The rows of the first column of that name.
pub(crate) fn rows(case: &str, column: &str) -> Result<Vec<Row>, Box<dyn Error>> {
    let tables = ALL.iter().find(|known| known.name == case).map(|case| (case.tables)());
    tables
        .into_iter()
        .flatten()
        .flat_map(|table| table.columns)
        .find(|known| known.name == column)
        .map(|column| column.rows)
        .ok_or_else(|| format!("no column {column:?} in {case}").into())
}
