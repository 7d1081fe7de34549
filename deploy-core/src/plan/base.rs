//! What an environment runs now, taken together, and what follows for the way back.
//!
//! Only slices where something runs count: where nothing runs, the way back is to remove what this deployment creates, whatever
//! the rest runs. So a new host or a new service leaves the base as it is. Slices that cannot be looked at (only a rollback goes
//! on with those) do not count either, but where there are some, and what else runs is no one release, the base is mixed.

use super::input::{BaseFacts, ServiceInput};
use super::{Base, Change, Kind, Plan, WayBack};
use crate::id::{Fingerprint, ServiceName};
use crate::model::ReleaseRef;
use crate::port::target::{Abilities, Runs};
use std::collections::BTreeSet;

/// What these services run, taken together.
pub(super) fn base<'a>(
    facts: &BaseFacts,
    services: &(impl Iterator<Item = &'a ServiceInput> + Clone),
) -> Base {
    let running = || services.clone().flat_map(running);
    let unseen = || {
        services
            .clone()
            .flat_map(|service| &service.slices)
            .any(|slice| slice.seen.runs.is_err())
    };
    if running().next().is_none() {
        return if unseen() { Base::Mixed } else { Base::Nothing };
    }
    if let Some(current) = facts.current
        && running().all(|slice| slice.is(facts, &current))
    {
        return Base::Release(current);
    }
    if !unseen() && services.clone().all(one_thing) && one_release(facts, running()) {
        Base::Uniform
    } else {
        Base::Mixed
    }
}

/// How a slice comes back. What does not move is not touched while a deployment can turn back, so its way back is what it runs.
/// A rollback does not turn back. From a mixed base each slice goes back to what it ran, as from any other: it is then as mixed as
/// before, which is what going back means.
pub(super) fn way_back(kind: Kind, change: Change, now: &Runs, abilities: Abilities) -> WayBack {
    if change != Change::Move {
        return WayBack::Checkpoint;
    }
    match now {
        _ if kind == Kind::Rollback => WayBack::None,
        Runs::Nothing if abilities.removes => WayBack::Absent,
        Runs::Release { .. } => WayBack::Checkpoint,
        Runs::Nothing => WayBack::None,
    }
}

impl Plan {
    /// Whether and how one can come back, in a sentence.
    pub fn way_back_in_words(&self) -> String {
        let none = self
            .slices
            .iter()
            .filter(|slice| slice.way_back == WayBack::None)
            .count();
        match &self.base {
            _ if none > 0 => format!("{none} slices have no way back: a failure there needs a human"),
            Base::Nothing => "nothing ran before: going back removes what this deployment creates".to_owned(),
            Base::Release(release) => format!("back to {} by its checkpoints", release.number),
            Base::Uniform => "back to what runs now, by its checkpoints".to_owned(),
            Base::Mixed => {
                "what runs is mixed: each slice goes back to what it runs now, by its checkpoint".to_owned()
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Running<'a> {
    service: &'a ServiceName,
    fingerprint: &'a Fingerprint,
    release: Option<ReleaseRef>,
}

impl Running<'_> {
    /// Whether this is what was verified as that release here. Where the journal knows the fingerprints, the label alone is not
    /// believed: the same release with another configuration has the same label.
    fn is(&self, facts: &BaseFacts, release: &ReleaseRef) -> bool {
        facts
            .fingerprints
            .get(release)
            .and_then(|services| services.get(self.service))
            .map_or(self.release == Some(*release), |known| {
                known.contains(self.fingerprint)
            })
    }

    /// The releases that it may be.
    fn releases(&self, facts: &BaseFacts) -> BTreeSet<ReleaseRef> {
        facts
            .fingerprints
            .keys()
            .copied()
            .chain(self.release)
            .filter(|release| self.release == Some(*release) || self.is(facts, release))
            .collect()
    }
}

fn running(service: &ServiceInput) -> impl Iterator<Item = Running<'_>> {
    service.slices.iter().filter_map(|slice| match &slice.seen.runs {
        Ok(Runs::Release { fingerprint, release }) => Some(Running {
            service: &service.name,
            fingerprint,
            release: *release,
        }),
        Ok(Runs::Nothing) | Err(_) => None,
    })
}

fn one_thing(service: &ServiceInput) -> bool {
    let mut fingerprints = running(service).map(|slice| slice.fingerprint);
    fingerprints
        .next()
        .is_none_or(|first| fingerprints.all(|other| other == first))
}

/// Whether one release could be behind all that are of any release. What is of none (adopted) contradicts nothing.
fn one_release<'a>(facts: &BaseFacts, running: impl Iterator<Item = Running<'a>>) -> bool {
    let mut common: Option<BTreeSet<ReleaseRef>> = None;
    for releases in running
        .map(|slice| slice.releases(facts))
        .filter(|releases| !releases.is_empty())
    {
        let both: BTreeSet<_> = match common {
            None => releases,
            Some(common) => common.intersection(&releases).copied().collect(),
        };
        if both.is_empty() {
            return false;
        }
        common = Some(both);
    }
    true
}
