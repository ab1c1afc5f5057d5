//! wsweave beside its peers: `cargo run --release -p wsweave-bench -- --help`.

use std::{error::Error, ffi::OsString, fmt::Write as _, fs, path::PathBuf, time::Duration};

use lexopt::{Arg, ValueExt};

use crate::report::{Effort, Figures};

mod cases;
mod heap;
mod loopback;
mod peers;
mod report;
mod transport;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(command) = Command::parse(lexopt::Parser::from_env())? else {
        print!("{HELP}");
        return Ok(());
    };
    match command {
        Command::List => {
            for case in cases::ALL {
                println!("{:<14} {}", case.name, case.about);
            }
        }
        Command::Measure { cases, effort, markdown } => {
            let mut report = String::new();
            for case in cases::ALL {
                if !cases.is_empty() && !cases.iter().any(|name| name == case.name) {
                    continue;
                }
                let _ = writeln!(report, "## {}\n\n{}.\n", case.name, case.about);
                for table in (case.tables)() {
                    let _ = writeln!(report, "{}", Figures::measure(table, effort).markdown());
                }
            }
            match markdown {
                Some(path) => fs::write(path, report)?,
                None => print!("\n{report}"),
            }
        }
        Command::Rows { case, column } => {
            for row in cases::rows(&case, &column)? {
                println!("{}", row.name);
            }
        }
        Command::Once { case, column, row, messages } => {
            let mut rows = cases::rows(&case, &column)?.into_iter();
            let row =
                rows.find(|known| known.name == row).ok_or("no such row; --rows names them")?;
            (row.make)()(messages);
        }
    }
    Ok(())
}

enum Command {
    List,
    Measure {
        /// None: all.
        cases: Vec<String>,
        effort: Effort,
        markdown: Option<PathBuf>,
    },
    /// The names of a column's rows.
    Rows {
        case: String,
        column: String,
    },
    /// One row for a fixed number of messages: for counting instructions.
    Once {
        case: String,
        column: String,
        row: String,
        messages: usize,
    },
}

impl Command {
    /// `None` if help is asked for.
    fn parse(mut arguments: lexopt::Parser) -> Result<Option<Self>, Box<dyn Error>> {
        let (mut names, mut rounds, mut quick, mut markdown) = (Vec::new(), None, false, None);
        while let Some(argument) = arguments.next()? {
            match argument {
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                Arg::Long("list") => return Ok(Some(Self::List)),
                Arg::Long("rows") => {
                    let case = case_name(arguments.value()?)?;
                    return Ok(Some(Self::Rows { case, column: arguments.value()?.string()? }));
                }
                Arg::Long("once") => return Self::once(arguments).map(Some),
                Arg::Long("rounds") => rounds = Some(arguments.value()?.parse()?),
                Arg::Long("quick") => quick = true,
                Arg::Long("markdown") => markdown = Some(arguments.value()?.into()),
                Arg::Value(name) => names.push(case_name(name)?),
                _ => return Err(argument.unexpected().into()),
            }
        }
        let (usual_rounds, round) =
            if quick { (3, Duration::from_millis(2)) } else { (15, Duration::from_millis(20)) };
        let effort = Effort { rounds: rounds.unwrap_or(usual_rounds), round };
        Ok(Some(Self::Measure { cases: names, effort, markdown }))
    }

    fn once(mut arguments: lexopt::Parser) -> Result<Self, Box<dyn Error>> {
        Ok(Self::Once {
            case: case_name(arguments.value()?)?,
            column: arguments.value()?.string()?,
            row: arguments.value()?.string()?,
            messages: arguments.value()?.parse()?,
        })
    }
}

fn case_name(name: OsString) -> Result<String, Box<dyn Error>> {
    let name = name.string()?;
    if cases::ALL.iter().any(|case| case.name == name) {
        Ok(name)
    } else {
        Err(format!("no case {name:?}; --list names them").into())
    }
}

const HELP: &str = "\
Measures wsweave beside its peers: all cases, or those named.

usage: wsweave-bench [CASE...] [--rounds N] [--quick] [--markdown FILE]
       wsweave-bench --list
       wsweave-bench --rows CASE COLUMN
       wsweave-bench --once CASE COLUMN ROW MESSAGES

  --rounds N         rounds a contender, in turn with the others; the median counts (15)
  --quick            short rounds, and few: whether it works, not how fast
  --markdown FILE    write the tables there, not at the end of the output
  --list             the cases
  --rows             the contenders of a column
  --once             one row once, and no figure: for counting instructions
";
