//! What happened: the events of the journal. Past tense, durable before anybody sees them, never changed. Every frontend reads
//! these and nothing else. State is a fold over them.
//!
//! Readers tolerate kinds that they do not know; the folds that decide refuse them.

mod kind;
mod options;

pub use kind::EventKind;
pub use options::RequestOptions;

use crate::digest::Digest;
use crate::id::{Actor, DeploymentId, EnvName, Seq};
use crate::model::ReleaseRef;
use crate::plan::Kind;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of the form of events. Raised when a field is added, not when it is used.
pub const SCHEMA: u32 = 1;

/// An event before it is stored: no sequence number yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// When, by the writer's clock; no order is taken from it.
    pub at: Timestamp,
    /// Of which deployment, if of one.
    pub deployment: Option<DeploymentId>,
    /// Who caused it.
    pub actor: Actor,
    /// What.
    pub kind: EventKind,
}

/// An event as stored and as readers get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in its stream.
    pub seq: Seq,
    /// When, by the writer's clock.
    pub at: Timestamp,
    /// Its environment; `None` in the project's stream.
    pub environment: Option<EnvName>,
    /// Its deployment, if it is of one.
    pub deployment: Option<DeploymentId>,
    /// Who caused it.
    pub actor: Actor,
    /// Version of its form.
    pub schema: u32,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// An event that a journal has stored. Only a [`crate::port::journal::Journal`] makes one: [`crate::machine::Machine::apply`]
/// takes nothing else, so no effect can precede the record of its intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    event: Event,
    hash: Digest,
}

impl Recorded {
    /// For implementations of `Journal`: vouches that the event is stored, flushed, and chained under this hash.
    pub fn stored(event: Event, hash: Digest) -> Self {
        Self { event, hash }
    }
    /// The event.
    pub fn event(&self) -> &Event {
        &self.event
    }
    /// Its hash, which covers the one before it.
    pub fn hash(&self) -> Digest {
        self.hash
    }
    /// The event, without its proof.
    pub fn into_event(self) -> Event {
        self.event
    }
}

/// Who or what drives an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driver {
    /// `alice@laptop (pid 4711)`.
    pub who: String,
    /// Version of the program.
    pub version: String,
}

/// Why an attempt began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptReason {
    /// The first.
    Start,
    /// Another process took over, or the same one was started again.
    Takeover,
    /// The direction changed.
    TurnedBack,
    /// An effect's outcome was unknown.
    UnknownOutcome,
    /// The place has a newer epoch: something reverted by itself, or somebody took the claim.
    Fenced,
    /// What could not be reached can be again.
    Reachable,
}

/// What a deployment was asked to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The same key is the same deployment.
    pub key: String,
    /// Which way.
    pub kind: Kind,
    /// Which release.
    pub release: ReleaseRef,
    /// Who asks, and how that was established (`os user`, `ci: github`).
    pub actor: Actor,
    /// How `actor` was established.
    pub established: String,
    /// The branch given or found.
    pub branch: Option<String>,
    /// Why, in the asker's words.
    pub reason: Option<String>,
    /// Services asked for by name; empty: all.
    #[serde(default)]
    pub services: Vec<crate::id::ServiceName>,
    /// Whether places of other states may be taken.
    pub adopt: crate::port::target::Adopt,
    /// Options that change what is allowed or done.
    #[serde(default)]
    pub options: RequestOptions,
}

#[cfg(test)]
mod tests {
    use super::EventKind;
    use crate::fixture::{World, env};
    use crate::gate::{About, Evidence, Finding};

    #[test]
    fn evidence_is_the_projects_where_it_holds_everywhere() {
        let world = World::new();
        let digest = crate::digest::Digest::of("release");
        let everywhere = world.found("tests", About::Digest(digest), Finding::Passed);
        let here = Evidence {
            environment: Some(env("staging")),
            ..everywhere.clone()
        };
        for (evidence, projects) in [(everywhere, true), (here, false)] {
            let given = EventKind::EvidenceGiven { evidence };
            assert_eq!(given.belongs_to_project(), projects);
        }
    }
}
