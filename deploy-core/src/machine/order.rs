//! Who goes before whom: the order of need between services, forward and back, and the order of batches within one.

use super::Machine;
use super::state::SliceState;
use crate::id::{ServiceIx, SliceIx};
use crate::plan::Kind;
use std::collections::BTreeSet;

impl Machine {
    fn slices_of(&self, service: ServiceIx) -> impl Iterator<Item = SliceState> {
        self.plan
            .service(service)
            .batches
            .iter()
            .flatten()
            .map(|slice| self.state.slice(*slice))
    }

    /// The services that need this one, directly or through others.
    fn dependents(&self, service: ServiceIx) -> BTreeSet<ServiceIx> {
        let mut found = BTreeSet::new();
        let mut open = vec![service];
        while let Some(needed) = open.pop() {
            for candidate in self.plan.service_indices() {
                if self.plan.service(candidate).needs.contains(&needed) && found.insert(candidate) {
                    open.push(candidate);
                }
            }
        }
        found
    }

    /// Whether a slice may be moved to the release now: what must be there before it is verified whole, and so are the batches
    /// before its own. A rollback goes in reverse order of need.
    pub(super) fn may_activate(&self, slice: SliceIx) -> bool {
        let service = self.plan.slice(slice).service;
        let planned = self.plan.service(service);
        let whole = |service: ServiceIx| self.slices_of(service).all(SliceState::is_verified);
        let before = if self.plan.kind == Kind::Rollback {
            self.dependents(service).into_iter().all(whole)
        } else {
            planned.needs.iter().copied().all(whole)
        };
        before
            && planned
                .batches
                .iter()
                .take_while(|batch| !batch.contains(&slice))
                .flatten()
                .all(|earlier| self.state.slice(*earlier).is_verified())
    }

    /// Whether a slice may be put back now: everything that needs its service is observed off the release.
    pub(super) fn may_restore(&self, slice: SliceIx) -> bool {
        self.dependents(self.plan.slice(slice).service)
            .into_iter()
            .all(|service| self.slices_of(service).all(SliceState::is_off))
    }

    /// Whether a slice may be disarmed now: each service after those it needs are disarmed whole.
    pub(super) fn may_confirm(&self, slice: SliceIx) -> bool {
        let service = self.plan.slice(slice).service;
        self.plan
            .service(service)
            .needs
            .iter()
            .all(|needed| self.slices_of(*needed).all(|slice| !slice.armed))
    }
}
