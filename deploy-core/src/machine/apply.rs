//! The only mutation. Total over what `decide` can emit; anything else is a journal that this machine did not write.

use super::state::{At, Direction, Hold, Pace, PlaceState, Reach, Stage, State, Step, Then};
use super::{Ask, Failed, Machine, Outcome, Sight, SliceSight, Verb};
use crate::event::{AttemptReason, EventKind};
use crate::id::{Attempt, SliceIx};
use crate::plan::Kind;
use crate::port::target::Fence;
use std::sync::Arc;

type Applied = Result<(), &'static str>;

fn ensure(holds: bool, why: &'static str) -> Applied {
    if holds { Ok(()) } else { Err(why) }
}

impl Machine {
    /// Applies one kind of event.
    pub(super) fn apply_kind(&mut self, kind: &EventKind) -> Applied {
        ensure(
            !matches!(self.state.stage, Stage::Ended(_)),
            "the deployment has ended",
        )?;
        match kind {
            EventKind::Planned { plan, digest } => {
                ensure(
                    self.state.stage == Stage::Open,
                    "a plan is made before anything is claimed",
                )?;
                ensure(plan.digest() == *digest, "the plan is not what its digest says")?;
                let (tries, attempt) = (self.state.tries, self.state.attempt);
                self.plan = Arc::new((**plan).clone());
                self.state = State {
                    tries,
                    attempt,
                    ..State::new(&self.plan)
                };
                Ok(())
            }
            EventKind::Waiting { .. } => {
                self.state.stage = match self.state.stage {
                    Stage::Open => Stage::Waiting,
                    Stage::Moving(Step::Judging) => Stage::StandingDown(Then::Waiting),
                    _ => return Err("nothing was judged"),
                };
                self.stood_down();
                Ok(())
            }
            EventKind::Gated { plan } => {
                ensure(self.state.stage == Stage::Open, "nothing was judged")?;
                ensure(self.plan.digest() == *plan, "another plan was judged")?;
                self.state.stage = Stage::Ready;
                Ok(())
            }
            EventKind::PlanOutdated => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Surveying),
                    "nothing was surveyed",
                )?;
                ensure(
                    self.state.reach < Reach::Activating,
                    "what serves may have changed",
                )?;
                self.state.tries = self.state.tries.saturating_add(1);
                self.state.stage = Stage::StandingDown(Then::Open);
                self.stood_down();
                Ok(())
            }
            EventKind::AttemptBegun { attempt, reason, .. } => self.attempt_begun(*attempt, *reason),
            EventKind::Claimed { place, epoch, .. } => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Claiming),
                    "nothing is being claimed",
                )?;
                let known = self.place_mut(place.at())?;
                ensure(
                    known.epoch.is_none_or(|last| last < *epoch),
                    "an epoch never falls",
                )?;
                *known = PlaceState {
                    epoch: Some(*epoch),
                    hold: Hold::Held,
                };
                self.claims_settled();
                Ok(())
            }
            EventKind::ClaimFailed { place, .. } => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Claiming),
                    "nothing is being claimed",
                )?;
                self.place_mut(place.at())?.hold = Hold::Lost;
                self.claims_settled();
                Ok(())
            }
            EventKind::Surveyed { seen, .. } => self.surveyed(seen),
            EventKind::SlicePrepared { slice, changes, .. } => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Preparing),
                    "nothing is being prepared",
                )?;
                let unit = self
                    .plan
                    .slices
                    .get(slice.at())
                    .ok_or("there is no such slice")?
                    .unit;
                let state = self.slice_mut(*slice)?;
                state.prepared = true;
                state.moves = *changes;
                self.state.checkpoints[unit.at()] = true;
                Ok(())
            }
            EventKind::AllPrepared => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Preparing),
                    "nothing is being prepared",
                )?;
                self.state.reach = Reach::Prepared;
                self.state.stage = Stage::Moving(Step::Judging);
                Ok(())
            }
            EventKind::ActivationBegun { due } => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Judging),
                    "the gates were not judged again",
                )?;
                self.state.reach = Reach::Activating;
                self.state.due = Some(*due);
                self.state.stage = Stage::Moving(Step::Activating);
                Ok(())
            }
            EventKind::BatchIntended { slices } => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Activating),
                    "nothing is being activated",
                )?;
                for slice in slices {
                    let unit = self
                        .plan
                        .slices
                        .get(slice.at())
                        .ok_or("there is no such slice")?
                        .unit;
                    ensure(
                        self.state.has_checkpoint(unit),
                        "a slice is not touched without a checkpoint",
                    )?;
                    let state = self.slice_mut(*slice)?;
                    ensure(
                        state.at == At::Untouched && state.moves,
                        "the slice was touched before",
                    )?;
                    state.at = At::Intended;
                }
                Ok(())
            }
            EventKind::SliceActivated { slice, armed, .. } => {
                let state = self.slice_mut(*slice)?;
                ensure(state.at == At::Intended, "its activation was not intended")?;
                state.at = At::Activated;
                state.armed = *armed;
                Ok(())
            }
            EventKind::SliceVerified { slice, .. } => {
                let state = self.slice_mut(*slice)?;
                ensure(
                    matches!(state.at, At::Activated | At::Untouched),
                    "there was nothing to verify",
                )?;
                state.at = At::Verified;
                if self.all_verified() {
                    self.state.stage = Stage::Moving(Step::Looking);
                }
                Ok(())
            }
            EventKind::SliceFailed { slice, step, how, .. } => {
                let rollback = self.plan.kind == Kind::Rollback;
                let state = self.slice_mut(*slice)?;
                let stray = match how {
                    Failed::Overtaken => At::Overtaken,
                    Failed::Unknown | Failed::Fenced | Failed::Unreachable => At::Unknown,
                    Failed::NotDone | Failed::Unhealthy | Failed::CheckpointLost => At::Stuck,
                };
                match (step, how) {
                    (Verb::Confirm, _) => state.armed = false,
                    (Verb::Activate, Failed::Overtaken) => state.at = At::Overtaken,
                    (Verb::Restore | Verb::VerifyOld, _) => state.at = stray,
                    (Verb::Activate | Verb::Verify, _) if rollback => state.at = stray,
                    (Verb::Prepare, _) if rollback => {
                        state.at = stray;
                        state.prepared = true;
                    }
                    _ => {}
                }
                Ok(())
            }
            EventKind::Committed => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Looking),
                    "there was no last look",
                )?;
                ensure(self.all_verified(), "not every slice is verified")?;
                self.state.reach = Reach::Committed;
                self.state.due = None;
                self.state.tries = 0;
                self.state.stage = Stage::Moving(Step::Confirming);
                Ok(())
            }
            EventKind::SliceConfirmed { slice } => {
                let step = self.state.stage;
                let state = self.slice_mut(*slice)?;
                state.armed = false;
                match step {
                    Stage::Moving(Step::Confirming) => state.at = At::Confirmed,
                    Stage::Moving(Step::Holding) => {}
                    _ => return Err("nothing is confirmed before the commit point"),
                }
                Ok(())
            }
            EventKind::BakeBegun { until } => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Confirming),
                    "nothing was confirmed",
                )?;
                self.state.due = Some(until.after(self.plan.limits.bake));
                self.state.stage = Stage::Moving(Step::Baking);
                Ok(())
            }
            EventKind::Baked => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Baking),
                    "nothing was baking",
                )?;
                self.state.reach = Reach::Baked;
                self.state.due = None;
                Ok(())
            }
            EventKind::FinishBegun => {
                let from = matches!(self.state.stage, Stage::Moving(Step::Baking | Step::Confirming));
                ensure(
                    from && self.state.reach >= Reach::Committed,
                    "nothing was committed",
                )?;
                self.state.reach = Reach::Finishing;
                self.state.due = None;
                self.state.tries = 0;
                self.state.stage = Stage::Moving(Step::Finishing);
                Ok(())
            }
            EventKind::PlaceFinished { place, .. } => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Finishing),
                    "nothing is being finished",
                )?;
                self.place_mut(place.at())?.hold = Hold::Finished;
                Ok(())
            }
            EventKind::TurnedBack { due, .. } => {
                ensure(
                    matches!(self.state.stage, Stage::Moving(_)),
                    "nothing is under way",
                )?;
                ensure(
                    self.state.direction == Direction::Forward,
                    "it has turned back already",
                )?;
                ensure(
                    self.state.reach >= Reach::Activating,
                    "nothing that serves was changed",
                )?;
                ensure(
                    self.state.reach < Reach::Finishing,
                    "nothing turns back while finishing",
                )?;
                ensure(self.plan.kind != Kind::Rollback, "a rollback never turns back")?;
                self.state.direction = Direction::Back;
                self.state.due = Some(*due);
                self.state.tries = 0;
                self.state.pace = Pace::Going;
                Ok(())
            }
            EventKind::HeldBack { .. } => {
                ensure(
                    matches!(self.state.stage, Stage::Moving(_)),
                    "nothing is under way",
                )?;
                ensure(
                    self.state.direction == Direction::Forward,
                    "it has turned back already",
                )?;
                self.state.direction = Direction::Held;
                self.state.due = None;
                self.state.stage = Stage::Moving(Step::Holding);
                Ok(())
            }
            EventKind::RestoreIntended { slices } => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Restoring),
                    "nothing is being put back",
                )?;
                for slice in slices {
                    let state = self.slice_mut(*slice)?;
                    ensure(state.at == At::ToRestore, "the slice is not to be put back")?;
                    state.at = At::RestoreIntended;
                }
                Ok(())
            }
            EventKind::SliceRestored { slice, .. } => {
                let state = self.slice_mut(*slice)?;
                ensure(state.at == At::RestoreIntended, "it was not to be put back")?;
                state.at = At::Restored;
                state.armed = false;
                Ok(())
            }
            EventKind::SliceBack { slice, .. } => {
                let state = self.slice_mut(*slice)?;
                ensure(state.at == At::Restored, "it was not put back")?;
                state.at = At::Back;
                Ok(())
            }
            EventKind::SliceUnknown { slice, .. } => {
                self.slice_mut(*slice).map(|state| state.at = At::Unknown)
            }
            EventKind::SliceOvertaken { slice } => {
                self.slice_mut(*slice).map(|state| state.at = At::Overtaken)
            }
            EventKind::AskAccepted { ask } => {
                match ask {
                    Ask::Pause => self.state.pace = Pace::Paused,
                    Ask::Continue => self.state.pace = Pace::Going,
                    Ask::Recheck => {
                        ensure(self.state.stage == Stage::Waiting, "it does not wait")?;
                        self.state.stage = Stage::Open;
                    }
                    Ask::Cancel | Ask::Abandon | Ask::Supersede => {}
                }
                Ok(())
            }
            EventKind::Closing { outcome, .. } => {
                self.state.due = None;
                self.state.stage = Stage::Closing(*outcome);
                Ok(())
            }
            EventKind::PlaceReleased { place, .. } => {
                let standing = matches!(self.state.stage, Stage::Closing(_) | Stage::StandingDown(_));
                ensure(standing, "claims are released at an end only")?;
                self.place_mut(place.at())?.hold = Hold::Free;
                self.stood_down();
                Ok(())
            }
            EventKind::Ended { outcome, .. } => {
                ensure(
                    *outcome != Outcome::Succeeded || self.state.reach == Reach::Finishing,
                    "it cannot have succeeded",
                )?;
                self.state.stage = Stage::Ended(*outcome);
                self.state.due = None;
                Ok(())
            }
            _ => Err("the event is not one of a deployment, or of a newer version"),
        }
    }

    fn attempt_begun(&mut self, attempt: Attempt, reason: AttemptReason) -> Applied {
        ensure(
            matches!(self.state.stage, Stage::Ready | Stage::Moving(_)),
            "nothing may start",
        )?;
        ensure(
            attempt == self.state.attempt.next(),
            "attempts are counted without a gap",
        )?;
        self.state.attempt = attempt;
        match reason {
            AttemptReason::UnknownOutcome | AttemptReason::Fenced => {
                self.state.tries = self.state.tries.saturating_add(1);
            }
            AttemptReason::Takeover => self.state.tries = 0,
            AttemptReason::Start | AttemptReason::TurnedBack => {}
        }
        for place in &mut self.state.places {
            if place.hold != Hold::Finished {
                place.hold = Hold::Free;
            }
        }
        for slice in self.plan.slice_indices() {
            let unfenced = self.plan.service(self.plan.slice(slice).service).abilities.fence == Fence::None;
            let state = &mut self.state.slices[slice.at()];
            if unfenced && matches!(state.at, At::Intended | At::RestoreIntended) {
                state.at = At::Unknown;
            }
        }
        self.state.stage = Stage::Moving(Step::Claiming);
        self.claims_settled();
        Ok(())
    }

    fn surveyed(&mut self, seen: &[SliceSight]) -> Applied {
        ensure(
            self.state.stage == Stage::Moving(Step::Surveying),
            "nothing is being surveyed",
        )?;
        ensure(
            seen.len() == self.state.slices.len(),
            "every slice is seen or known not to be",
        )?;
        for slice in self.plan.slice_indices() {
            let sight = self.sight(slice, seen);
            let rollback = self.plan.kind == Kind::Rollback;
            let (reach, direction) = (self.state.reach, self.state.direction);
            let unfenced = self.plan.service(self.plan.slice(slice).service).abilities.fence == Fence::None;
            let state = &mut self.state.slices[slice.at()];
            if unfenced && state.at == At::Unknown {
                continue;
            }
            state.armed = sight.armed;
            match direction {
                Direction::Back => state.at = seen_going_back(state.touched(), state.at, sight),
                Direction::Forward if reach == Reach::Activating => {
                    state.at = seen_going_forward(state.at, state.moves, sight.runs, rollback);
                }
                // What a rollback cannot reach holds up only what needs it.
                Direction::Forward if rollback && sight.runs == Sight::Unreachable => {
                    state.at = At::Unknown;
                    state.prepared = true;
                }
                Direction::Forward | Direction::Held => {}
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
        Ok(())
    }

    /// What a survey says of a slice; in a place whose claim could not be had, nothing that was seen can be relied on.
    pub(super) fn sight(&self, slice: SliceIx, seen: &[SliceSight]) -> SliceSight {
        let lost = self.state.place(self.plan.slice(slice).place).hold == Hold::Lost;
        let mut sight = seen[slice.at()];
        if lost {
            sight.runs = Sight::Unreachable;
        }
        sight
    }

    pub(super) fn all_verified(&self) -> bool {
        self.state.slices.iter().all(|slice| slice.is_verified())
    }

    /// Every place is claimed or known not to be had: look at the slices.
    fn claims_settled(&mut self) {
        if self.state.places.iter().all(|place| place.hold != Hold::Free) {
            self.state.stage = Stage::Moving(Step::Surveying);
        }
    }

    /// Every claim is given back: what was to follow follows.
    fn stood_down(&mut self) {
        if let Stage::StandingDown(then) = self.state.stage
            && self.state.places.iter().all(|place| place.hold != Hold::Held)
        {
            self.state.stage = match then {
                Then::Open => Stage::Open,
                Then::Waiting => Stage::Waiting,
            };
        }
    }

    fn slice_mut(&mut self, slice: SliceIx) -> Result<&mut super::state::SliceState, &'static str> {
        self.state
            .slices
            .get_mut(slice.at())
            .ok_or("there is no such slice")
    }

    fn place_mut(&mut self, at: usize) -> Result<&mut PlaceState, &'static str> {
        self.state.places.get_mut(at).ok_or("there is no such place")
    }
}

/// Going forward again after a crash or an unknown outcome that left everything wholly old or new.
fn seen_going_forward(at: At, moves: bool, runs: Sight, rollback: bool) -> At {
    match (runs, at) {
        // What does not move is verified again in its turn.
        _ if !moves => At::Untouched,
        (Sight::New | Sight::Both, At::Untouched) => At::Untouched,
        (Sight::New | Sight::Both, _) => At::Activated,
        (Sight::Old, _) => At::Untouched,
        (Sight::Foreign, _) if rollback => At::Overtaken,
        (Sight::Unreachable, _) if rollback => At::Unknown,
        (Sight::Foreign | Sight::Unreachable, at) => at,
    }
}

fn seen_going_back(touched: bool, at: At, sight: SliceSight) -> At {
    match (sight.runs, touched) {
        (Sight::Unreachable, _) => At::Unknown,
        (Sight::Foreign, _) | (Sight::New, false) => At::Overtaken,
        (Sight::New, true) => At::ToRestore,
        // Still armed: putting it back disarms it.
        (Sight::Old | Sight::Both, true) if sight.armed => At::ToRestore,
        (Sight::Old | Sight::Both, true) if at == At::Back => At::Back,
        (Sight::Old | Sight::Both, true) => At::Restored,
        (Sight::Old | Sight::Both, false) => at,
    }
}
