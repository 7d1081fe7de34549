//! What a survey makes of each slice: the one place where the machine learns what is really so.

use super::apply::{Applied, ensure};
use super::state::{At, Direction, Hold, Reach, SliceState, Stage, Step};
use super::{Machine, Sight, SliceSight};
use crate::id::SliceIx;
use crate::plan::Kind;
use crate::port::target::{Fence, Runs};

impl Machine {
    pub(super) fn surveyed(&mut self, seen: &[SliceSight]) -> Applied {
        ensure(
            self.state.stage == Stage::Moving(Step::Surveying),
            "nothing is being surveyed",
        )?;
        ensure(
            seen.len() == self.state.slices.len(),
            "every slice is seen or known not to be",
        )?;
        let (direction, reach) = (self.state.direction, self.state.reach);
        let rollback = self.plan.kind == Kind::Rollback;
        for slice in self.plan.slice_indices() {
            let Some(sight) = self.sight(slice, seen) else {
                continue;
            };
            let planned = self.plan.slice(slice);
            let unfenced = self.plan.service(planned.service).abilities.fence == Fence::None;
            let way_back = self.state.has_checkpoint(planned.unit);
            let state = &mut self.state.slices[slice.at()];
            if sight.runs != Sight::Unreachable {
                state.armed = sight.armed;
            }
            // What an unfenced writer may still do cannot be learned by looking.
            if unfenced && state.at == At::Unknown {
                continue;
            }
            match (direction, reach) {
                (Direction::Back, _) => state.at = seen_going_back(*state, sight),
                (Direction::Held, _) => state.at = seen_held(*state, sight.runs),
                (Direction::Forward, Reach::Nothing | Reach::Prepared) if rollback => {
                    state.at = match sight.runs {
                        Sight::Unreachable => At::Unknown,
                        Sight::Foreign | Sight::Gone => At::Overtaken,
                        Sight::Old | Sight::New | Sight::Both => At::Untouched,
                    };
                    // What cannot be had is not prepared either: it holds up only what needs it.
                    state.prepared = state.at != At::Untouched || !state.moves || way_back;
                }
                (Direction::Forward, Reach::Nothing | Reach::Prepared) => {}
                (Direction::Forward, Reach::Activating) => {
                    state.at = seen_going_forward(*state, sight.runs, rollback, way_back);
                }
                (Direction::Forward, Reach::Committed | Reach::Baked | Reach::Finishing) => {
                    state.at = seen_settled(*state, sight.runs);
                }
            }
        }
        self.state.stage = Stage::Moving(match (self.state.direction, self.state.reach) {
            (Direction::Back, _) => Step::Restoring,
            (Direction::Held, _) => Step::Holding,
            (Direction::Forward, Reach::Nothing | Reach::Prepared) => Step::Preparing,
            (Direction::Forward, Reach::Activating) => Step::Activating,
            (Direction::Forward, Reach::Committed | Reach::Baked) => Step::Confirming,
            (Direction::Forward, Reach::Finishing) => Step::Finishing,
        });
        if self.state.direction == Direction::Forward && self.state.reach == Reach::Activating {
            self.look_if_settled();
        }
        Ok(())
    }

    /// What a survey or a look says of a slice, if that matters: in a place whose claim could not be had, nothing that was seen can
    /// be relied on; in one that somebody else took, everything is theirs; a finished one is not ours to judge any more.
    pub(super) fn sight(&self, slice: SliceIx, seen: &[SliceSight]) -> Option<SliceSight> {
        let mut sight = seen[slice.at()];
        match self.state.place(self.plan.slice(slice).place).hold {
            // Going back it does not leave: it is to run what it did.
            _ if self.leaves(slice) && self.state.direction != Direction::Back => return None,
            Hold::Finished => return None,
            Hold::Lost => sight.runs = Sight::Unreachable,
            Hold::Taken => sight.runs = Sight::Foreign,
            Hold::Free | Hold::Held => {}
        }
        if self.state.direction == Direction::Forward {
            let nothing_before = self.plan.slice(slice).now == Runs::Nothing;
            sight.runs = match (sight.runs, self.state.slice(slice).at) {
                // Where nothing ran before, being stopped looks like that.
                (Sight::Old, At::ExclusionIntended | At::Excluded) if nothing_before => Sight::Gone,
                // Nobody but another can have started it again.
                (Sight::Old | Sight::New | Sight::Both, At::Excluded) => Sight::Foreign,
                (runs, _) => runs,
            };
        }
        Some(sight)
    }
}

/// Going forward again after a crash or an unknown outcome that left everything wholly old or new.
fn seen_going_forward(slice: SliceState, runs: Sight, rollback: bool, way_back: bool) -> At {
    match (runs, slice.at) {
        (Sight::Foreign | Sight::Gone, _) if rollback => At::Overtaken,
        (Sight::Unreachable, _) if rollback => At::Unknown,
        (Sight::Foreign | Sight::Unreachable | Sight::Gone, at) => at,
        // A stop that was intended is done, or done again.
        (_, at @ (At::ExclusionIntended | At::Excluded)) => at,
        // What does not move is verified again in its turn.
        _ if !slice.moves => At::Untouched,
        (Sight::Both, At::Untouched) => At::Untouched,
        (Sight::New | Sight::Both, _) => At::Activated,
        // It was not to be had when everything was prepared.
        (Sight::Old, at) if !way_back => at,
        (Sight::Old, _) => At::Untouched,
    }
}

/// After the commit point.
fn seen_settled(slice: SliceState, runs: Sight) -> At {
    match (runs, slice.at) {
        (Sight::New | Sight::Both, At::Confirmed) => At::Confirmed,
        (Sight::New | Sight::Both, _) => At::Verified,
        (Sight::Old, at) if !slice.moves => at,
        (Sight::Old, _) => At::Stuck,
        (Sight::Gone, At::Excluded) => At::Excluded,
        (Sight::Foreign | Sight::Gone, _) => At::Overtaken,
        (Sight::Unreachable, _) => At::Unknown,
    }
}

/// Held as it stands.
fn seen_held(slice: SliceState, runs: Sight) -> At {
    match (runs, slice.at) {
        (Sight::Unreachable, _) => At::Unknown,
        (Sight::Foreign, _) => At::Overtaken,
        (Sight::Gone, _) => At::Excluded,
        (Sight::Both, at) | (Sight::New, at @ (At::Verified | At::Confirmed)) => at,
        (Sight::New, _) => At::Activated,
        // It is back and was looked at: that is no reason for a human.
        (Sight::Old, At::Back) => At::Back,
        (Sight::Old, _) if slice.touched() => At::Restored,
        (Sight::Old, at) => at,
    }
}

fn seen_going_back(slice: SliceState, sight: SliceSight) -> At {
    match (sight.runs, slice.touched()) {
        (Sight::Unreachable, _) => At::Unknown,
        (Sight::Foreign, _) | (Sight::New, false) => At::Overtaken,
        (Sight::New | Sight::Gone, _) => At::ToRestore,
        // Where nothing ran before, a stop that was cut short cannot be told from one that never began.
        (Sight::Old | Sight::Both, _) if slice.is_left_out() => At::ToRestore,
        // Still armed: putting it back disarms it.
        (Sight::Old | Sight::Both, _) if sight.armed => At::ToRestore,
        (Sight::Old | Sight::Both, true) if slice.at == At::Back => At::Back,
        (Sight::Old | Sight::Both, true) => At::Restored,
        // It does not move, and could not be had for a while.
        (Sight::Old | Sight::Both, false) if matches!(slice.at, At::Unknown | At::Overtaken | At::Stuck) => {
            At::Restored
        }
        (Sight::Old | Sight::Both, false) => slice.at,
    }
}
