//! Paths and patterns of paths that cannot lead out of their folder.

use super::super::node::Node;
use super::super::read::{Cx, FromNode};
use crate::tree::TreePath;
use serde::{Deserialize, Serialize};

/// The longest name that Linux's file systems take, in bytes (`NAME_MAX` in its `limits.h`).
const NAME_MAX: usize = 255;

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
        if let Some(long) = text.split('/').find(|part| part.len() > NAME_MAX) {
            let length = long.len();
            return Err(format!(
                "a name in it has {length} bytes, and file systems take {NAME_MAX}"
            ));
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

/// Something inside a release, from the release's root, and never the release itself or what `deploy` keeps in it. A slash at the end
/// makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InnerPath(RelPath);

impl InnerPath {
    /// Parses one; the only constructor.
    pub fn new(text: &str) -> Result<Self, String> {
        let written = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
        let path = RelPath::new(if written.is_empty() { text } else { written })?;
        if TreePath::new(path.as_str()).is_err() {
            return Err(format!("`{text}` is nothing inside a release"));
        }
        if path.as_str().split('/').next() == Some(".deploy") {
            return Err(format!(
                "`{text}` lies in `.deploy`, where deploy keeps what it knows of a release"
            ));
        }
        Ok(Self(path))
    }
    /// In its one spelling.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
    /// Whether it is another one, or lies in it.
    pub fn is_in(&self, other: &Self) -> bool {
        let rest = self.as_str().strip_prefix(other.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
impl std::fmt::Display for InnerPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
impl TryFrom<String> for InnerPath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}
impl From<InnerPath> for String {
    fn from(path: InnerPath) -> String {
        path.0.into()
    }
}
impl FromNode for InnerPath {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.parsed(node, "a path inside the release, as in `uploads`", Self::new)
    }
}
schema!(InnerPath, { "type": "string", "minLength": 1 });

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
