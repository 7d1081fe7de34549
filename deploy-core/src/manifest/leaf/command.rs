//! Commands: a string for `sh -c`, an array for argv, everywhere.

use super::super::node::{Node, Value};
use super::super::read::{Cx, FromNode};
use serde::{Deserialize, Serialize};

/// A program to run: never expanded by us, it gets an environment instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// For `sh -c`.
    Shell(String),
    /// A program and its arguments; never empty.
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
impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shell(text) => f.write_str(text),
            Self::Argv(argv) => f.write_str(&argv.join(" ")),
        }
    }
}
impl FromNode for Command {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        const WANTED: &str = "a string for `sh -c`, or an array of a program and its arguments";
        let words = match &node.value {
            Value::Str(text) if !text.trim().is_empty() && !text.contains('\0') => {
                return Some(Self::Shell(text.clone()));
            }
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect(),
            _ => None,
        };
        let argv = words.filter(|argv: &Vec<String>| {
            argv.first().is_some_and(|program| !program.is_empty())
                && !argv.iter().any(|word| word.contains('\0'))
        });
        if argv.is_none() {
            cx.wrong_type(node, WANTED);
        }
        argv.map(Self::Argv)
    }
}
schema!(Command, { "anyOf": [
    { "type": "string", "minLength": 1 },
    { "type": "array", "items": { "type": "string" }, "minItems": 1 },
] });
