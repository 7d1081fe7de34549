//! Probes: one look at health.

use crate::manifest::leaf::{Command, OneOrMore, Period};
use crate::manifest::node::{Node, Value};
use crate::manifest::read::{Cx, FromNode, choices, keys};
use crate::manifest::template::Template;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

keys! {
    /// A look at health: one of `http`, `tcp`, `command`, and what is expected of it.
    pub struct Probe {
        /// `false` removes a probe that another layer brings.
        enabled: bool = true => "false",
        /// A URL that is asked.
        http: Option<Template> => "'http://localhost:4000/health'",
        /// An address that must accept a connection.
        tcp: Option<Template> => "'localhost:5432'",
        /// A command that must succeed.
        command: Option<Command> => "'bin/healthy'",
        /// Where the look is taken from: `host` (the default on servers and images) or `here`.
        from: Option<ProbeFrom> => "'host'",
        /// What the answer must be.
        expect: Expect = Expect::default() => "{ status = 200, json = { '/status' = ['UP'] } }",
        /// The version that must answer.
        version: Option<VersionExpect> => "{ json = '/version', equals = '${version}' }",
        /// The window of unbroken passes.
        healthy_for: Period = Period::default() => "'10s'",
        /// How long one look may take.
        timeout: Period = Period::secs(2) => "'2s'",
        /// How long after one look the next begins.
        interval: Period = Period::secs(1) => "'1s'",
        /// How long all of it may take.
        deadline: Period = Period::secs(60) => "'60s'",
    } rules probe_rules
}

fn probe_rules(probe: &Probe, node: &Node, cx: &mut Cx<'_>) {
    let span = |key: &str| node.at(&[key]).map_or(node.span, |node| node.span);
    for (key, period) in [
        ("timeout", probe.timeout),
        ("interval", probe.interval),
        ("deadline", probe.deadline),
    ] {
        if period.get().is_zero() {
            cx.problem(
                span(key),
                format!("`{key}` is 0: no look could ever be taken"),
                "write a duration, as in `\"2s\"`",
            );
        }
    }
    if probe.healthy_for > probe.deadline {
        let message = format!(
            "the deadline of {} is over before it can be healthy for {}",
            probe.deadline, probe.healthy_for
        );
        cx.problem(
            span("healthy_for"),
            message,
            "make `deadline` longer than `healthy_for`",
        );
    }
}

choices! {
    /// Where a look is taken from.
    pub enum ProbeFrom {
        /// From the host of the slice, through the connection.
        Host = "host",
        /// From the machine that deploys.
        Here = "here",
    }
}

keys! {
    /// What an answer must be; everything that is said must hold.
    #[derive(Default)]
    pub struct Expect {
        /// The status, or several that are all right; without it any 2xx.
        status: Option<OneOrMore<u16>> => "200",
        /// Values by JSON pointer: equal to one of a list, or within bounds.
        json: BTreeMap<JsonPointer, JsonExpect> => "{ '/status' = ['UP', 'ok'] }",
        /// A regular expression that the body contains.
        body: Option<String> => "'ready'",
        /// How long an answer may take and still pass.
        latency: Option<Period> => "'300ms'",
    }
}

/// Where in a JSON document: `/status`, `/components/db/status` (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonPointer(pub String);

impl crate::manifest::leaf::FromKey for JsonPointer {
    fn from_key(key: &str) -> Result<Self, String> {
        if key.is_empty() || key.starts_with('/') {
            return Ok(Self(key.to_owned()));
        }
        Err(format!(
            "`{key}` is not a JSON pointer; write \"/{}\"",
            key.replace('.', "/")
        ))
    }
}
impl FromNode for JsonPointer {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.parsed(
            node,
            "a JSON pointer, as in `/status`",
            crate::manifest::leaf::FromKey::from_key,
        )
    }
}
crate::manifest::leaf::schema!(JsonPointer, { "type": "string", "pattern": "^(/.*)?$" });

/// What a value in JSON must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum JsonExpect {
    /// Equal to one of these.
    AnyOf(Vec<JsonScalar>),
    /// A number within bounds.
    Within(Bounds),
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum JsonScalar {
    /// true or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text; facts in it are filled in per slice.
    Text(Template),
}

keys! {
    /// Bounds of a number, inclusive.
    pub struct Bounds {
        /// The least that passes.
        min: Option<f64> => "3",
        /// The most that passes.
        max: Option<f64> => "0.5",
    } rules bounds_rules
}

fn bounds_rules(bounds: &Bounds, node: &Node, cx: &mut Cx<'_>) {
    match (bounds.min, bounds.max) {
        (None, None) => cx.problem(
            node.span,
            "neither `min` nor `max`",
            "write `{ min = 3 }` or a value",
        ),
        (Some(min), Some(max)) if min > max => {
            cx.problem(
                node.span,
                format!("nothing is at least {min} and at most {max}"),
                "swap them",
            );
        }
        _ => {}
    }
}

impl FromNode for JsonExpect {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Table(_) => Bounds::from_node(node, cx).map(Self::Within),
            Value::Array(items) if items.is_empty() => {
                cx.problem(
                    node.span,
                    "an empty list: no value could pass",
                    "write the values that pass",
                );
                None
            }
            Value::Array(_) => Vec::from_node(node, cx).map(Self::AnyOf),
            _ => JsonScalar::from_node(node, cx).map(|one| Self::AnyOf(vec![one])),
        }
    }
}
impl FromNode for JsonScalar {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Str(_) => Template::from_node(node, cx).map(Self::Text),
            _ => f64::from_node(node, cx).map(Self::Number),
        }
    }
}
impl JsonSchema for JsonExpect {
    fn schema_name() -> Cow<'static, str> {
        "JsonExpect".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let bounds = generator.subschema_for::<Bounds>();
        let scalar = serde_json::json!({ "type": ["string", "number", "boolean"] });
        json_schema!({ "anyOf": [scalar, { "type": "array", "items": scalar, "minItems": 1 }, bounds] })
    }
}

keys! {
    /// Which version must answer: from JSON or from a header.
    pub struct VersionExpect {
        /// Where in the body.
        json: Option<JsonPointer> => "'/version'",
        /// Or in which header.
        header: Option<String> => "'x-version'",
        /// What it must be.
        equals: Template = version_fact() => "'${version}'",
    } rules version_rules
}

fn version_fact() -> Template {
    let mut template = Template::default();
    template.push(crate::manifest::template::Part::Fact(
        crate::manifest::template::Fact::Version,
    ));
    template
}

fn version_rules(version: &VersionExpect, node: &Node, cx: &mut Cx<'_>) {
    if version.json.is_some() == version.header.is_some() {
        cx.problem(
            node.span,
            "a version is read from one of `json` and `header`",
            "write `{ json = \"/version\" }`",
        );
    }
}

/// What a probe asks: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// A URL.
    Http(Template),
    /// An address that must accept a connection.
    Tcp(Template),
    /// A command that must succeed.
    Command(Command),
}
