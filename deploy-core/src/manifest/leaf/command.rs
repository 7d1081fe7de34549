//! How a manifest writes a command: a string for `sh -c`, an array for argv.

use super::super::node::{Node, Span, Value};
use super::super::read::{Cx, FromNode};
use super::super::scope::Judging;
use super::super::template::Fact;
use crate::command::Command;

impl FromNode for Command {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        const WANTED: &str = "a string for `sh -c`, or an array of a program and its arguments";
        let words = match &node.value {
            Value::Str(text) if !text.trim().is_empty() && !text.contains('\0') => {
                facts_in(text, node.span, cx);
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
        match &argv {
            Some(argv) => argv.iter().for_each(|word| facts_in(word, node.span, cx)),
            None => cx.wrong_type(node, WANTED),
        }
        argv.map(Self::Argv)
    }
}
/// Commands are not expanded: `${environment}` in one is a variable of the shell's that nobody set. What the text sets itself is its
/// own business, and so is everything else that a shell makes of `$`.
fn facts_in(text: &str, span: Span, cx: &mut Cx<'_>) {
    if cx.scope.is_none_or(|scope| scope.judging != Judging::Check) {
        return;
    }
    for fact in Fact::ALL {
        let written = format!("${{{}}}", fact.as_str());
        let stands = text
            .match_indices(&written)
            .any(|(at, _)| !text[..at].ends_with(['$', '\\']));
        if stands && !sets(text, fact.as_str()) {
            let message =
                format!("`{written}` in a command is not filled in, and the shell knows no such variable");
            cx.problem(span, message, format!("write `${}`", fact.variable()));
        }
    }
}

/// Whether a command sets a variable of this name: `host=…`, `for host in …`, `read host`.
fn sets(text: &str, name: &str) -> bool {
    let mut words = text
        .split(|c: char| c.is_whitespace() || ";&|(){}'\"`".contains(c))
        .filter(|word| !word.is_empty());
    let mut names_come = false;
    words.any(|word| {
        let assigned = word.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        let named = names_come && word == name;
        names_come =
            matches!(word, "for" | "read" | "local" | "export") || (names_come && word.starts_with('-'));
        assigned || named
    })
}

schema!(Command, { "anyOf": [
    { "type": "string", "minLength": 1 },
    { "type": "array", "items": { "type": "string" }, "minItems": 1 },
] });
