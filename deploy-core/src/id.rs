//! Names and ids. Parsing is the only way to make one, so whoever holds one may put it in a path, a file or an
//! argument list. Nothing here knows what a name refers to.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a valid {kind}: {rule}", .text.escape_debug())]
pub struct InvalidId {
    /// What it was to be, in the words of the documentation.
    pub kind: &'static str,
    /// The text as given.
    pub text: String,
    /// The rule it breaks, as a sentence a person can act on.
    pub rule: &'static str,
}

const NAME_RULE: &str = "1 to 64 letters, digits, `.`, `_` or `-`, starting with a letter or a digit";

fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Free text that names somebody or something outside: no control characters, so that it cannot forge a line of output.
fn is_label(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control)
}

const LABEL_RULE: &str = "1 to 256 characters, none of them a control character";

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr, $rule:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses one; the only constructor.
            ///
            /// # Errors
            /// [`InvalidId`] with the rule that the text breaks.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                if $check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId { kind: $kind, text: text.to_owned(), rule: $rule })
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }
    };
}

text_id!(/// A project: one manifest.
    ProjectName, "project name", is_name, NAME_RULE);
text_id!(/// An environment of the manifest.
    EnvName, "environment name", is_name, NAME_RULE);
text_id!(/// A service of the manifest.
    ServiceName, "service name", is_name, NAME_RULE);
text_id!(/// An artifact of the manifest.
    ArtifactName, "artifact name", is_name, NAME_RULE);
text_id!(/// A host of an environment.
    HostName, "host name", is_name, NAME_RULE);
text_id!(/// A slice, unique within its service and environment (a host's name, for servers).
    SliceName, "slice name", is_name, NAME_RULE);
text_id!(/// Evidence of a kind: a check, a checklist item, or a built-in such as `verified`.
    EvidenceName, "evidence name", is_name, NAME_RULE);
text_id!(/// A group of people.
    GroupName, "group name", is_name, NAME_RULE);
text_id!(/// Who asked: a person, a token, a CI job. Compared literally; resolving principals is the caller's duty.
    Actor, "actor", is_label, LABEL_RULE);
text_id!(/// One place that can be written to, canonical, so that two services or environments which mean the same place say the
    /// same text: `ssh:deploy@web-1:/opt/shop`, `local:/opt/shop`.
    PlaceId, "place", is_label, LABEL_RULE);
text_id!(/// What goes back together: a host's path, a workload, a database.
    UnitId, "restore unit", is_label, LABEL_RULE);
text_id!(/// What a target runs, in its own words; compared only for equality.
    Fingerprint, "fingerprint", is_label, LABEL_RULE);

fn is_ulid(text: &str) -> bool {
    text.len() == 26
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b.is_ascii_uppercase() && !b"ILOU".contains(&b)))
}

text_id!(/// One deployment: a ULID, so that ids sort by age. Made by the engine; the core has no randomness.
    DeploymentId, "deployment id", is_ulid, "26 characters of Crockford's base 32, as in `deploy history`");
text_id!(/// One state (a journal): a ULID made when the state was, so that two laptops with a state each are told apart.
    StoreId, "store id", is_ulid, "26 characters of Crockford's base 32");

impl DeploymentId {
    /// The first ten characters: what people see and type (`deploy show 01JB9QF3ZK`). The time part; the engine refuses an
    /// abbreviation that fits two deployments.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(/// The fencing token of a claim. Never falls, also across deployments and stores.
    Epoch(u64));
number_id!(/// Position of an event in its stream, from 1.
    Seq(u64));
number_id!(/// Position of a message in the inbox, from 1.
    InboxSeq(u64));
number_id!(/// One try of a deployment to move: raised by takeover, by turning back, and after an unknown outcome.
    Attempt(u32));
number_id!(/// Index of a service in its plan.
    ServiceIx(u16));
number_id!(/// Index of a slice in its plan.
    SliceIx(u16));
number_id!(/// Index of a place in its plan; claims are taken in this order.
    PlaceIx(u16));
number_id!(/// Index of a restore unit in its plan.
    UnitIx(u16));

impl ServiceIx {
    /// As a `Vec` index.
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}
impl SliceIx {
    /// As a `Vec` index.
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}
impl PlaceIx {
    /// As a `Vec` index.
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}
impl UnitIx {
    /// As a `Vec` index.
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// The number of a release in its project: printed and typed as `v42`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseNumber(pub u32);

impl fmt::Display for ReleaseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("v{}", self.0))
    }
}

impl std::str::FromStr for ReleaseNumber {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.strip_prefix('v')
            .filter(|digits| !digits.starts_with(['0', '+']))
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or(InvalidId {
                kind: "release number",
                text: text.to_owned(),
                rule: "`v` and a number, as in `v42`",
            })
    }
}

impl TryFrom<String> for ReleaseNumber {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<ReleaseNumber> for String {
    fn from(number: ReleaseNumber) -> String {
        number.to_string()
    }
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

text_id!(/// A whole commit id (SHA-1 or SHA-256 object format).
    CommitId, "commit", is_commit, "40 or 64 hexadecimal digits");

impl CommitId {
    /// The first 8 characters: the fact `${tag}`.
    pub fn tag(&self) -> &str {
        &self.0[..8]
    }
    /// The first 7 characters: what people read.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_could_be_an_option_a_path_or_a_line() {
        for good in ["web", "web-1", "a.b_c", "0", &"x".repeat(64)] {
            assert!(ServiceName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-oProxyCommand",
            "..",
            "a/b",
            "a b",
            "a\nb",
            "$(id)",
            "é",
            &"x".repeat(65),
        ] {
            assert!(ServiceName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn release_numbers_round_trip() {
        assert_eq!(
            "v42".parse::<ReleaseNumber>().map(|n| n.to_string()),
            Ok("v42".to_owned())
        );
        for bad in ["42", "v", "v0", "v042", "v+1", "V1", "v4294967296"] {
            assert!(bad.parse::<ReleaseNumber>().is_err(), "{bad}");
        }
    }
}
