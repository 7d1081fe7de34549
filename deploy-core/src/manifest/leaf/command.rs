//! How a manifest writes a command: a string for `sh -c`, an array for argv.

use super::super::node::{Node, Value};
use super::super::read::{Cx, FromNode};
use crate::command::Command;

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
