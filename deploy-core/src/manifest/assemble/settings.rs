//! The merged configuration as lines for people: each value with the place it came from.

use super::super::keys::service::ServiceKeys;
use super::super::model::{Origin, Setting};
use super::super::node::Node;
use super::super::parse::Draft;
use super::super::scope::{Given, Scope, VarOrigin};
use super::super::template::{Template, VarName};
use super::service::Around;
use crate::id::ServiceName;
use crate::problem::position;
use serde::Serialize;
use std::collections::BTreeMap;

/// The values of some keys, by path, with origins from the tree they were read from.
pub(super) fn flatten(manifest: Draft<'_>, prefix: &str, keys: &impl Serialize, node: &Node) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let Ok(value) = serde_json::to_value(keys) {
        walk(
            manifest,
            &mut vec![prefix.to_owned()],
            &value,
            Some(node),
            &mut settings,
        );
    }
    settings
}

fn walk(
    manifest: Draft<'_>,
    path: &mut Vec<String>,
    value: &serde_json::Value,
    node: Option<&Node>,
    settings: &mut Vec<Setting>,
) {
    match value {
        serde_json::Value::Object(keys) if !keys.is_empty() => {
            for (key, value) in keys {
                path.push(key.clone());
                // A value that is written short (`"ok"` for `["ok"]`) has no keys of its own in the tree.
                let below = node.and_then(|node| match node.as_table() {
                    // A flat checklist is its `before`.
                    Some(table) if key == "before" && !table.0.contains_key(key) => Some(node),
                    Some(_) => node.at(&[key]),
                    None => Some(node),
                });
                walk(manifest, path, value, below, settings);
                path.pop();
            }
        }
        serde_json::Value::Null | serde_json::Value::Object(_) => {}
        serde_json::Value::Array(items) if items.is_empty() && node.is_none() => {}
        value => {
            let origin = node.map_or(Origin::Default, |node| at(manifest, node));
            let value = match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            settings.push(Setting {
                key: path.join("."),
                value,
                origin,
            });
        }
    }
}

fn at(manifest: Draft<'_>, node: &Node) -> Origin {
    Origin::Manifest {
        file: manifest.file.to_owned(),
        line: position(manifest.text, node.span.start).0,
    }
}

/// Variables with their origins.
pub(super) fn variables(
    manifest: Draft<'_>,
    prefix: &str,
    vars: &BTreeMap<VarName, Template>,
    scope: &Scope<'_>,
    env_file: Option<&str>,
) -> Vec<Setting> {
    vars.iter()
        .map(|(name, value)| {
            let origin = match scope.given.get(name) {
                Some(Given::Text(_, VarOrigin::Manifest(span))) => Origin::Manifest {
                    file: manifest.file.to_owned(),
                    line: position(manifest.text, span.start).0,
                },
                Some(Given::Text(_, VarOrigin::EnvFile)) => Origin::EnvFile {
                    file: env_file.unwrap_or("env_file").to_owned(),
                },
                Some(Given::Secret) | None => Origin::Caller,
            };
            Setting {
                key: format!("{prefix}.{name}"),
                value: value.to_string(),
                origin,
            }
        })
        .collect()
}

pub(super) fn of_service(
    around: &Around<'_>,
    name: &ServiceName,
    keys: &ServiceKeys,
    node: &Node,
    vars: &BTreeMap<VarName, Template>,
    scope: &Scope<'_>,
) -> Vec<Setting> {
    let prefix = format!("services.{name}");
    let mut settings = flatten(around.manifest, &prefix, keys, node);
    let own = format!("{prefix}.vars");
    settings.retain(|setting| !setting.key.starts_with(&format!("{own}.")));
    // A service's own variables; those of the environment stand once, there.
    let own_vars = vars
        .iter()
        .filter(|(name, _)| around.variables.get(*name) != scope.given.get(*name));
    let own_vars = own_vars
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    settings.extend(variables(around.manifest, &own, &own_vars, scope, None));
    settings
}
