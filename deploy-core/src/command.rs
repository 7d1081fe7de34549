//! A command, everywhere the same: a string is for `sh -c`, an array is argv.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A program to run. It is never expanded by us: it gets an environment instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// For `sh -c`.
    Shell(String),
    /// A program and its arguments, as they are; never empty where it comes from a manifest.
    Argv(Vec<String>),
}

impl Command {
    /// As argv: `sh -c TEXT` for a shell command.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Self::Shell(text) => vec!["sh".to_owned(), "-c".to_owned(), text.clone()],
            Self::Argv(argv) => argv.clone(),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(text) => f.write_str(text),
            Self::Argv(argv) => f.write_str(&argv.join(" ")),
        }
    }
}
