//! What `${…}` means in one place of the manifest: variables in their layers, references to secrets, facts known now.

use super::node::{Node, Span, Value};
use super::read::{Cx, FromNode};
use super::template::{Fact, Part, Piece, Refused, Template, VarName, parse};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A text with its `${…}` expanded as far as it can be.
pub(crate) enum Expanded {
    /// Everything but late facts and secrets is filled in.
    Known(Template),
    /// Only the form was checked: no variables are at hand.
    Deferred,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    /// A variable: its text, unexpanded, and where it was set.
    Text(String, VarOrigin),
    /// A reference to a secret.
    Secret,
}

/// Where a variable was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VarOrigin {
    Manifest(Span),
    EnvFile,
}

/// Which facts make sense in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Realm {
    /// Artifacts: the same in every environment.
    Project,
    /// Anything of one environment.
    Environment,
}

/// How strictly a manifest is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judging {
    /// It is only read: a variable that is not set here may be set when it is used.
    Draft,
    /// It is about to be used.
    Use,
    /// Somebody asks whether it is right: what works and was surely not meant is a problem too. Nothing that is deployed, and above
    /// all nothing that is gone back to, depends on this.
    Check,
}

impl Judging {
    /// Whether a variable may still be set later.
    pub(crate) const fn is_lenient(self) -> bool {
        matches!(self, Self::Draft)
    }
}

/// The meaning of `${…}` in one place.
pub(crate) struct Scope<'a> {
    pub(crate) realm: Realm,
    /// Facts that are known already.
    pub(crate) facts: BTreeMap<Fact, String>,
    pub(crate) given: BTreeMap<VarName, Given>,
    pub(crate) caller: &'a dyn Fn(&str) -> Option<String>,
    /// What was taken from the caller's environment.
    pub(crate) taken: RefCell<BTreeMap<VarName, String>>,
    /// Where a variable would be set, for messages.
    pub(crate) home: String,
    /// How strictly it is judged.
    pub(crate) judging: Judging,
}

impl Scope<'_> {
    /// A text with its variables filled in.
    pub(crate) fn expand(&self, text: &str) -> Result<Expanded, Refused> {
        match self.template(text, &mut Vec::new()) {
            Err(refused) if refused.unset && self.judging.is_lenient() => Ok(Expanded::Deferred),
            result => result.map(Expanded::Known),
        }
    }

    /// A variable's text, if it is one.
    pub(crate) fn variable(&self, name: &VarName) -> Option<Result<Template, Refused>> {
        match self.given.get(name)? {
            Given::Text(text, _) => Some(self.template(text, &mut vec![name.clone()])),
            Given::Secret => None,
        }
    }

    /// What to do about a name that nothing sets: a near one was meant, or else as told.
    pub(crate) fn did_you_mean(&self, name: &VarName, otherwise: &str) -> String {
        match super::suggest::nearest(name.as_str(), self.given.keys().map(VarName::as_str)) {
            Some(near) => format!("did you mean `{near}`? Else {otherwise}"),
            None => otherwise.to_owned(),
        }
    }

    fn template(&self, text: &str, within: &mut Vec<VarName>) -> Result<Template, Refused> {
        let mut template = Template::default();
        for piece in parse(text)? {
            match piece {
                Piece::Text(text) => template.push(Part::Text(text)),
                Piece::Fact(fact) => template.push(self.fact(fact)?),
                Piece::Var { name, default } => template.append(self.name(name, default, within)?),
            }
        }
        Ok(template)
    }

    fn fact(&self, fact: Fact) -> Result<Part, Refused> {
        if let Some(value) = self.facts.get(&fact) {
            return Ok(Part::Text(value.clone()));
        }
        let of_release = matches!(
            fact,
            Fact::Commit | Fact::Tag | Fact::Branch | Fact::Release | Fact::Version
        );
        let name = fact.as_str();
        match (self.realm, fact) {
            (Realm::Project, _) if !of_release => Err(Refused::new(
                format!("`${{{name}}}` differs by environment, and an artifact is the same in all of them"),
                "use `${tag}`, `${version}` or `${commit}`",
            )),
            (Realm::Environment, Fact::Url) => Err(Refused::new(
                "`${url}` is used, and the environment has no `url`",
                format!(
                    "add `url = \"https://…\"` to [{}]",
                    self.home.trim_end_matches(".vars")
                ),
            )),
            (Realm::Environment, Fact::Service) => Err(Refused::new(
                "`${service}` is used outside a service",
                "write the service's name",
            )),
            _ => Ok(Part::Fact(fact)),
        }
    }

    fn name(
        &self,
        name: VarName,
        default: Option<String>,
        within: &mut Vec<VarName>,
    ) -> Result<Template, Refused> {
        if within.contains(&name) {
            let mut path: Vec<_> = within.iter().map(VarName::as_str).collect();
            path.push(name.as_str());
            return Err(Refused::new(
                format!("variables go round in a circle: {}", path.join(" → ")),
                "break the circle",
            ));
        }
        let value = match self.given.get(&name) {
            Some(Given::Secret) => {
                let mut secret = Template::default();
                secret.push(Part::Secret(name));
                return Ok(secret);
            }
            Some(Given::Text(text, _)) => {
                within.push(name.clone());
                let value = self.template(text, within);
                within.pop();
                Some(value?)
            }
            None => match Fact::alias(name.as_str()) {
                Some(fact) => {
                    let mut template = Template::default();
                    template.push(self.fact(fact)?);
                    Some(template)
                }
                None => (self.caller)(name.as_str()).map(|value| {
                    self.taken.borrow_mut().insert(name.clone(), value.clone());
                    Template::text(value)
                }),
            },
        };
        match (value, default) {
            (Some(value), Some(default)) if value.literal() == Some("") => self.template(&default, within),
            (Some(value), _) => Ok(value),
            // An empty default says that the variable is meant to be set by somebody else.
            (None, Some(default)) if !(self.judging.is_lenient() && default.is_empty()) => {
                self.template(&default, within)
            }
            (None, _) => {
                let help = format!(
                    "set it in [{}], in the caller's environment, or give a default: `${{{name}:-…}}`",
                    self.home
                );
                let help = self.did_you_mean(&name, &help);
                Err(Refused {
                    unset: true,
                    ..Refused::new(format!("`{name}` is not set"), help)
                })
            }
        }
    }
}

/// A variable's text as it stands; a number or boolean is its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VarText(pub(crate) String);

impl VarText {
    pub(crate) fn of(node: &Node) -> Option<String> {
        match &node.value {
            Value::Str(text) => Some(text.clone()),
            Value::Int(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }
}

impl FromNode for VarText {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Some(text) = Self::of(node) else {
            cx.wrong_type(node, "a text");
            return None;
        };
        if text.contains('\0') {
            cx.problem(node.span, "a variable cannot hold a NUL", "leave it out");
            return None;
        }
        if let Err(refused) = parse(&text) {
            cx.problem(node.span, refused.message, refused.help);
            return None;
        }
        Some(Self(text))
    }
}
super::leaf::schema!(VarText, { "type": ["string", "number", "boolean"] });
