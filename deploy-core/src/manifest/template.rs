//! `${…}`: texts with facts, variables and secrets in them. Parsing and the expansion of facts that become known later
//! live here; which variables there are is the scope's business.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What the program knows about a deployment: the lower-case names of `${…}`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Fact { $($(#[$doc])* $name,)* }

        impl Fact {
            /// All of them.
            pub const ALL: &'static [Fact] = &[$(Fact::$name,)*];
            /// As written in the manifest.
            pub const fn as_str(self) -> &'static str {
                match self { $(Fact::$name => $text,)* }
            }
        }
    };
}

facts! {
    /// The host of the slice.
    Host = "host";
    /// The service's name.
    Service = "service";
    /// The environment's name.
    Environment = "environment";
    /// The whole commit id.
    Commit = "commit";
    /// The first 8 characters of the commit.
    Tag = "tag";
    /// The branch the release was asked from.
    Branch = "branch";
    /// The release's number: `v42`.
    Release = "release";
    /// The git tag, else the first 8 characters of the commit.
    Version = "version";
    /// The image, pinned to its digest.
    Image = "image";
    /// The environment's `url`.
    Url = "url";
    /// The port of the side that is being deployed.
    Port = "port";
    /// The address of the virtual machine.
    Vm = "vm";
}

impl Fact {
    /// The fact of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fact| fact.as_str() == name)
    }

    /// The name under which commands get it: `DEPLOY_COMMIT`.
    pub fn variable(self) -> String {
        format!("DEPLOY_{}", self.as_str().to_uppercase())
    }

    /// The facts that work in upper case too, because teams' existing files say them so.
    pub fn alias(name: &str) -> Option<Self> {
        match name {
            "TAG" => Some(Self::Tag),
            "COMMIT" => Some(Self::Commit),
            "IMAGE" => Some(Self::Image),
            "VERSION" => Some(Self::Version),
            _ => None,
        }
    }
}

/// The name of a variable or secret: `[A-Z_][A-Z0-9_]*`, at most 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VarName(Box<str>);

impl VarName {
    /// Parses one; the only constructor.
    pub fn new(text: &str) -> Result<Self, crate::id::InvalidId> {
        let fits = text.len() <= 128
            && text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && text
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if fits {
            return Ok(Self(text.into()));
        }
        Err(crate::id::InvalidId {
            kind: "variable name",
            text: text.to_owned(),
            rule: "upper-case letters, digits and `_`, not starting with a digit",
        })
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VarName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl TryFrom<String> for VarName {
    type Error = crate::id::InvalidId;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}
impl From<VarName> for String {
    fn from(name: VarName) -> String {
        name.0.into()
    }
}
impl std::borrow::Borrow<str> for VarName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A text whose variables are filled in, and whose late facts and secrets are still open. Serialized as in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Template(Vec<Part>);

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// As it stands.
    Text(String),
    /// A fact that is known only for a slice or a release.
    Fact(Fact),
    /// A secret: resolved as late as can be, by whoever uses the text; never printed.
    Secret(VarName),
}

/// Why a template is no text yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unexpanded {
    /// A fact that does not exist here: `${port}` without ports.
    #[error("`${{{}}}` is not known here", .0.as_str())]
    Fact(Fact),
    /// A secret that the caller did not resolve.
    #[error("the secret `{0}` is not resolved here")]
    Secret(VarName),
}

/// Values of facts.
pub type Facts = BTreeMap<Fact, String>;

impl Template {
    /// A plain text.
    pub fn text(text: impl Into<String>) -> Self {
        let mut template = Self::default();
        template.push(Part::Text(text.into()));
        template
    }

    /// Its pieces; neighbouring texts are one.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The text, where nothing is open.
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The facts that are open.
    pub fn facts(&self) -> impl Iterator<Item = Fact> {
        self.0.iter().filter_map(|part| match part {
            Part::Fact(fact) => Some(*fact),
            _ => None,
        })
    }

    /// The secrets it needs.
    pub fn secrets(&self) -> impl Iterator<Item = &VarName> {
        self.0.iter().filter_map(|part| match part {
            Part::Secret(name) => Some(name),
            _ => None,
        })
    }

    /// The text with these facts; a template with a secret in it is refused.
    pub fn expand(&self, facts: &Facts) -> Result<String, Unexpanded> {
        self.expand_with(facts, |_| None)
    }

    /// The text with these facts and secrets. The result holds secrets: it must not be printed or stored.
    pub fn expand_with(
        &self,
        facts: &Facts,
        secret: impl Fn(&VarName) -> Option<String>,
    ) -> Result<String, Unexpanded> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Fact(fact) => text.push_str(facts.get(fact).ok_or(Unexpanded::Fact(*fact))?),
                Part::Secret(name) => {
                    text.push_str(&secret(name).ok_or_else(|| Unexpanded::Secret(name.clone()))?);
                }
            }
        }
        Ok(text)
    }

    pub(crate) fn push(&mut self, part: Part) {
        match (self.0.last_mut(), part) {
            (_, Part::Text(text)) if text.is_empty() => {}
            (Some(Part::Text(last)), Part::Text(text)) => last.push_str(&text),
            (_, part) => self.0.push(part),
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        for part in other.0 {
            self.push(part);
        }
    }
}

impl fmt::Display for Template {
    /// As it would stand in the manifest: literal `${` escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(&text.replace("${", "$${"))?,
                Part::Fact(fact) => write!(f, "${{{}}}", fact.as_str())?,
                Part::Secret(name) => write!(f, "${{{name}}}")?,
            }
        }
        Ok(())
    }
}

/// How a template is stored: as it would stand in the manifest, or, for the few that have no such form (a `$` before a
/// fact), in pieces.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Text(String),
    Pieces(Vec<Part>),
}

impl From<Template> for Stored {
    fn from(template: Template) -> Self {
        let text = template.to_string();
        match from_text(&text) {
            Ok(back) if back == template => Self::Text(text),
            _ => Self::Pieces(template.0),
        }
    }
}

impl TryFrom<Stored> for Template {
    type Error = String;
    fn try_from(stored: Stored) -> Result<Self, String> {
        match stored {
            Stored::Text(text) => from_text(&text),
            Stored::Pieces(parts) => {
                let mut template = Self::default();
                for part in parts {
                    template.push(part);
                }
                Ok(template)
            }
        }
    }
}

fn from_text(text: &str) -> Result<Template, String> {
    let mut template = Template::default();
    for piece in parse(text).map_err(|refused| refused.message)? {
        template.push(match piece {
            Piece::Text(text) => Part::Text(text),
            Piece::Fact(fact) => Part::Fact(fact),
            Piece::Var { name, default: None } => Part::Secret(name),
            Piece::Var { name, .. } => {
                return Err(format!("`{name}` has a default, a stored template has none"));
            }
        });
    }
    Ok(template)
}

/// A piece of a text as it stands in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Fact(Fact),
    Var { name: VarName, default: Option<String> },
}

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) message: String,
    pub(crate) help: String,
    /// It is about a variable that nothing sets.
    pub(crate) unset: bool,
}

impl Refused {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
            unset: false,
        }
    }
}

/// The pieces of a text of the manifest.
///
/// # Errors
/// Which rule the `${…}` breaks, and what to write instead.
pub(crate) fn parse(text: &str) -> Result<Vec<Piece>, Refused> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            plain.push_str(&rest[..at - 1]);
            plain.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        plain.push_str(&rest[..at]);
        let body = &rest[at + 2..];
        let end = closing(body).ok_or_else(|| {
            Refused::new(
                "`${` without its `}`",
                "close it; a literal `${` is written `$${`",
            )
        })?;
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(reference(&body[..end])?);
        rest = &body[end + 1..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// Where the brace closes that has been opened before `body`; a default may hold references of its own.
fn closing(body: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn reference(body: &str) -> Result<Piece, Refused> {
    let (name, default) = match body.split_once(":-") {
        Some((name, default)) => (name, Some(default.to_owned())),
        None => (body, None),
    };
    if name.starts_with(|c: char| c.is_ascii_lowercase()) {
        let fact = Fact::named(name).ok_or_else(|| {
            let names = Fact::ALL.iter().map(|fact| fact.as_str());
            let help = match super::suggest::nearest(name, names.clone()) {
                Some(near) => format!("did you mean `${{{near}}}`?"),
                None => format!(
                    "facts are {}; variables are upper case",
                    names.collect::<Vec<_>>().join(", ")
                ),
            };
            let name = crate::failure::printable(name, 40);
            Refused::new(format!("there is no fact `{name}`"), help)
        })?;
        return match default {
            None => Ok(Piece::Fact(fact)),
            Some(_) => Err(Refused::new(
                format!("`${{{name}}}` is a fact, and a fact takes no default"),
                format!("write `${{{name}}}`"),
            )),
        };
    }
    let name = VarName::new(name)
        .map_err(|error| Refused::new(error.to_string(), "write a name as in `${DATABASE_URL}`"))?;
    Ok(Piece::Var { name, default })
}

#[cfg(test)]
mod tests;
