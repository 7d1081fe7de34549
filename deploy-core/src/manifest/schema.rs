//! The manifest's JSON schema and the documentation of its keys, both made from the types that read it.

use super::keys::project::Root;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform, transform_subschemas};
use serde_json::{Map, Value};

/// The JSON schema of `deploy.toml` (draft 2020-12), for editors.
pub fn schema() -> Value {
    generate(false)
}

fn generate(inline: bool) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = inline;
        settings.transforms.push(Box::new(Examples));
        settings.transforms.push(Box::new(RecursiveTransform(as_toml)));
    });
    let mut schema = settings.into_generator().into_root_schema_for::<Root>();
    schema.insert("title".to_owned(), "deploy.toml".into());
    schema.insert(
        "required".to_owned(),
        serde_json::json!(["project", "services", "environments"]),
    );
    schema.to_value()
}

/// What TOML and `${…}` make of a Rust type: there is no null, a number may come out of a variable, and a layer need not be
/// complete.
fn as_toml(schema: &mut Schema) {
    schema.remove("required");
    schema.remove("format");
    let is_null = |value: &Value| *value == "null" || value.get("type").is_some_and(|kind| kind == "null");
    for key in ["type", "anyOf"] {
        let Some(Value::Array(kinds)) = schema.get_mut(key) else {
            continue;
        };
        kinds.retain(|kind| !is_null(kind));
        if let ([only], "type") = (kinds.as_slice(), key) {
            let only = only.clone();
            schema.insert(key.to_owned(), only);
        }
    }
    if let Some([Value::Object(only)]) = schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
        let only = only.clone();
        schema.remove("anyOf");
        for (key, value) in only {
            if schema.get(&key).is_none() {
                schema.insert(key, value);
            }
        }
    }
    if let Some(kind @ ("integer" | "number" | "boolean")) = schema.get("type").and_then(Value::as_str) {
        let kinds = serde_json::json!([kind, "string"]);
        schema.insert("type".to_owned(), kinds);
        schema.insert("pattern".to_owned(), "\\$\\{".into());
    }
}

/// Examples are written as TOML beside each key, so that tests can read them as a manifest would.
#[derive(Clone)]
struct Examples;

impl Transform for Examples {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(Value::String(example)) = schema.remove("x-example")
            && let Some(value) = super::node::value(&example)
        {
            schema.insert(
                "examples".to_owned(),
                Value::Array(vec![super::keys::later::to_json(&value)]),
            );
        }
    }
}

/// What a key means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The key, with `*` where a name stands: `services.*.bake`.
    pub key: String,
    /// What it means.
    pub description: String,
    /// What it may be: `a string or a number`.
    pub kind: String,
    /// How it may look, in TOML: `bake = "2m"`.
    pub example: Option<String>,
    /// The keys below it with their first lines.
    pub keys: Vec<(String, String)>,
}

/// The documentation of a key: `services.web.bake` or `services.*.bake`; an empty text is the manifest itself. `None` where
/// there is no such key.
pub fn explain(key: &str) -> Option<Explanation> {
    explain_in(&generate(true), key)
}

/// Every key whose last part is this, those nearest to the manifest's top first. The layers over a service are left out: they have a
/// service's keys.
pub fn keys_called(last: &str) -> Vec<String> {
    let root = generate(true);
    let mut found = Vec::new();
    let mut open = vec![(String::new(), &root)];
    while let Some((path, at)) = open.pop() {
        let depth = path.split('.').count();
        let mut next: Vec<(String, &Value)> = Vec::new();
        for (name, _) in keys(at) {
            let key = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            if name == last && !found.contains(&key) {
                found.push(key.clone());
            }
            let is_layer = name == "defaults" || key == "environments.*.services";
            if let Some((node, _)) = below(at, &name).filter(|_| !is_layer && depth < DEEPEST) {
                next.push((key, node));
            }
        }
        // A table of any name: below it are keys again.
        if let Some((node, "*")) = below(at, "*").filter(|_| depth < DEEPEST && !path.is_empty()) {
            next.push((format!("{path}.*"), node));
        }
        open.extend(next);
    }
    found.sort_by_key(|key| (key.split('.').count(), key.clone()));
    found
}

/// How deep keys are looked for: deeper than any is.
const DEEPEST: usize = 8;

fn explain_in(root: &Value, key: &str) -> Option<Explanation> {
    let mut at = root;
    let mut path = Vec::new();
    for part in key.split('.').filter(|part| !part.is_empty()) {
        let (next, name) = below(at, part)?;
        path.push(name.to_owned());
        at = next;
    }
    let last = path.iter().rev().find(|name| *name != "*").cloned();
    let example = at
        .get("examples")
        .and_then(|examples| examples.get(0))
        .and_then(|example| Some(format!("{} = {}", last?, as_text(example))));
    Some(Explanation {
        key: path.join("."),
        description: description(at),
        kind: kind(at),
        example,
        keys: keys(at),
    })
}

/// The schemas that a value may satisfy: itself, and what it may be one of.
fn forms(schema: &Value) -> impl Iterator<Item = &Value> {
    let any = schema
        .get("anyOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    std::iter::once(schema).chain(any.flat_map(|form| {
        std::iter::once(form).chain(form.get("anyOf").and_then(Value::as_array).into_iter().flatten())
    }))
}

fn below<'s, 'p>(schema: &'s Value, part: &'p str) -> Option<(&'s Value, &'p str)> {
    let tables = || forms(schema).chain(forms(schema).filter_map(|form| form.get("items")));
    if let Some(next) = tables().find_map(|form| form.get("properties")?.get(part)) {
        return Some((next, part));
    }
    let of_any_name = tables().find_map(|form| {
        let patterns = form.get("patternProperties").and_then(Value::as_object);
        patterns
            .and_then(|patterns| patterns.values().next())
            .or_else(|| form.get("additionalProperties").filter(|next| next.is_object()))
    });
    of_any_name.map(|next| (next, "*"))
}

fn description(schema: &Value) -> String {
    forms(schema)
        .find_map(|form| form.get("description")?.as_str())
        .unwrap_or_default()
        .to_owned()
}

fn keys(schema: &Value) -> Vec<(String, String)> {
    let own: Vec<&Map<String, Value>> = forms(schema)
        .filter_map(|form| form.get("properties")?.as_object())
        .collect();
    own.into_iter()
        .flatten()
        .map(|(key, schema)| (key.clone(), description(schema)))
        .collect()
}

fn kind(schema: &Value) -> String {
    let mut words: Vec<String> = Vec::new();
    for form in forms(schema) {
        if let Some(choices) = form.get("enum").and_then(Value::as_array) {
            words.extend(choices.iter().map(as_text));
            continue;
        }
        let only_variable = form.get("pattern").is_some_and(|pattern| pattern == "\\$\\{");
        let kinds: Vec<&str> = match form.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let kinds = kinds.iter().filter(|kind| !(only_variable && **kind == "string"));
        words.extend(kinds.map(|kind| {
            match *kind {
                "object" => "a table",
                "array" => "an array",
                "integer" => "a whole number",
                "number" => "a number",
                "boolean" => "true or false",
                _ => "a string",
            }
            .to_owned()
        }));
    }
    words.dedup();
    if words.is_empty() {
        return "anything".to_owned();
    }
    words.join(", ")
}

/// A JSON value as one would write it in TOML.
fn as_text(value: &Value) -> String {
    match value {
        Value::Object(keys) => {
            let bare = |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            let pair = |(key, value): (&String, &Value)| {
                let key = if bare(key) {
                    key.clone()
                } else {
                    format!("{key:?}")
                };
                format!("{key} = {}", as_text(value))
            };
            format!("{{ {} }}", keys.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(as_text).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_description_and_an_example() {
        fn walk(schema: &Value, path: &str, missing: &mut Vec<String>) {
            for form in forms(schema) {
                for (key, schema) in form
                    .get("properties")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                {
                    let path = format!("{path}.{key}");
                    if description(schema).is_empty() {
                        missing.push(format!("{path}: description"));
                    }
                    // A phase of a checklist and the forms of a reference are explained with their tables.
                    let by_hand = ["checklist", "secrets", "password", "slack", "discord", "key"];
                    if schema.get("examples").is_none() && !by_hand.iter().any(|part| path.contains(part)) {
                        missing.push(format!("{path}: example"));
                    }
                    walk(schema, &path, missing);
                }
                for key in ["additionalProperties", "items"] {
                    if let Some(next) = form.get(key).filter(|next| next.is_object()) {
                        walk(next, &format!("{path}.*"), missing);
                    }
                }
            }
        }
        let mut missing = Vec::new();
        walk(&generate(true), "", &mut missing);
        missing.retain(|line| !line.contains("checklist.") || line.contains("example"));
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }

    #[test]
    fn every_example_is_read_by_its_own_reader() {
        use super::super::keys::{
            artifact, environment, gates, health, later, project, service, strategy, target,
        };
        let bad = [
            artifact::ArtifactKeys::bad_examples(),
            artifact::BuildHost::bad_examples(),
            artifact::Check::bad_examples(),
            artifact::GithubCheck::bad_examples(),
            environment::EnvironmentKeys::bad_examples(),
            environment::HostKeys::bad_examples(),
            gates::Allow::bad_examples(),
            gates::Approval::bad_examples(),
            gates::ChecklistItem::bad_examples(),
            gates::FreezeKeys::bad_examples(),
            health::Bounds::bad_examples(),
            health::Expect::bad_examples(),
            health::Probe::bad_examples(),
            health::VersionExpect::bad_examples(),
            later::Analysis::bad_examples(),
            later::Jwt::bad_examples(),
            later::Load::bad_examples(),
            later::LoadMax::bad_examples(),
            later::Notify::bad_examples(),
            later::Server::bad_examples(),
            later::SmokeStep::bad_examples(),
            later::SmokeSuite::bad_examples(),
            project::HostRecords::bad_examples(),
            project::ProjectKeys::bad_examples(),
            project::Root::bad_examples(),
            service::Hook::bad_examples(),
            service::ServiceKeys::bad_examples(),
            strategy::CanaryStep::bad_examples(),
            strategy::Proxy::bad_examples(),
            strategy::Strategy::bad_examples(),
            target::Backup::bad_examples(),
            target::ComposeConfig::bad_examples(),
            target::ExecConfig::bad_examples(),
            target::FlyConfig::bad_examples(),
            target::GoldenImageConfig::bad_examples(),
            target::K8sConfig::bad_examples(),
            target::MigrationCommands::bad_examples(),
            target::MigrationsConfig::bad_examples(),
            target::SshConfig::bad_examples(),
        ]
        .concat();
        assert!(bad.is_empty(), "{}", bad.join("\n"));
    }

    /// Every path of a schema, with `*` where a name stands.
    fn paths(schema: &Value, path: &str, found: &mut Vec<String>) {
        let join = |key: &str| format!("{path}.{key}").trim_start_matches('.').to_owned();
        for table in forms(schema).chain(forms(schema).filter_map(|form| form.get("items"))) {
            for (key, below) in table
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                // A key with a dot in it is one name.
                assert!(!key.contains('.'), "{key}");
                found.push(join(key));
                paths(below, &join(key), found);
            }
            let named = table.get("patternProperties").and_then(Value::as_object);
            let any = table
                .get("additionalProperties")
                .filter(|below| below.is_object());
            for below in named.into_iter().flat_map(Map::values).chain(any) {
                found.push(join("*"));
                paths(below, &join("*"), found);
            }
        }
    }

    #[test]
    fn every_key_is_explained() {
        let root = generate(true);
        let mut all = Vec::new();
        paths(&root, "", &mut all);
        assert!(all.len() > 300, "{}", all.len());
        let mut silent = Vec::new();
        for path in &all {
            let Some(found) = explain_in(&root, path) else {
                silent.push(format!("{path} is not found"));
                continue;
            };
            // A name that people choose is explained by the table that holds it.
            let named = path.ends_with('*');
            if !named && (found.description.is_empty() || found.example.is_none()) || found.kind.is_empty() {
                silent.push(format!("{path}: {found:?}"));
            }
        }
        silent.dedup();
        assert!(
            silent.is_empty(),
            "{} of {}:\n{}",
            silent.len(),
            all.len(),
            silent.join("\n")
        );
    }

    #[test]
    fn keys_are_explained_by_place_and_in_general() {
        let by_place = explain("services.web.bake").expect("a key");
        assert_eq!(Some(&by_place), explain("services.*.bake").as_ref());
        assert_eq!(by_place.key, "services.*.bake");
        assert_eq!(by_place.example.as_deref(), Some("bake = \"2m\""));
        assert!(
            by_place.description.starts_with("How long it is watched"),
            "{by_place:?}"
        );
        let strategy = explain("services.web.strategy").expect("a key");
        assert!(
            strategy.keys.iter().any(|(key, _)| key == "max_failures"),
            "{strategy:?}"
        );
        assert!(explain("environments.*.services.*.ssh.path").is_some());
        assert!(explain("services.web.strategy.steps.for").is_some());
        assert!(explain("environments.production.vars.LOG_LEVEL").is_some());
        assert!(explain("services.web.health.ready.expect.json./status").is_some());
        assert!(explain("services.web.helth").is_none());
        assert!(explain("").is_some_and(|root| root.keys.iter().any(|(key, _)| key == "services")));
    }
}
