//! The smallest things a manifest says: numbers, durations, names, paths, commands. Each knows how to be read and how
//! its schema looks.

use super::node::{Node, Span, Value};
use super::read::{Cx, FromNode, Scalar};
use super::scope::Expanded;
use super::suggest::nearest;
use super::template::{Template, VarName};
use crate::id;
use crate::time::{format_duration, parse_duration};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// Gives a type a schema written by hand.
macro_rules! schema {
    ($name:ident, $($schema:tt)*) => {
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($($schema)*)
            }
            fn inline_schema() -> bool {
                true
            }
        }
    };
}
pub(crate) use schema;

mod command;
mod path;

pub use crate::command::Command;
pub use path::{Glob, InnerPath, RelPath};

pub(crate) fn choice<T>(
    node: &Node,
    cx: &mut Cx<'_>,
    words: &[&str],
    named: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let wanted = format!("one of {}", words.join(", "));
    cx.parsed(node, &wanted, |text| {
        named(text).ok_or_else(|| match nearest(text, words.iter().copied()) {
            Some(near) => format!("`{text}` is not known here; did you mean `{near}`?"),
            None => format!("`{text}` is not known here"),
        })
    })
}

impl<T: FromNode> FromNode for Option<T> {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        T::from_node(node, cx).map(Some)
    }
    fn absent(_: &str, _: Span, _: &mut Cx<'_>) -> Option<Self> {
        Some(None)
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            cx.wrong_type(node, "an array: `[…]`");
            return None;
        };
        // Each item is read, also after a bad one: all problems at once.
        let items: Vec<_> = items.iter().map(|item| T::from_node(item, cx)).collect();
        items.into_iter().collect()
    }
    fn absent(_: &str, _: Span, _: &mut Cx<'_>) -> Option<Self> {
        Some(Self::new())
    }
}

/// What may be the name of a table.
pub(crate) trait FromKey: Sized + Ord {
    fn from_key(key: &str) -> Result<Self, String>;
}

impl<K: FromKey, V: FromNode> FromNode for BTreeMap<K, V> {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let table = cx.table(node)?;
        let mut map = Some(Self::new());
        for (key, entry) in &table.0 {
            let name = K::from_key(key)
                .map_err(|error| cx.within(key, |cx| cx.problem(entry.key, error, "choose another name")));
            let value = cx.within(key, |cx| V::from_node(&entry.node, cx));
            match (name, value, &mut map) {
                (Ok(name), Some(value), Some(map)) => {
                    map.insert(name, value);
                }
                _ => map = None,
            }
        }
        map
    }
    fn absent(_: &str, _: Span, _: &mut Cx<'_>) -> Option<Self> {
        Some(Self::new())
    }
}

impl FromNode for bool {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match cx.scalar(node, "true or false")? {
            Scalar::Bool(value) => Some(value),
            Scalar::Expanded(text) if text == "true" => Some(true),
            Scalar::Expanded(text) if text == "false" => Some(false),
            _ => {
                cx.wrong_type(node, "true or false");
                None
            }
        }
    }
}

macro_rules! whole_number {
    ($($ty:ty => $wanted:literal),*) => { $(
        impl FromNode for $ty {
            fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
                let number = match cx.scalar(node, $wanted)? {
                    Scalar::Int(number) => <$ty>::try_from(number).ok(),
                    Scalar::Expanded(text) => text.parse().ok(),
                    _ => None,
                };
                if number.is_none() {
                    cx.wrong_type(node, $wanted);
                }
                number
            }
        }
    )* };
}
whole_number!(u16 => "a whole number from 0 to 65535", u32 => "a whole number, 0 or more");

impl FromNode for (u16, u16) {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Array(items) if items.len() == 2 => {
                let (one, other) = (u16::from_node(&items[0], cx), u16::from_node(&items[1], cx));
                Some((one?, other?))
            }
            _ => {
                cx.wrong_type(node, "two ports, as in `[4000, 4001]`");
                None
            }
        }
    }
}

impl FromNode for f64 {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let number = match cx.scalar(node, "a number")? {
            #[expect(clippy::cast_precision_loss, reason = "thresholds are far below 2^53")]
            Scalar::Int(number) => Some(number as Self),
            Scalar::Float(number) => Some(number),
            Scalar::Expanded(text) => text.parse().ok().filter(|number: &Self| number.is_finite()),
            _ => None,
        };
        if number.is_none() {
            cx.wrong_type(node, "a number");
        }
        number
    }
}

impl FromNode for String {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.parsed(node, "a string", |text| {
            if text.contains('\0') {
                Err("a string cannot hold a NUL")
            } else {
                Ok(text.to_owned())
            }
        })
    }
}

impl FromKey for String {
    fn from_key(key: &str) -> Result<Self, String> {
        if key.is_empty() || key.chars().any(char::is_control) {
            return Err("a name is not empty and holds no control characters".to_owned());
        }
        Ok(key.to_owned())
    }
}

impl FromNode for Template {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Value::Str(text) = &node.value else {
            cx.wrong_type(node, "a string");
            return None;
        };
        if text.contains('\0') {
            cx.problem(node.span, "a string cannot hold a NUL", "leave it out");
            return None;
        }
        Some(match cx.expand(node, text)? {
            Expanded::Known(template) => template,
            // Only looked at for its form: the value is never used.
            Expanded::Deferred => Self::text(text),
        })
    }
}
schema!(Template, { "type": "string" });

impl FromKey for VarName {
    fn from_key(key: &str) -> Result<Self, String> {
        Self::new(key).map_err(|error| error.to_string())
    }
}
impl FromNode for VarName {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.parsed(node, "a variable's name, as in `DATABASE_URL`", Self::new)
    }
}
schema!(VarName, { "type": "string", "pattern": "^[A-Z_][A-Z0-9_]*$" });

macro_rules! names {
    ($($name:ident),*) => { $(
        impl FromKey for id::$name {
            fn from_key(key: &str) -> Result<Self, String> {
                Self::new(key).map_err(|error| error.to_string())
            }
        }
        impl FromNode for id::$name {
            fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
                cx.parsed(node, "another name", |text| Self::new(text))
            }
        }
        impl JsonSchema for id::$name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string" })
            }
            fn inline_schema() -> bool {
                true
            }
        }
    )* };
}
names!(
    ProjectName,
    EnvName,
    ServiceName,
    ArtifactName,
    HostName,
    EvidenceName,
    GroupName,
    Actor
);

/// A duration: `"300ms"`, `"10s"`, `"5m"`; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Period(#[serde(with = "crate::time::human")] pub Duration);

impl Period {
    /// This many seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
    /// As a duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}
impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format_duration(self.0))
    }
}
impl FromNode for Period {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        const WANTED: &str = "a duration: `\"300ms\"`, `\"10s\"`, `\"5m\"`, or a number of seconds";
        let text = match cx.scalar(node, WANTED)? {
            Scalar::Plain(text) | Scalar::Expanded(text) => text,
            Scalar::Int(number) => number.to_string(),
            Scalar::Float(number) => number.to_string(),
            Scalar::Bool(_) => {
                cx.wrong_type(node, WANTED);
                return None;
            }
        };
        let read = parse_duration(&text).map(Self);
        read.map_err(|rule| cx.problem(node.span, format!("`{text}`: {rule}"), format!("write {WANTED}")))
            .ok()
    }
}
schema!(Period, { "type": ["string", "number"], "minimum": 0 });

/// Some of a whole: `2`, or `"25%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// Such a share, 0 to 100.
    #[serde(with = "percent")]
    Percent(u8),
}

/// Serde for shares as they are written: `"25%"`.
mod percent {
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(share: &u8, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{share}%"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
        let text = String::deserialize(deserializer)?;
        let share = text.strip_suffix('%').and_then(|share| share.parse().ok());
        share
            .filter(|share| *share <= 100)
            .ok_or_else(|| serde::de::Error::custom("a share is `0%` to `100%`"))
    }
}

impl Amount {
    /// Whether it is none at all.
    pub const fn is_zero(self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(0))
    }
}
impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(share) => write!(f, "{share}%"),
        }
    }
}
impl FromNode for Amount {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        const WANTED: &str = "a number as in `2`, or a share as in `\"25%\"`";
        let text = match cx.scalar(node, WANTED)? {
            Scalar::Plain(text) | Scalar::Expanded(text) => text,
            Scalar::Int(number) => number.to_string(),
            Scalar::Float(_) | Scalar::Bool(_) => {
                cx.wrong_type(node, WANTED);
                return None;
            }
        };
        let amount = match text.strip_suffix('%') {
            Some(share) => share
                .parse()
                .ok()
                .filter(|share| *share <= 100)
                .map(Self::Percent),
            None => text.parse().ok().map(Self::Count),
        };
        if amount.is_none() {
            cx.problem(
                node.span,
                format!("`{text}` is neither a number nor a share"),
                format!("write {WANTED}"),
            );
        }
        amount
    }
}
schema!(Amount, { "anyOf": [
    { "type": "integer", "minimum": 0 },
    { "type": "string", "pattern": "^([0-9]{1,2}|100)%$|\\$\\{" },
] });

/// One or several of something: `"a"` is `["a"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OneOrMore<T>(pub Vec<T>);

impl<T: FromNode> FromNode for OneOrMore<T> {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if let Value::Array(_) = node.value {
            return Vec::from_node(node, cx).map(Self);
        }
        T::from_node(node, cx).map(|one| Self(vec![one]))
    }
}
impl<T: JsonSchema> JsonSchema for OneOrMore<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMore_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
    fn inline_schema() -> bool {
        true
    }
}
