//! Who goes before whom: the order of need between services, forward and back, and the order of batches within one. What follows
//! from the plan alone is worked out once.

use super::Machine;
use super::state::{At, Pace, SliceState};
use crate::id::{ServiceIx, SliceIx};
use crate::plan::{Change, Kind, Plan};

/// What the plan says about order, by index.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// By service: those that must be whole on the release before one of its slices moves.
    before: Vec<Vec<ServiceIx>>,
    /// By service: those that need it, directly or through others.
    dependents: Vec<Vec<ServiceIx>>,
    /// By slice: which batch of its service it is in.
    batch: Vec<usize>,
    /// By slice: whether its service is only to be removed in the end, so that nothing is asked of it before.
    leaves: Vec<bool>,
}

impl Order {
    pub(super) fn of(plan: &Plan) -> Self {
        let dependents: Vec<_> = plan
            .service_indices()
            .map(|service| dependents(plan, service))
            .collect();
        let before = match plan.kind {
            Kind::Rollback => dependents.clone(),
            Kind::Deploy | Kind::Promote => plan
                .services
                .iter()
                .map(|service| service.needs.clone())
                .collect(),
        };
        let mut batch = vec![0; plan.slices.len()];
        for (at, slices) in plan
            .services
            .iter()
            .flat_map(|service| service.batches.iter().enumerate())
        {
            for slice in slices {
                batch[slice.at()] = at;
            }
        }
        let leaves = plan
            .slices
            .iter()
            .map(|slice| plan.service(slice.service).change == Change::Remove)
            .collect();
        Self {
            before,
            dependents,
            batch,
            leaves,
        }
    }
}

fn dependents(plan: &Plan, service: ServiceIx) -> Vec<ServiceIx> {
    let mut found = Vec::new();
    let mut open = vec![service];
    while let Some(needed) = open.pop() {
        for candidate in plan.service_indices() {
            if plan.service(candidate).needs.contains(&needed) && !found.contains(&candidate) {
                found.push(candidate);
                open.push(candidate);
            }
        }
    }
    found
}

impl Machine {
    fn all_of(&self, service: ServiceIx, holds: fn(SliceState) -> bool) -> bool {
        let batches = &self.plan.service(service).batches;
        batches
            .iter()
            .flatten()
            .all(|slice| holds(self.state.slice(*slice)))
    }

    /// Whether a slice may be moved to the release now: what must be there before it is verified whole, but for what is excluded, and
    /// so are the batches before its own. A rollback goes in reverse order of need.
    pub(super) fn may_activate(&self, slice: SliceIx) -> bool {
        let service = self.plan.slice(slice).service;
        let earlier = &self.plan.service(service).batches[..self.order.batch[slice.at()]];
        earlier
            .iter()
            .flatten()
            .all(|slice| self.state.slice(*slice).is_settled())
            && self.order.before[service.at()]
                .iter()
                .all(|service| self.all_of(*service, SliceState::is_settled))
    }

    /// Whether a slice is to be moved now, if the pace allows it: prepared, with a way back.
    pub(super) fn to_activate(&self, slice: SliceIx) -> bool {
        let state = self.state.slice(slice);
        state.at == At::Untouched
            && state.moves
            && state.prepared
            && self.state.has_checkpoint(self.plan.slice(slice).unit)
            && self.may_activate(slice)
    }

    /// Whether a slice is to be verified: it was moved, or there is nothing to move and its turn has come.
    pub(super) fn to_verify(&self, slice: SliceIx) -> bool {
        let state = self.state.slice(slice);
        match state.at {
            At::Activated => true,
            At::Untouched => !state.moves && self.state.pace == Pace::Going && self.may_activate(slice),
            _ => false,
        }
    }

    /// Whether a slice may be put back now: everything that needs its service is observed off the release.
    pub(super) fn may_restore(&self, slice: SliceIx) -> bool {
        self.order.dependents[self.plan.slice(slice).service.at()]
            .iter()
            .all(|service| self.all_of(*service, SliceState::is_off))
    }

    /// Whether a slice may be disarmed now: each service after those it needs are disarmed whole.
    pub(super) fn may_confirm(&self, slice: SliceIx) -> bool {
        self.plan
            .service(self.plan.slice(slice).service)
            .needs
            .iter()
            .all(|needed| self.all_of(*needed, |slice| !slice.armed))
    }

    /// Whether a slice belongs to a service that is only removed in the end.
    pub(super) fn leaves(&self, slice: SliceIx) -> bool {
        self.order.leaves[slice.at()]
    }
}
