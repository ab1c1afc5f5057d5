//! Runs the rows of a table in turn and says what came out.
//!
//! A case is some tables, a table some columns, a column one row a contender. The rows of a column are
//! made together and run in turn, A B C A B C, so that what else the machine does falls on all of them.

use std::{fmt::Write as _, time::Duration};

use cpu_time::ThreadTime;

/// What a case measures: one table, with a column for each size of message, say.
pub(crate) struct Table {
    pub(crate) title: String,
    /// Of the figures, as "ns a message".
    pub(crate) unit: &'static str,
    pub(crate) columns: Vec<Column>,
    /// How many messages to count on, once, where the figure is not nanoseconds a message.
    counted: Option<usize>,
}

/// The contenders at one and the same work.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) rows: Vec<Row>,
}

/// A contender: makes its connection when its column's turn comes.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) make: Box<dyn FnOnce() -> Measure>,
}

/// One round: does the work for about this many messages, and returns the figure.
pub(crate) type Measure = Box<dyn FnMut(usize) -> f64>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Wsweave,
    /// What wsweave is compared with.
    Peer,
    /// Not a WebSocket library: what the machine itself can do.
    Limit,
}

/// How long and how often.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// What one round is to take.
    pub(crate) round: Duration,
}

impl Table {
    pub(crate) fn new(
        title: impl Into<String>,
        unit: &'static str,
        columns: impl IntoIterator<Item = Column>,
    ) -> Self {
        Self { title: title.into(), unit, columns: columns.into_iter().collect(), counted: None }
    }

    /// What repeats exactly, or takes long: each row has one round, of `messages`.
    pub(crate) fn counted(
        title: impl Into<String>,
        unit: &'static str,
        messages: usize,
        columns: impl IntoIterator<Item = Column>,
    ) -> Self {
        Self { counted: Some(messages), ..Self::new(title, unit, columns) }
    }
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, rows: impl IntoIterator<Item = Row>) -> Self {
        Self { name: name.into(), rows: rows.into_iter().collect() }
    }
}

impl Row {
    pub(crate) fn new<M: FnMut(usize) -> f64 + 'static>(
        name: impl Into<String>,
        kind: Kind,
        make: impl FnOnce() -> M + 'static,
    ) -> Self {
        Self { name: name.into(), kind, make: Box::new(move || Box::new(make())) }
    }
}

/// Nanoseconds a message, for the closures of rows: those in which this thread ran, so that other
/// programs and other threads do not count.
pub(crate) fn nanoseconds_each(messages: usize, work: impl FnOnce()) -> f64 {
    let start = ThreadTime::now();
    work();
    start.elapsed().as_nanos() as f64 / messages as f64
}

/// The figures of one table, printed as they come.
pub(crate) struct Figures {
    title: String,
    unit: &'static str,
    columns: Vec<String>,
    rows: Vec<(String, Kind, Vec<Option<f64>>)>,
}

impl Figures {
    /// Measures all of `table`.
    pub(crate) fn measure(table: Table, effort: Effort) -> Self {
        println!("\n{}: {}", table.title, table.unit);
        let mut figures = Self {
            title: table.title,
            unit: table.unit,
            columns: table.columns.iter().map(|column| column.name.clone()).collect(),
            rows: Vec::new(),
        };
        for (at, column) in table.columns.into_iter().enumerate() {
            match table.counted {
                Some(messages) => figures.count_column(at, column, messages),
                None => figures.measure_column(at, column, effort),
            }
            figures.print_column(at);
        }
        figures
    }

    fn measure_column(&mut self, at: usize, column: Column, effort: Effort) {
        let mut contenders: Vec<_> = column
            .rows
            .into_iter()
            .map(|row| {
                let mut measure = (row.make)();
                let messages = calibrate(&mut measure, effort.round);
                (row.name, row.kind, measure, messages, Vec::with_capacity(effort.rounds))
            })
            .collect();
        for _ in 0..effort.rounds {
            for (_, _, measure, messages, samples) in &mut contenders {
                samples.push(measure(*messages));
            }
        }
        for (name, kind, _, _, samples) in contenders {
            self.row(name, kind)[at] = Some(median(samples));
        }
    }

    fn count_column(&mut self, at: usize, column: Column, messages: usize) {
        for row in column.rows {
            let figure = (row.make)()(messages);
            self.row(row.name, row.kind)[at] = Some(figure);
        }
    }

    fn row(&mut self, name: String, kind: Kind) -> &mut Vec<Option<f64>> {
        let at = self.rows.iter().position(|(known, _, _)| *known == name).unwrap_or_else(|| {
            self.rows.push((name, kind, vec![None; self.columns.len()]));
            self.rows.len() - 1
        });
        &mut self.rows[at].2
    }

    /// The least of the peers' figures: more is worse in every table.
    fn best_peer(&self, at: usize) -> Option<f64> {
        let peers = self.rows.iter().filter(|(_, kind, _)| *kind == Kind::Peer);
        peers.filter_map(|(_, _, figures)| figures[at]).min_by(f64::total_cmp)
    }

    fn ratio(&self, at: usize, figure: f64) -> Option<f64> {
        self.best_peer(at).filter(|best| *best > 0.0).map(|best| figure / best)
    }

    fn print_column(&self, at: usize) {
        println!("  {}", self.columns[at]);
        for (name, kind, figures) in &self.rows {
            let Some(figure) = figures[at] else { continue };
            let ratio =
                self.ratio(at, figure).map_or(String::new(), |ratio| format!("{ratio:7.2}x"));
            let mark = if *kind == Kind::Wsweave { '>' } else { ' ' };
            println!("  {mark} {name:<44} {:>12} {ratio}", figure_text(figure));
        }
    }

    /// As a table in Markdown: the best peer is bold, and wsweave's figures carry the ratio to it.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n| {} |", self.title, self.unit);
        for column in &self.columns {
            let _ = write!(text, " {column} |");
        }
        text.push_str("\n|---|");
        text.push_str(&"---:|".repeat(self.columns.len()));
        text.push('\n');
        for (name, kind, figures) in &self.rows {
            let _ = write!(text, "| {name} |");
            for (at, figure) in figures.iter().enumerate() {
                let cell = figure.map_or("–".to_owned(), |figure| self.cell(at, *kind, figure));
                let _ = write!(text, " {cell} |");
            }
            text.push('\n');
        }
        text
    }

    fn cell(&self, at: usize, kind: Kind, figure: f64) -> String {
        let shown = figure_text(figure);
        match kind {
            Kind::Wsweave => self
                .ratio(at, figure)
                .map_or_else(|| shown.clone(), |ratio| format!("{shown} ({ratio:.2}×)")),
            Kind::Peer if self.best_peer(at) == Some(figure) => format!("**{shown}**"),
            Kind::Peer | Kind::Limit => shown,
        }
    }
}

/// How many messages take about `round`, by the figures themselves, which are nanoseconds each.
fn calibrate(measure: &mut Measure, round: Duration) -> usize {
    let round = round.as_nanos() as f64;
    let mut messages = 1;
    loop {
        let took = measure(messages) * messages as f64;
        if took >= round / 4.0 || messages >= MOST_MESSAGES {
            let wanted = round / took * messages as f64;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            return (wanted as usize).clamp(1, MOST_MESSAGES);
        }
        messages *= 2;
    }
}

pub(crate) fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    if samples.len() % 2 == 1 {
        samples[middle]
    } else {
        f64::midpoint(samples[middle - 1], samples[middle])
    }
}

/// Three digits that count.
fn figure_text(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        below if below < 0.01 => format!("{figure:.4}"),
        below if below < 1.0 => format!("{figure:.3}"),
        below if below < 10.0 => format!("{figure:.2}"),
        below if below < 100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

const MOST_MESSAGES: usize = 1 << 24;
