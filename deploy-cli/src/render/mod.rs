//! Rendering: events and views → text or JSON. Pure: a renderer is given what happened and a writer, and knows no terminal,
//! clock or engine. `deploy show` and a live deployment go through the same [`story::Story`].

pub(crate) mod activity;
pub(crate) mod closing;
pub(crate) mod json;
pub(crate) mod line;
pub(crate) mod live;
pub(crate) mod plain;
pub(crate) mod prelude;
mod pulse;
pub(crate) mod queue;
pub(crate) mod story;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use deploy_core::time::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// Colour, or none. It only repeats what a word and a mark say already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// With colour or without.
    pub(crate) const fn new(on: bool) -> Self {
        Self(on)
    }
    /// Well.
    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }
    /// Not well.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }
    /// To be noticed.
    pub(crate) fn warn(self, text: &str) -> String {
        self.with("33", text)
    }
    /// Less important.
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
    /// A heading.
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }
    /// Text whose only control characters are line breaks, tabs and these colours: what people wrote, or a host said, moves no cursor.
    pub(crate) fn harmless(self, text: &str) -> String {
        let mut kept = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let ours = Self::CODES.iter().find(|code| self.0 && rest.starts_with(**code));
            let taken = ours.map_or(c.len_utf8(), |code| code.len());
            if ours.is_some() || !c.is_control() || matches!(c, '\n' | '\t') {
                kept.push_str(&rest[..taken]);
            }
            rest = &rest[taken..];
        }
        kept
    }

    /// What [`Self::with`] writes around a text.
    const CODES: [&str; 6] = [
        "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m",
    ];

    fn with(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A span as people read it: `0.6s`, `12s`, `2m31s`, `3h05m`, `2d4h`.
pub(crate) fn span(span: Duration) -> String {
    let ms = span.as_millis();
    let s = (ms + 500) / 1000;
    match s {
        _ if ms < 9_950 => format!("{}.{}s", (ms + 50) / 1000, (ms + 50) % 1000 / 100),
        ..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// How long ago, in one unit.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let s = now.since(at).as_secs();
    match s {
        ..5 => "just now".to_owned(),
        5..90 => format!("{s}s ago"),
        90..5400 => format!("{}m ago", s / 60),
        5400..129_600 => format!("{}h ago", s / 3600),
        _ => format!("{}d ago", s / 86_400),
    }
}

/// The word that an enum has in JSON.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        _ => String::new(),
    }
}
