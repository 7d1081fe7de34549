//! One line of what people follow, before it is laid out: a mark, a word, columns. Layout is here and nowhere else.

use super::{Paint, span};
use deploy_core::failure::printable;
use std::time::Duration;

/// What a line's mark says. Each line has a word besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Observed, and well.
    Good,
    /// Not well.
    Bad,
    /// Going back.
    Back,
    /// To be noticed.
    Warn,
    /// Waits.
    Wait,
    /// Told by the way.
    Note,
}

impl Mark {
    const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Bad => "✗",
            Self::Back => "←",
            Self::Warn => "!",
            Self::Wait => "…",
            Self::Note => "·",
        }
    }

    pub(crate) fn painted(self, paint: Paint) -> String {
        match self {
            Self::Good => paint.good(self.sign()),
            Self::Bad => paint.bad(self.sign()),
            Self::Back | Self::Warn | Self::Wait => paint.warn(self.sign()),
            Self::Note => paint.dim(self.sign()),
        }
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// The first: what goes where.
    Head(String),
    /// Something about one slice, or about a service, or (both empty) about neither.
    Step {
        mark: Mark,
        service: String,
        slice: String,
        note: String,
        took: Option<Duration>,
    },
    /// More about the step above.
    Detail { label: &'static str, text: String },
    /// A change of direction, or the end.
    Turn { mark: Mark, text: String },
    /// What there is to know and to do at the end.
    Tail { label: &'static str, text: String },
}

/// The columns of a plan: how wide its names are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) service: usize,
    pub(crate) slice: usize,
    /// Names that are wide for the terminal are followed by one gap.
    pub(crate) narrow: bool,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            service: 6,
            slice: 7,
            narrow: false,
        }
    }
}

const NOTE: usize = 38;

impl Line {
    /// As text, without a line break. Everything from outside is made printable here.
    pub(crate) fn text(&self, columns: Columns, paint: Paint) -> String {
        let laid = match self {
            Self::Head(text) => paint.bold(&printable(text, 300)),
            Self::Turn { mark, text } => format!("{} {}", mark.painted(paint), printable(text, 300)),
            Self::Tail { label, text } => format!(
                "  {}  {}",
                paint.dim(&format!("{label:<9}")),
                printable(text, 400)
            ),
            Self::Detail { label, text } => {
                let indent = if columns.narrow { 4 } else { 6 + columns.service };
                let width = if columns.narrow { 7 } else { columns.slice };
                format!(
                    "{:indent$}{}  {}",
                    "",
                    paint.dim(&format!("{label:<width$}")),
                    printable(text, 400)
                )
            }
            Self::Step {
                mark,
                service,
                slice,
                note,
                took,
            } => {
                let (note, took) = (printable(note, 400), took.map(span));
                let names = match (columns.narrow, service.is_empty() && slice.is_empty()) {
                    (_, true) => String::new(),
                    (true, _) if slice.is_empty() => format!("{service}  "),
                    (true, _) => format!("{service} {slice}  "),
                    _ => format!("{service:<0$}  {slice:<1$}  ", columns.service, columns.slice),
                };
                let gap = if columns.narrow { 0 } else { NOTE };
                let end = took
                    .map(|took| paint.dim(&format!("  {took}")))
                    .unwrap_or_default();
                let note = if end.is_empty() {
                    note
                } else {
                    format!("{note:<gap$}")
                };
                format!("  {} {names}{note}{end}", mark.painted(paint))
            }
        };
        laid.trim_end().to_owned()
    }
}
