//! The failure budget of a service: how many of its slices may fail on the way forward without turning the deployment back. Each of
//! them is stopped and left out (`excluded`). What cannot be reached is no such failure: nobody knows what it serves.

use super::state::{At, Direction, Reach};
use super::{Failed, Machine, Work};
use crate::id::{ServiceIx, SliceIx};
use crate::plan::Kind;

impl Machine {
    /// The slice to leave out for this failure, where its service's budget allows it: it was to move, and it is known that it did not,
    /// or that it is not well there.
    pub(super) fn leaves_out(&self, work: Work, how: Failed) -> Option<SliceIx> {
        let (Work::Activate(slice) | Work::Verify(slice)) = work else {
            return None;
        };
        let definite = matches!(how, Failed::NotDone | Failed::Unhealthy);
        (definite && self.may_exclude(slice)).then_some(slice)
    }

    /// Whether a slice may be left out now.
    pub(super) fn may_exclude(&self, slice: SliceIx) -> bool {
        let state = self.state.slice(slice);
        let service = self.plan.slice(slice).service;
        self.state.direction == Direction::Forward
            && self.state.reach == Reach::Activating
            && self.plan.kind != Kind::Rollback
            && state.moves
            && matches!(state.at, At::Intended | At::Activated)
            && self.left_out(service) < usize::from(self.plan.service(service).max_failures)
    }

    /// How much of a service's budget is used up.
    fn left_out(&self, service: ServiceIx) -> usize {
        let slices = self.plan.service(service).batches.iter().flatten();
        slices
            .filter(|slice| self.state.slice(**slice).is_left_out())
            .count()
    }
}
