//! Columns for lists: as wide as their content, cut nowhere but where the terminal ends.

use super::Paint;
use deploy_core::failure::printable;

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With its heading.
    pub(crate) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self {
            rows: vec![heading.map(str::to_uppercase).to_vec()],
        }
    }

    /// Adds a row; what came from outside is made printable.
    pub(crate) fn row<const N: usize>(&mut self, row: [String; N]) {
        self.rows
            .push(row.into_iter().map(|cell| printable(&cell, 200)).collect());
    }

    /// Laid out; `width` cuts lines that a terminal would wrap.
    pub(crate) fn text(&self, paint: Paint, width: Option<usize>) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|at| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(at))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            let line: String = cells
                .join("  ")
                .trim_end()
                .chars()
                .take(width.unwrap_or(usize::MAX))
                .collect();
            text.push_str(&if index == 0 { paint.dim(&line) } else { line });
            text.push('\n');
        }
        text
    }
}
