//! What is wrong with a file that a person wrote, so that it can be mended without reading documentation: where, which
//! rule, what to write instead. All problems of a file come at once. Plain text; colour is the frontend's.

use crate::failure::{Code, Failure, printable};
use crate::id::EnvName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The widest excerpt that is shown of a line.
const EXCERPT: usize = 100;

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The file as the caller named it.
    pub file: String,
    /// Line, from 1; 0 where the problem is of the whole file.
    pub line: u32,
    /// Column in characters, from 1; 0 where the problem is of the whole file.
    pub column: u32,
    /// The key path: `services.web.bake`; empty where there is none.
    pub key: String,
    /// The rule that is broken, in one line.
    pub message: String,
    /// What to write instead.
    pub help: String,
    /// The line itself, where showing it gives no secret away.
    pub excerpt: Option<Excerpt>,
}

/// The part of a line that a problem is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Excerpt {
    /// The line, bounded, without control characters.
    pub text: String,
    /// Where the mark begins, in characters, from 0.
    pub start: usize,
    /// How wide the mark is, at least 1.
    pub width: usize,
}

impl Problem {
    /// A problem of a whole file.
    pub fn of_file(file: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            message: message.into(),
            help: help.into(),
            excerpt: None,
        }
    }

    /// Whether it is the same as another one, found on another way.
    fn is_as(&self, other: &Self) -> bool {
        (&self.file, self.line, self.column, &self.message)
            == (&other.file, other.line, other.column, &other.message)
    }

    /// The bytes of a file are not text. Reading is the caller's; this is the problem it reports.
    pub fn not_utf8(file: &str, error: std::str::Utf8Error) -> Self {
        let message = format!("not UTF-8: byte {} cannot be text", error.valid_up_to());
        Self::of_file(file, message, "save the file as UTF-8")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.excerpt {
            Some(Excerpt { text, start, width }) => {
                write!(f, "\n{:>5} | {text}\n      | ", self.line)?;
                write!(f, "{:start$}{}", "", "^".repeat(*width))?;
                if !self.help.is_empty() {
                    write!(f, " {}", self.help)?;
                }
            }
            None if !self.help.is_empty() => write!(f, "\n      = {}", self.help)?,
            None => {}
        }
        Ok(())
    }
}

/// Everything that is wrong with a file, in the order of its lines; never empty when it is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// In the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// One by one.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
    /// Those of several environments: each once, with the environments that it is in.
    pub fn of_environments(found: impl IntoIterator<Item = (EnvName, Self)>) -> Self {
        let mut groups: Vec<(Problem, Vec<EnvName>)> = Vec::new();
        for (environment, problems) in found {
            for problem in problems.0 {
                let same = groups.iter_mut().find(|(first, _)| first.is_as(&problem));
                match same {
                    Some((_, environments)) => environments.push(environment.clone()),
                    None => groups.push((problem, vec![environment.clone()])),
                }
            }
        }
        let named = groups.into_iter().map(|(mut problem, environments)| {
            let names: Vec<&str> = environments.iter().map(EnvName::as_str).collect();
            problem.message = format!("{}, in {}", problem.message, names.join(", "));
            problem
        });
        Self::from(named.collect::<Vec<_>>())
    }
    /// As the one failure that frontends return.
    pub fn to_failure(&self) -> Failure {
        let first = self.0.first().map(ToString::to_string).unwrap_or_default();
        let message = match self.len() {
            0 | 1 => first.lines().next().unwrap_or_default().to_owned(),
            n => format!("{n} problems in the manifest"),
        };
        let mut failure = Failure::new(
            Code::ManifestInvalid,
            message,
            "correct the manifest, then `deploy check`",
        );
        failure.causes = self.0.iter().map(ToString::to_string).collect();
        failure
    }
}

impl From<Vec<Problem>> for Problems {
    /// Sorted by place; the same problem found twice is reported once.
    fn from(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        // One value may be read for several environments, each with its own path to it.
        problems.dedup_by(|a, b| a.is_as(b));
        Self(problems)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Line and column (from 1, in characters) of a byte offset. An offset inside a character counts as its start.
pub fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..floor(text, offset)];
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (
        u32::try_from(line).unwrap_or(u32::MAX),
        u32::try_from(column).unwrap_or(u32::MAX),
    )
}

/// The marked line around a byte range, bounded in width so that a long line stays readable.
pub fn excerpt(text: &str, range: std::ops::Range<usize>) -> Excerpt {
    let start = floor(text, range.start);
    let end = floor(text, range.end.max(start));
    let from = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let to = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let column = text[from..start].chars().count();
    let width = text[start..end.min(to)].chars().count().max(1);
    // A mark far to the right moves the window, a mark wider than the window is cut.
    let skip = if column + width > EXCERPT {
        column.saturating_sub(20)
    } else {
        0
    };
    let shown: String = text[from..to].chars().skip(skip).collect();
    let shown = printable(shown.trim_end(), EXCERPT);
    let start = (column - skip).min(shown.chars().count());
    Excerpt {
        start,
        width: width.min((shown.chars().count() - start).max(1)),
        text: shown,
    }
}

fn floor(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
