//! What the planner is told of what ran in an environment, from its view.

use super::environment::EnvironmentView;
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
        }
    }
}
