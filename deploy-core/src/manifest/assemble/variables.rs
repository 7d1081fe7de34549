//! Variables in their layers, and the references to secrets. Within one level a reference wins over a plain variable of
//! the same name; what an environment itself sets wins over a reference that is for all environments.

use super::super::node::{Node, Table};
use super::super::parse::Draft;
use super::super::scope::{Given, VarOrigin, VarText};
use super::super::template::VarName;
use crate::id::EnvName;
use crate::problem::{Problem, Problems, position};
use std::collections::BTreeMap;

pub(super) type Variables = BTreeMap<VarName, Given>;

fn table<'m>(node: &'m Node, path: &[&str]) -> impl Iterator<Item = (VarName, &'m Node)> {
    node.at(path)
        .and_then(Node::as_table)
        .into_iter()
        .flat_map(|table: &Table| &table.0)
        .filter_map(|(name, entry)| Some((VarName::new(name).ok()?, &entry.node)))
}

fn set(variables: &mut Variables, name: VarName, node: &Node) {
    if let Some(text) = VarText::of(node) {
        variables.insert(name, Given::Text(text, VarOrigin::Manifest(node.span)));
    }
}

fn set_unless_secret(variables: &mut Variables, name: VarName, given: Given) {
    if variables.get(&name) != Some(&Given::Secret) {
        variables.insert(name, given);
    }
}

/// `[vars]` and `[secrets]`.
pub(super) fn of_project(manifest: Draft<'_>) -> Variables {
    let mut variables = Variables::new();
    for (name, node) in table(manifest.root, &["vars"]) {
        set(&mut variables, name, node);
    }
    for (name, _) in table(manifest.root, &["secrets"]) {
        variables.insert(name, Given::Secret);
    }
    variables
}

/// Those of an environment: the project's, its `env_file`'s, its own.
pub(super) fn of_environment(
    manifest: Draft<'_>,
    environment: &EnvName,
    env_file: &BTreeMap<VarName, String>,
) -> Variables {
    let mut variables = of_project(manifest);
    for (name, text) in env_file {
        set_unless_secret(
            &mut variables,
            name.clone(),
            Given::Text(text.clone(), VarOrigin::EnvFile),
        );
    }
    let keys = ["environments", environment.as_str()];
    for (name, node) in table(manifest.root, &[keys[0], keys[1], "vars"]) {
        set(&mut variables, name, node);
    }
    for (name, _) in table(manifest.root, &[keys[0], keys[1], "secrets"]) {
        variables.insert(name, Given::Secret);
    }
    variables
}

/// Those of a service: the environment's and its own, merged from its layers. `of_environment` names the layers that belong
/// to the environment alone.
pub(super) fn of_service(
    environment: &Variables,
    merged: &Node,
    own_layers: &[&Node],
    environment_secrets: impl Fn(&VarName) -> bool,
) -> Variables {
    let mut variables = environment.clone();
    for (name, node) in table(merged, &["vars"]) {
        let here = own_layers
            .iter()
            .any(|layer| layer.at(&["vars", name.as_str()]).is_some());
        if here && !environment_secrets(&name) {
            set(&mut variables, name, node);
        } else if let Some(text) = VarText::of(node) {
            set_unless_secret(
                &mut variables,
                name,
                Given::Text(text, VarOrigin::Manifest(node.span)),
            );
        }
    }
    variables
}

/// Reads an `env_file`: `NAME=value` lines, `#` comments, an optional `export`, values bare or in quotes. `${…}` in values
/// works as in the manifest, except in single quotes.
///
/// # Errors
/// Every line that is none of these. No line is repeated in a message: it may hold what nobody should see.
pub fn parse_env_file(file_name: &str, text: &str) -> Result<BTreeMap<VarName, String>, Problems> {
    let mut variables = BTreeMap::new();
    let mut problems = Vec::new();
    let mut offset = 0;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim();
        let at = offset;
        offset += raw.len();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match env_line(line) {
            Ok((name, value)) => {
                variables.insert(name, value);
            }
            Err(rule) => {
                let help = "write `NAME=value`, or `NAME=\"a value\"`";
                problems.push(Problem {
                    line: position(text, at).0,
                    column: 1,
                    ..Problem::of_file(file_name, rule, help)
                });
            }
        }
    }
    if problems.is_empty() {
        Ok(variables)
    } else {
        Err(problems.into())
    }
}

fn env_line(line: &str) -> Result<(VarName, String), String> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or("a line without `=`")?;
    let name = VarName::new(name.trim()).map_err(|_| "a name is upper-case letters, digits and `_`")?;
    let value = value.trim();
    let value = match value.chars().next() {
        Some('\'') => {
            let inner = value[1..].strip_suffix('\'').ok_or("a quote is not closed")?;
            inner.replace("${", "$${")
        }
        Some('"') => {
            let inner = value[1..].strip_suffix('"').ok_or("a quote is not closed")?;
            inner
                .replace("\\n", "\n")
                .replace("\\\"", "\"")
                .replace("\\\\", "\\")
        }
        _ => value
            .split_once(" #")
            .map_or(value, |(value, _)| value.trim_end())
            .to_owned(),
    };
    if value.contains('\0') {
        return Err("a value holds a NUL".to_owned());
    }
    Ok((name, value))
}
