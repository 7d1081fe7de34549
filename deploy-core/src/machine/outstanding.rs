//! What must be running now: a function of applied state alone.

use super::state::{At, Direction, Hold, Reach, Stage, Step};
use super::{Effect, Machine, Work};
use crate::id::{PlaceIx, SliceIx};
use crate::port::target::Fence;

pub(super) fn outstanding(machine: &Machine) -> Vec<Effect> {
    let mut work = Vec::new();
    match machine.state.stage {
        Stage::Open => work.push(Work::Judge),
        Stage::Waiting | Stage::Ready | Stage::Ended(_) => {}
        Stage::StandingDown(_) | Stage::Closing(_) => {
            work.extend(places(machine, Hold::Held).map(Work::Release));
        }
        Stage::Moving(step) => moving(machine, step, &mut work),
    }
    work.into_iter()
        .map(|work| Effect {
            attempt: machine.state.attempt,
            work,
        })
        .collect()
}

fn moving(machine: &Machine, step: Step, work: &mut Vec<Work>) {
    let slices = |wanted: fn(&Machine, SliceIx) -> bool| {
        machine
            .plan
            .slice_indices()
            .filter(move |slice| wanted(machine, *slice))
    };
    match step {
        Step::Claiming => {
            // The first place alone: of two deployers with the same places exactly one gets past it. The others at once; and all at
            // once where something moves already, so that no host's deadline runs out while another one does not answer.
            let free: Vec<_> = places(machine, Hold::Free).collect();
            let first_is_open = free.first() == Some(&PlaceIx(0)) && machine.state.reach < Reach::Activating;
            work.extend(
                free.into_iter()
                    .take(if first_is_open { 1 } else { usize::MAX })
                    .map(Work::Claim),
            );
        }
        Step::Surveying => work.push(Work::Survey),
        Step::Preparing => work.extend(slices(|m, slice| !m.state.slice(slice).prepared).map(Work::Prepare)),
        Step::Judging => work.push(Work::Judge),
        Step::Activating => {
            work.extend(slices(|m, slice| m.state.slice(slice).at == At::Intended).map(Work::Activate));
            work.extend(slices(Machine::to_verify).map(Work::Verify));
            let to_stop = |m: &Machine, slice| m.state.slice(slice).at == At::ExclusionIntended;
            work.extend(slices(to_stop).map(Work::Stop));
        }
        Step::Looking | Step::LookingBack => work.push(Work::Look),
        Step::Confirming => {
            work.extend(slices(|m, slice| m.to_disarm(slice) && m.may_confirm(slice)).map(Work::Confirm));
        }
        Step::Holding => work.extend(slices(Machine::to_disarm).map(Work::Confirm)),
        Step::Baking => work.push(Work::Bake),
        Step::Finishing => work.extend(places(machine, Hold::Held).map(Work::Finish)),
        Step::Restoring => {
            work.extend(slices(|m, slice| m.state.slice(slice).at == At::RestoreIntended).map(Work::Restore));
            work.extend(slices(|m, slice| m.state.slice(slice).at == At::Restored).map(Work::VerifyOld));
            if work.is_empty() && machine.awaits() {
                work.push(Work::Reach);
            }
        }
    }
    // Also while claims are taken anew: one host that does not answer would let the time of all others run out.
    if !matches!(step, Step::Preparing | Step::Judging)
        && machine.plan.slice_indices().any(|slice| machine.to_disarm(slice))
    {
        work.push(Work::KeepArmed);
    }
    if matches!(step, Step::Activating)
        && machine.state.direction == Direction::Forward
        && machine.state.slices.iter().any(|slice| slice.is_verified())
    {
        work.push(Work::Watch);
    }
}

fn places(machine: &Machine, hold: Hold) -> impl Iterator<Item = PlaceIx> + use<'_> {
    (0u16..)
        .zip(&machine.state.places)
        .filter(move |(_, place)| place.hold == hold)
        .map(|(at, _)| PlaceIx(at))
}

impl Machine {
    /// Whether this is to be running now.
    pub(super) fn is_outstanding(&self, work: Work) -> bool {
        outstanding(self).iter().any(|effect| effect.work == work)
    }

    /// Whether a slice is armed, as far as is known, where we hold the claim.
    pub fn to_disarm(&self, slice: SliceIx) -> bool {
        self.state.slice(slice).armed && self.state.place(self.plan.slice(slice).place).hold == Hold::Held
    }

    /// Whether something could not be reached that may yet be, in time.
    pub(super) fn awaits(&self) -> bool {
        self.plan.slice_indices().any(|slice| {
            let fence = self.plan.service(self.plan.slice(slice).service).abilities.fence;
            self.state.slice(slice).at == At::Unknown && fence != Fence::None
        })
    }
}
