//! What evidence says now: the last word about the release, if it counts.

use super::input::moment;
use super::{Finding, GateInput};
use crate::id::{EnvName, EvidenceName};
use crate::model::Release;
use crate::time::Timestamp;
use crate::view::evidence::{Given, Ledger};
use std::time::Duration;

/// What evidence of a name says about the release.
pub(super) enum Said<'a> {
    /// It holds.
    Passed(&'a Given),
    /// It does not.
    Failed(&'a Given),
    /// Nothing, or nothing that counts, and why.
    Nothing(String),
}

/// What evidence of a name says about the release in an environment: given there, or where it holds everywhere.
pub(super) fn says<'a>(
    input: &GateInput<'a>,
    name: &EvidenceName,
    place: &EnvName,
    valid_for: Option<Duration>,
) -> Said<'a> {
    let ledgers = Ledgers {
        here: input.environments.get(place).map(|view| &view.evidence),
        everywhere: &input.project.evidence,
    };
    ledgers.say(name, input.release, place, valid_for, input.clock())
}

/// Where evidence is looked for: what was given in an environment, and what holds everywhere.
#[derive(Debug, Clone, Copy)]
pub struct Ledgers<'a> {
    /// Of the environment; none where nothing happened yet.
    pub here: Option<&'a Ledger>,
    /// The project's.
    pub everywhere: &'a Ledger,
}

impl<'a> Ledgers<'a> {
    /// Whether a gate would find that evidence of this name holds: the last word, not revoked, not expired by what it says itself or
    /// by the rule's `valid_for`.
    pub fn hold(
        self,
        name: &EvidenceName,
        release: &Release,
        place: &EnvName,
        valid_for: Option<Duration>,
        now: Timestamp,
    ) -> bool {
        matches!(self.say(name, release, place, valid_for, now), Said::Passed(_))
    }

    fn say(
        self,
        name: &EvidenceName,
        release: &Release,
        place: &EnvName,
        valid_for: Option<Duration>,
        now: Timestamp,
    ) -> Said<'a> {
        let Self {
            here: local,
            everywhere,
        } = self;
        let words = local
            .into_iter()
            .filter_map(|ledger| Some((ledger.last_word(name, release, place)?, true)))
            .chain(
                everywhere
                    .last_word(name, release, place)
                    .map(|given| (given, false)),
            );
        let Some((given, is_local)) = words.max_by_key(|(given, is_local)| (given.found, *is_local)) else {
            return Said::Nothing("there is none".to_owned());
        };
        let digest = release.digest();
        let revoked = local
            .and_then(|ledger| ledger.revocation(name, digest, given, is_local))
            .or_else(|| everywhere.revocation(name, digest, given, !is_local));
        if let Some(revoked) = revoked {
            return Said::Nothing(format!("revoked at {}: {}", moment(revoked.at), revoked.reason));
        }
        let evidence = &given.evidence;
        let expires = [
            evidence.valid_until,
            valid_for.map(|span| evidence.at.after(span)),
        ]
        .into_iter()
        .flatten()
        .min();
        match (evidence.finding, expires) {
            (Finding::Failed, _) => Said::Failed(given),
            (Finding::Inconclusive, _) => Said::Nothing(format!(
                "inconclusive at {}: {}",
                moment(evidence.at),
                evidence.note
            )),
            (Finding::Passed, Some(expires)) if now >= expires => {
                Said::Nothing(format!("expired at {}", moment(expires)))
            }
            (Finding::Passed, _) => Said::Passed(given),
        }
    }
}

/// Evidence in a sentence: `128 tests, 0 failed (ci, 2026-…)`.
pub(super) fn cite(given: &Given) -> String {
    let evidence = &given.evidence;
    let at = moment(evidence.at);
    if evidence.note.is_empty() {
        format!("by {} at {at}", evidence.by)
    } else {
        // What a program printed last follows below.
        let (first, rest) = evidence
            .note
            .split_once('\n')
            .map_or((evidence.note.as_str(), String::new()), |(first, rest)| {
                (first, format!("\n{rest}"))
            });
        format!("{first} (by {} at {at}){rest}", evidence.by)
    }
}
