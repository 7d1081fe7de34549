//! Columns for lists: as wide as their content. Where the terminal is too narrow for all of them, those that do not fit go on below,
//! set in, and text that is long is broken between words: nothing is cut.

use super::Paint;
use deploy_core::failure::printable;
use std::fmt::Write as _;
use std::ops::Range;

/// Between two columns.
const GAP: usize = 2;
/// How far columns that go on below are set in.
const INDENT: usize = 4;
/// A column that is broken has lines of at least so much; with less room it goes on below.
const LEAST: usize = 20;
/// Beyond this a column is text, and is broken although it is not the last: what comes after it goes on below.
const LONG: usize = 30;

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

    /// Laid out for a terminal of so many columns; without one, a row is a line.
    pub(crate) fn text(&self, paint: Paint, width: Option<usize>) -> String {
        let width = width.unwrap_or(usize::MAX);
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells = |at: usize| self.rows.iter().filter_map(move |row| row.get(at));
        let widths: Vec<usize> = (0..columns)
            .map(|at| cells(at).map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        let groups = groups(&widths, width);
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            for (below, group) in groups.iter().enumerate() {
                let indent = if below > 0 { INDENT } else { 0 };
                for line in lines(&row[group.clone()], &widths[group.clone()], indent, width) {
                    text.push_str(&if index == 0 { paint.dim(&line) } else { line });
                    text.push('\n');
                }
            }
        }
        text
    }
}

/// Which columns stand in one line.
fn groups(widths: &[usize], width: usize) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut used = 0;
    for (at, wanted) in widths.iter().enumerate() {
        let breakable = at + 1 == widths.len() || *wanted > LONG;
        let needed = if breakable { (*wanted).min(LEAST) } else { *wanted };
        match groups.last_mut() {
            Some(group) if used + GAP + needed <= width => {
                group.end = at + 1;
                used += GAP + wanted;
            }
            Some(_) => {
                groups.push(at..at + 1);
                used = INDENT + wanted;
            }
            None => {
                groups.push(at..at + 1);
                used = *wanted;
            }
        }
    }
    groups
}

/// Some cells of a row side by side; the last is broken between words where it is too long.
fn lines(cells: &[String], widths: &[usize], indent: usize, width: usize) -> Vec<String> {
    let Some((last, before)) = cells.split_last() else {
        return Vec::new();
    };
    let mut head = " ".repeat(indent);
    for (cell, width) in before.iter().zip(widths) {
        let _infallible = write!(head, "{cell:<width$}  ");
    }
    let start = head.chars().count();
    let pad = " ".repeat(start);
    let broken = broken(last, width.saturating_sub(start).max(1));
    broken
        .into_iter()
        .enumerate()
        .map(|(at, part)| {
            format!("{}{part}", if at == 0 { &head } else { &pad })
                .trim_end()
                .to_owned()
        })
        .filter(|line| indent == 0 || !line.is_empty())
        .collect()
}

/// A text in lines of at most `width` characters: broken at spaces, inside a word only where it fits no line. At least one.
fn broken(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in text.split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + rest.len() > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        } else if !line.is_empty() {
            line.push(' ');
            used += 1;
        }
        while rest.len() > width {
            lines.push(rest.drain(..width).collect());
        }
        used += rest.len();
        line.extend(rest);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> Table {
        let mut table = Table::new([
            "deployment",
            "when",
            "environment",
            "kind",
            "release",
            "from",
            "outcome",
            "took",
            "by",
        ]);
        for (id, outcome, by) in [
            ("01M7ZH6DFP", "succeeded", "alice@shop.example"),
            ("01M7ZH6AAA", "rolled back", "ci:github:shop/shop"),
        ] {
            let row = [
                id,
                "3h ago",
                "production",
                "promote",
                "v42",
                "v41",
                outcome,
                "2m31s",
                by,
            ];
            table.row(row.map(str::to_owned));
        }
        table
    }

    #[test]
    fn nothing_is_cut_where_the_terminal_is_narrow() {
        let shown = |width| history().text(Paint::new(false), Some(width));
        insta::assert_snapshot!(shown(60), @r#"
        DEPLOYMENT  WHEN    ENVIRONMENT  KIND     RELEASE  FROM
            OUTCOME      TOOK   BY
        01M7ZH6DFP  3h ago  production   promote  v42      v41
            succeeded    2m31s  alice@shop.example
        01M7ZH6AAA  3h ago  production   promote  v42      v41
            rolled back  2m31s  ci:github:shop/shop
        "#);
        insta::assert_snapshot!(shown(40), @r#"
        DEPLOYMENT  WHEN    ENVIRONMENT  KIND
            RELEASE  FROM  OUTCOME      TOOK
            BY
        01M7ZH6DFP  3h ago  production   promote
            v42      v41   succeeded    2m31s
            alice@shop.example
        01M7ZH6AAA  3h ago  production   promote
            v42      v41   rolled back  2m31s
            ci:github:shop/shop
        "#);
        let wide = history().text(Paint::new(false), None);
        assert_eq!(wide.lines().count(), 3);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for width in 24..120 {
            assert_eq!(words(&shown(width)), words(&wide), "{width}");
            assert!(
                shown(width).lines().all(|line| line.chars().count() <= width),
                "{width}"
            );
        }
    }

    #[test]
    fn a_long_last_column_is_broken_between_words() {
        let mut table = Table::new(["service", "seen"]);
        let seen = "503 in 12 of 12 probes, wanted 30s healthy";
        table.row(["web".to_owned(), seen.to_owned()]);
        insta::assert_snapshot!(table.text(Paint::new(false), Some(34)), @r#"
        SERVICE  SEEN
        web      503 in 12 of 12 probes,
                 wanted 30s healthy
        "#);
        assert_eq!(broken("abcdef gh", 4), ["abcd", "ef", "gh"]);
        assert_eq!(broken("", 4), [""]);
    }
}
