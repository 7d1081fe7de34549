//! Paths and patterns of paths that cannot lead out of their folder.

use super::super::node::Node;
use super::super::read::{Cx, FromNode};
use serde::{Deserialize, Serialize};

/// A path below the manifest's folder, or below a service's folder on a host: relative, and never out of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(Box<str>);

impl RelPath {
    /// Parses one; the only constructor.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("a path is not empty and holds no control characters".to_owned());
        }
        if text.starts_with(['/', '~', '-']) {
            return Err(format!("`{text}` is not relative to the manifest's folder"));
        }
        if text.split('/').any(|part| part == "..") {
            return Err(format!("`{text}` leads out of its folder"));
        }
        Ok(Self(text.into()))
    }
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl std::fmt::Display for RelPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}
impl TryFrom<String> for RelPath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}
impl From<RelPath> for String {
    fn from(path: RelPath) -> String {
        path.0.into()
    }
}
impl FromNode for RelPath {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.parsed(node, "a relative path, as in `app/dist`", Self::new)
    }
}
schema!(RelPath, { "type": "string", "minLength": 1 });

/// A pattern of paths or branches: `app/**`, `feature/*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(Box<str>);

impl Glob {
    /// Parses one; the only constructor.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("a pattern is not empty and holds no control characters".to_owned());
        }
        if text.starts_with(['/', '~']) || text.split('/').any(|part| part == "..") {
            return Err(format!("`{text}` leads out of the manifest's folder"));
        }
        globset::Glob::new(text).map_err(|error| error.to_string())?;
        Ok(Self(text.into()))
    }
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Whether a text fits: `*` stops at `/`, `**` does not.
    pub fn is_match(&self, text: &str) -> bool {
        globset::GlobBuilder::new(&self.0)
            .literal_separator(true)
            .build()
            .is_ok_and(|glob| glob.compile_matcher().is_match(text))
    }
}
impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}
impl TryFrom<String> for Glob {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}
impl From<Glob> for String {
    fn from(glob: Glob) -> String {
        glob.0.into()
    }
}
impl FromNode for Glob {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.parsed(node, "a pattern, as in `app/**`", Self::new)
    }
}
schema!(Glob, { "type": "string", "minLength": 1 });
