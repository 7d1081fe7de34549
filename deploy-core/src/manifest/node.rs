//! The manifest as a tree of values that remember where they stand. What keys mean is not known here.

use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// A byte range of the manifest's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl From<std::ops::Range<usize>> for Span {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self {
            start: range.start,
            end: range.end,
        }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// What TOML knows. Numbers that fit no Rust number keep their text, so that the message can show it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    BadNumber(String),
    Str(String),
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
}

/// A table: each key with its own place.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Table(pub(crate) BTreeMap<String, Entry>);

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Span,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn table(span: Span, table: Table) -> Self {
        Self {
            span,
            value: Value::Table(table),
        }
    }

    pub(crate) fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The values of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    /// A value below tables, by keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        let mut node = self;
        for key in path {
            node = &node.as_table()?.0.get(*key)?.node;
        }
        Some(node)
    }

    /// The keys of a table below tables; none where there is no table.
    pub(crate) fn entries<'n>(
        &'n self,
        path: &[&str],
    ) -> impl Iterator<Item = (&'n String, &'n Entry)> + use<'n> {
        self.at(path)
            .and_then(Node::as_table)
            .into_iter()
            .flat_map(|table| &table.0)
    }

    /// What it is, in words for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::Float(_) | Value::BadNumber(_) => "a number",
            Value::Str(_) => "a string",
            Value::Datetime(_) => "a date",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }
}

/// The tree of a parsed document.
pub(crate) fn from_toml(table: &DeTable<'_>, span: Span) -> Node {
    Node::table(span, from_table(table))
}

/// A single value, as in `{ status = 200 }`.
pub(crate) fn value(text: &str) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(from_value(value.get_ref(), value.span().into()))
}

fn from_table(table: &DeTable<'_>) -> Table {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let key: &toml::Spanned<toml::de::DeString<'_>> = key;
        let node = from_value(value.get_ref(), value.span().into());
        (
            key.get_ref().to_string(),
            Entry {
                key: key.span().into(),
                node,
            },
        )
    };
    Table(table.iter().map(entry).collect())
}

fn from_value(value: &DeValue<'_>, span: Span) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Str(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::BadNumber(number.to_string()), Value::Int),
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(value) if value.is_finite() => Value::Float(value),
            _ => Value::BadNumber(number.to_string()),
        },
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(value) => Value::Datetime(value.to_string()),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| from_value(item.get_ref(), item.span().into()))
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(from_table(table)),
    };
    Node { span, value }
}
