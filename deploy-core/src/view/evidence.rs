//! Evidence of one stream, with what revoked it. Keeps everything that was said; which of it counts is decided on reading.

use crate::digest::Digest;
use crate::event::Event;
use crate::gate::{About, Evidence, Finding};
use crate::id::{EnvName, EvidenceName, Seq};
use crate::model::Release;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All evidence of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    given: BTreeMap<EvidenceName, Vec<Given>>,
    revoked: BTreeMap<EvidenceName, Vec<Revoked>>,
}

/// Evidence and its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Its place in its stream.
    pub seq: Seq,
    /// When it was found, by the clock of the stream: where its writer's had been put back, later by as much. For what came first; what
    /// expires does so by the evidence's own times.
    pub found: Timestamp,
    /// What was found.
    pub evidence: Evidence,
}

/// Evidence that does not count any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Its place in its stream.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// About which release.
    pub release: Digest,
    /// Why.
    pub reason: String,
}

impl Ledger {
    /// Takes the evidence of an event, which was written at `at` by the clock of its stream. A run that already told its result is not
    /// heard twice; one that was inconclusive may still tell.
    pub fn give(&mut self, event: &Event, at: Timestamp, evidence: &Evidence) {
        let given = self.given.entry(evidence.name.clone()).or_default();
        let told = evidence.run.is_some()
            && given.iter().any(|old| {
                old.evidence.run == evidence.run
                    && old.evidence.about == evidence.about
                    && old.evidence.environment == evidence.environment
                    && old.evidence.finding != Finding::Inconclusive
            });
        if !told {
            given.push(Given {
                seq: event.seq,
                found: evidence.at.after(at.since(event.at)),
                evidence: evidence.clone(),
            });
        }
    }

    /// Takes a revocation: of everything of that kind about that release given before.
    pub fn revoke(&mut self, name: &EvidenceName, revoked: Revoked) {
        self.revoked.entry(name.clone()).or_default().push(revoked);
    }

    /// Everything given under a name, in order.
    pub fn named(&self, name: &EvidenceName) -> &[Given] {
        self.given.get(name).map_or(&[], Vec::as_slice)
    }

    /// The last word about a release in an environment: the newest by the time it was found, so that a late report of an older
    /// run changes nothing. Evidence about a commit counts for a release that came from exactly that commit.
    pub fn last_word(&self, name: &EvidenceName, release: &Release, environment: &EnvName) -> Option<&Given> {
        let digest = release.digest();
        self.named(name)
            .iter()
            .filter(|given| {
                given
                    .evidence
                    .environment
                    .as_ref()
                    .is_none_or(|place| place == environment)
            })
            .filter(|given| match &given.evidence.about {
                About::Digest(about) => *about == digest,
                About::Commit(commit) => release.sources.iter().any(|source| source.commit == *commit),
            })
            .max_by_key(|given| (given.found, given.seq))
    }

    /// What revoked evidence about a release, if this stream did: by sequence for evidence of this stream (`given` in it), by time
    /// for another's.
    pub fn revocation(
        &self,
        name: &EvidenceName,
        release: Digest,
        given: &Given,
        here: bool,
    ) -> Option<&Revoked> {
        self.revoked.get(name)?.iter().rev().find(|revoked| {
            revoked.release == release
                && if here {
                    revoked.seq > given.seq
                } else {
                    revoked.at >= given.found
                }
        })
    }
}
