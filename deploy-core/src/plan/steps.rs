//! A plan read as a list of steps, and how long it may take. For readers: the machine reads the plan itself.

use super::{Change, Kind, Plan};
use crate::id::SliceIx;
use crate::machine::Verb;
use std::time::Duration;

/// One verb on one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// What is done.
    pub verb: Verb,
    /// To which slice.
    pub slice: SliceIx,
    /// In which wave, from 1; 0 for what is done to everything at once, before the waves or after them.
    pub wave: u16,
    /// In which batch of its service, from 1; 0 as for `wave`.
    pub batch: u16,
}

impl Plan {
    /// The steps, if nothing fails: prepare everything; move and verify wave by wave, batch by batch; confirm; watch; remove what
    /// was dropped. Cleaning up in places is not a step on a slice, and not listed.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let moves = |slice: &SliceIx| self.service(self.slice(*slice).service).change == Change::Move;
        let at_once = |verb| {
            move |slice| Step {
                verb,
                slice,
                wave: 0,
                batch: 0,
            }
        };
        steps.extend(self.slice_indices().filter(moves).map(at_once(Verb::Prepare)));
        for (wave, services) in (1..=u16::MAX).zip(self.waves()) {
            for service in services {
                for (batch, slices) in (1..=u16::MAX).zip(&self.service(service).batches) {
                    let step = |verb| {
                        move |slice: &SliceIx| Step {
                            verb,
                            slice: *slice,
                            wave,
                            batch,
                        }
                    };
                    steps.extend(
                        slices
                            .iter()
                            .filter(|slice| moves(slice))
                            .map(step(Verb::Activate)),
                    );
                    steps.extend(slices.iter().map(step(Verb::Verify)));
                }
            }
        }
        let of = |slice: &SliceIx| self.service(self.slice(*slice).service);
        steps.extend(
            self.slice_indices()
                .filter(|slice| of(slice).abilities.arms && moves(slice))
                .map(at_once(Verb::Confirm)),
        );
        steps.extend(
            self.slice_indices()
                .filter(|slice| of(slice).bake > Duration::ZERO)
                .map(at_once(Verb::Bake)),
        );
        steps.extend(
            self.slice_indices()
                .filter(|slice| of(slice).change == Change::Remove)
                .map(at_once(Verb::Finish)),
        );
        steps
    }

    /// The longest it may take from the start of activation until nothing turns back any more and nothing is on its way back:
    /// what a freeze asks. Activation to its limit, the bake and the longest extension of it, then all the way back. A rollback
    /// only activates.
    pub fn longest_duration(&self) -> Duration {
        if self.kind == Kind::Rollback {
            return self.limits.activation;
        }
        let bake = self
            .services
            .iter()
            .map(|service| service.bake)
            .max()
            .unwrap_or_default();
        let watched = if bake > Duration::ZERO {
            bake.saturating_add(self.limits.bake)
        } else {
            Duration::ZERO
        };
        self.limits
            .activation
            .saturating_add(watched)
            .saturating_add(self.limits.going_back)
    }
}
