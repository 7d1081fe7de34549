//! What the planner is told of what ran in an environment, from its view.

use super::environment::EnvironmentView;
use crate::id::{PlaceId, ServiceName, SliceName};
use crate::plan::BaseFacts;
use crate::port::target::Runs;
use std::collections::{BTreeMap, BTreeSet};

impl EnvironmentView {
    /// The release last verified here, and the fingerprints that were seen as releases. What was seen without a release's name is
    /// taken for the one that is verified here.
    pub fn base_facts(&self) -> BaseFacts {
        let current = self.current.release();
        let mut fingerprints: BTreeMap<_, BTreeMap<_, BTreeSet<_>>> = BTreeMap::new();
        for (service, slices) in &self.observed {
            for seen in slices.values() {
                if let (Some(release), Some(Runs::Release { fingerprint, .. })) =
                    (seen.release.or(current), &seen.runs)
                {
                    fingerprints
                        .entry(release)
                        .or_default()
                        .entry(service.clone())
                        .or_default()
                        .insert(fingerprint.clone());
                }
            }
        }
        BaseFacts {
            current,
            fingerprints,
            places: self.places(),
        }
    }

    /// Where the slices of the last deployment that moved are, but for those that were seen to run nothing since, or were removed.
    fn places(&self) -> BTreeMap<ServiceName, BTreeMap<SliceName, PlaceId>> {
        let mut places: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        let plan = self.last_moved.as_ref().and_then(|last| last.plan.as_ref());
        for (plan, slice) in plan
            .iter()
            .flat_map(|plan| plan.slices.iter().map(move |slice| (plan, slice)))
        {
            let service = &plan.service(slice.service).name;
            let seen = self
                .observed
                .get(service)
                .and_then(|slices| slices.get(&slice.name));
            if seen.is_some_and(|seen| seen.runs != Some(Runs::Nothing)) {
                places
                    .entry(service.clone())
                    .or_default()
                    .insert(slice.name.clone(), plan.places[slice.place.at()].clone());
            }
        }
        places
    }
}
