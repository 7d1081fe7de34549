//! Reading typed keys out of the tree: every problem is reported, reading goes on, and one definition of a table's keys
//! (`keys!`) makes its type, its reader and its schema, so that these cannot drift apart.

use super::node::{Entry, Node, Span, Table, Value};
use super::scope::{Expanded, Scope};
use super::suggest::nearest;
use crate::failure::printable;
use crate::problem::{Problem, excerpt, position};

/// Reads one type. `None` means that a problem was reported, or that the value depends on variables and none are at hand.
pub(crate) trait FromNode: Sized {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self>;

    /// What a key that is not there means.
    fn absent(key: &str, table: Span, cx: &mut Cx<'_>) -> Option<Self> {
        cx.missing(key, table);
        None
    }
}

/// What is read, how, and what was found wrong so far.
pub(crate) struct Cx<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<Problem>,
    path: Vec<String>,
    /// Variables and facts; without them `${…}` is only checked for its form.
    pub(crate) scope: Option<&'a Scope<'a>>,
    /// One layer of several: keys may be missing, another layer may bring them.
    pub(crate) partial: bool,
    slips: Vec<Slip>,
}

/// A key that no reader knows, and the one that was meant, if one is near.
pub(crate) struct Slip {
    pub(crate) key: Span,
    pub(crate) meant: Option<String>,
    pub(crate) problem: Problem,
}

/// Keys of a probe that are written where its name belongs.
const PROBE: &[&str] = &[
    "http",
    "tcp",
    "command",
    "from",
    "healthy_for",
    "timeout",
    "interval",
    "deadline",
];

/// A scalar after expansion.
pub(crate) enum Scalar {
    /// A string that stood in the manifest as it is.
    Plain(String),
    /// A string that came out of `${…}`: it may be a number, a boolean, a name.
    Expanded(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl<'a> Cx<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            text,
            problems: Vec::new(),
            path: Vec::new(),
            scope: None,
            partial: false,
            slips: Vec::new(),
        }
    }

    pub(crate) fn with_scope(file: &'a str, text: &'a str, scope: &'a Scope<'a>) -> Self {
        Self {
            scope: Some(scope),
            ..Self::new(file, text)
        }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(crate) fn take_problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.problems)
    }

    /// The unknown keys so far; each is a problem too.
    pub(crate) fn take_slips(&mut self) -> Vec<Slip> {
        std::mem::take(&mut self.slips)
    }

    pub(crate) fn failed(&self) -> bool {
        !self.problems.is_empty()
    }

    pub(crate) fn extend(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
    }

    /// The same manifest, read with other variables.
    pub(crate) fn deeper<'s>(&self, scope: &'s Scope<'s>, path: String) -> Cx<'s>
    where
        'a: 's,
    {
        Cx {
            path: vec![path],
            ..Cx::with_scope(self.file, self.text, scope)
        }
    }

    /// Reads once more what has been reported already.
    pub(crate) fn quietly<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.problems.len();
        let result = read(self);
        self.problems.truncate(before);
        result
    }

    /// Runs with one more key in the path that problems name.
    pub(crate) fn within<T>(&mut self, key: impl Into<String>, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key.into());
        let result = read(self);
        self.path.pop();
        result
    }

    pub(crate) fn path(&self) -> String {
        self.path.join(".")
    }

    /// The key that is being read.
    pub(crate) fn last(&self) -> String {
        self.path
            .last()
            .and_then(|part| part.rsplit('.').next())
            .unwrap_or_default()
            .to_owned()
    }

    /// Reports a problem at a place, with the line shown.
    pub(crate) fn problem(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        let shown = excerpt(self.text, span.start..span.end);
        let problem = self.located(span, &message.into(), &help.into());
        self.problems.push(Problem {
            excerpt: Some(shown),
            ..problem
        });
    }

    /// Reports a problem where the line itself may hold a secret.
    pub(crate) fn discreet_problem(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = self.located(span, &message.into(), &help.into());
        self.problems.push(problem);
    }

    fn located(&self, span: Span, message: &str, help: &str) -> Problem {
        let (line, column) = position(self.text, span.start);
        Problem {
            file: self.file.to_owned(),
            line,
            column,
            key: self.path(),
            message: printable(message, 600),
            help: printable(help, 600),
            excerpt: None,
        }
    }

    /// Where the current path says it is, for a message.
    fn place(&self) -> String {
        if self.path.is_empty() {
            "the manifest".to_owned()
        } else {
            format!("[{}]", self.path())
        }
    }

    pub(crate) fn missing(&mut self, key: &str, table: Span) {
        if !self.partial {
            let place = self.place();
            self.problem(
                table,
                format!("{place} has no `{key}`"),
                format!("add `{key} = …`"),
            );
        }
    }

    pub(crate) fn wrong_type(&mut self, node: &Node, wanted: &str) {
        let key = self.last();
        self.problem(
            node.span,
            format!("`{key}` is {}", node.kind()),
            format!("write {wanted}"),
        );
    }

    pub(crate) fn table<'n>(&mut self, node: &'n Node) -> Option<&'n Table> {
        let table = node.as_table();
        if table.is_none() {
            let shape = self.shape(node).unwrap_or_else(|| "a table".to_owned());
            self.wrong_type(node, &shape);
        }
        table
    }

    /// The table that was meant by a single value, where people write one.
    fn shape(&self, node: &Node) -> Option<String> {
        let path = self.path();
        let parts: Vec<&str> = path.split('.').collect();
        let text = node.as_str().map(|text| format!("{text:?}"));
        Some(match (parts.as_slice(), text) {
            (["project"], Some(name)) => format!("it as a table: `[project]`, and below it `name = {name}`"),
            ([.., "strategy"], Some(kind)) => format!("`strategy = {{ kind = {kind} }}`"),
            ([.., "hosts", host], Some(ssh)) => format!("`{host} = {{ ssh = {ssh} }}`"),
            ([above @ .., "health", key], _) if PROBE.contains(key) => format!(
                "it into a probe, which has a name: `[{}.health.ready]`, and below it `{key} = …`",
                above.join(".")
            ),
            _ => return None,
        })
    }

    /// Reports each key that is not one of these.
    pub(crate) fn known_keys(&mut self, table: &Table, keys: &[&str]) {
        for (key, entry) in &table.0 {
            if !keys.contains(&key.as_str()) {
                self.unknown_key(key, entry, table, keys);
            }
        }
    }

    fn unknown_key(&mut self, key: &str, entry: &Entry, table: &Table, keys: &[&str]) {
        let place = self.place();
        // What stands there already was hardly meant once more.
        let missing = keys.iter().copied().filter(|key| !table.0.contains_key(*key));
        let meant = nearest(key, missing).or_else(|| nearest(key, keys.iter().copied()));
        let help = match meant {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("keys here are {}", keys.join(", ")),
        };
        let message = format!("unknown key `{}` in {place}", printable(key, 64));
        self.within(key, |cx| cx.problem(entry.key, message, help));
        self.slips.extend(self.problems.last().map(|problem| Slip {
            key: entry.key,
            meant: meant.map(str::to_owned),
            problem: problem.clone(),
        }));
    }

    /// Reads one key of a table.
    pub(crate) fn key<T: FromNode>(&mut self, node: &Node, table: &Table, key: &str) -> Option<T> {
        match table.0.get(key) {
            Some(entry) => self.within(key, |cx| T::from_node(&entry.node, cx)),
            None => T::absent(key, node.span, self),
        }
    }

    /// Reads one key of a table, or takes its default.
    pub(crate) fn key_or<T: FromNode>(&mut self, table: &Table, key: &str, default: T) -> Option<T> {
        match table.0.get(key) {
            Some(entry) => self.within(key, |cx| T::from_node(&entry.node, cx)),
            None => Some(default),
        }
    }

    /// A scalar with its `${…}` expanded; late facts and secrets are refused, because what reads this needs the value now.
    pub(crate) fn scalar(&mut self, node: &Node, wanted: &str) -> Option<Scalar> {
        match &node.value {
            Value::Str(text) if text.contains("${") => match self.expand(node, text)? {
                Expanded::Known(template) => {
                    if let Some(text) = template.literal() {
                        return Some(Scalar::Expanded(text.to_owned()));
                    }
                    let open = template.to_string();
                    let key = self.last();
                    let message =
                        format!("`{key}` must be known before a deployment starts, and `{open}` is not");
                    self.problem(node.span, message, "use a variable or a fact of the environment");
                    None
                }
                Expanded::Deferred => None,
            },
            Value::Str(text) => Some(Scalar::Plain(text.clone())),
            Value::Int(number) => Some(Scalar::Int(*number)),
            Value::Float(number) => Some(Scalar::Float(*number)),
            Value::Bool(value) => Some(Scalar::Bool(*value)),
            Value::BadNumber(text) => {
                self.problem(
                    node.span,
                    format!("`{text}` is out of range"),
                    format!("write {wanted}"),
                );
                None
            }
            Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
                self.wrong_type(node, wanted);
                None
            }
        }
    }

    /// A text with its `${…}` expanded as far as it can be now.
    pub(crate) fn expand(&mut self, node: &Node, text: &str) -> Option<Expanded> {
        let result = match self.scope {
            Some(scope) => scope.expand(text),
            None => super::template::parse(text).map(|_| Expanded::Deferred),
        };
        result
            .map_err(|refused| self.problem(node.span, refused.message, refused.help))
            .ok()
    }

    /// A string that is parsed further; `wanted` completes "write …".
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &mut self,
        node: &Node,
        wanted: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.scalar(node, wanted)? {
            Scalar::Plain(text) | Scalar::Expanded(text) => parse(&text)
                .map_err(|error| self.problem(node.span, error.to_string(), format!("write {wanted}")))
                .ok(),
            Scalar::Int(_) | Scalar::Float(_) | Scalar::Bool(_) => {
                self.wrong_type(node, wanted);
                None
            }
        }
    }
}

/// A table of the manifest. Each key: documentation, `name [as "key"]: Type [= default] => 'example in TOML'`.
macro_rules! keys {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$doc:meta])* $field:ident $(as $key:literal)? : $ty:ty $(= $default:expr)? => $example:literal ),* $(,)?
        } $(rules $rules:path)?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[$doc])*
                $(#[serde(rename = $key)])?
                #[schemars(extend("x-example" = $example))]
                pub $field: $ty,
            )*
        }

        impl $crate::manifest::read::FromNode for $name {
            fn from_node(
                node: &$crate::manifest::node::Node,
                cx: &mut $crate::manifest::read::Cx<'_>,
            ) -> Option<Self> {
                let table = cx.table(node)?;
                cx.known_keys(table, &[$($crate::manifest::read::key_name!($field $($key)?)),*]);
                $(
                    let $field: Option<$ty> = $crate::manifest::read::read_key!(
                        cx, node, table, $crate::manifest::read::key_name!($field $($key)?) $(, $default)?
                    );
                )*
                let this = Self { $($field: $field?),* };
                $(if !cx.partial { $rules(&this, node, cx); })?
                Some(this)
            }
        }

        #[cfg(test)]
        impl $name {
            /// The examples of its keys that its own reader refuses.
            pub(crate) fn bad_examples() -> Vec<String> {
                let mut bad = Vec::new();
                $({
                    let mut cx = $crate::manifest::read::Cx::new(stringify!($name), $example);
                    cx.within(stringify!($field), |cx| match $crate::manifest::node::value($example) {
                        Some(node) => {
                            <$ty as $crate::manifest::read::FromNode>::from_node(&node, cx);
                        }
                        None => cx.missing($example, $crate::manifest::node::Span::default()),
                    });
                    bad.extend(cx.into_problems().iter().map(ToString::to_string));
                })*
                bad
            }
        }
    };
}

macro_rules! key_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}

macro_rules! read_key {
    ($cx:expr, $node:expr, $table:expr, $key:expr) => {
        $cx.key($node, $table, $key)
    };
    ($cx:expr, $node:expr, $table:expr, $key:expr, $default:expr) => {
        $cx.key_or($table, $key, $default)
    };
}

/// A word out of a list.
macro_rules! choices {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[$doc:meta])* $variant:ident = $word:literal ),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name { $( $(#[$doc])* #[serde(rename = $word)] $variant ),* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];
            /// As written in the manifest.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
            /// The one with this name.
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::manifest::read::FromNode for $name {
            fn from_node(
                node: &$crate::manifest::node::Node,
                cx: &mut $crate::manifest::read::Cx<'_>,
            ) -> Option<Self> {
                $crate::manifest::leaf::choice(node, cx, &[$($word),*], Self::named)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "anyOf": [
                    { "enum": [$($word),*] },
                    { "type": "string", "pattern": "\\$\\{" },
                ] })
            }
        }
    };
}

pub(crate) use {choices, key_name, keys, read_key};
