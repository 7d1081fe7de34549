//! The only mutation. Total over what `decide` can emit; anything else is a journal that this machine did not write.

use super::order::Order;
use super::state::{At, Direction, Hold, Pace, PlaceState, Reach, SliceState, Stage, State, Step, Then};
use super::{Ask, Failed, Machine, Outcome, Refusal, Verb};
use crate::event::{AttemptReason, EventKind};
use crate::id::{Attempt, SliceIx};
use crate::plan::Kind;
use crate::port::target::Fence;
use std::sync::Arc;

pub(super) type Applied = Result<(), &'static str>;

pub(super) fn ensure(holds: bool, why: &'static str) -> Applied {
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
                let State {
                    attempt, pace, tries, ..
                } = self.state;
                self.plan = Arc::new((**plan).clone());
                self.order = Arc::new(Order::of(&self.plan));
                self.state = State {
                    attempt,
                    pace,
                    tries,
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
            EventKind::ClaimFailed { place, refusal, .. } => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Claiming),
                    "nothing is being claimed",
                )?;
                self.place_mut(place.at())?.hold = match refusal {
                    Refusal::Held => Hold::Taken,
                    Refusal::Unreachable | Refusal::Broken => Hold::Lost,
                };
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
                ensure(
                    self.state.slices.iter().all(|slice| slice.prepared),
                    "not everything is prepared",
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
                self.look_if_settled();
                Ok(())
            }
            EventKind::BatchIntended { slices } => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Activating),
                    "nothing is being activated",
                )?;
                ensure(
                    self.state.direction == Direction::Forward,
                    "nothing goes forward after turning back",
                )?;
                let known = |slice: &SliceIx| slice.at() < self.state.slices.len();
                ensure(slices.iter().all(known), "there is no such slice")?;
                let in_turn = |slice: &SliceIx| self.may_activate(*slice);
                ensure(slices.iter().all(in_turn), "what it needs is not verified whole")?;
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
                self.ensure_step(Step::Activating, "nothing is being activated")?;
                let state = self.slice_mut(*slice)?;
                ensure(state.at == At::Intended, "its activation was not intended")?;
                state.at = At::Activated;
                state.armed = *armed;
                Ok(())
            }
            EventKind::SliceVerified { slice, .. } => {
                self.ensure_step(Step::Activating, "nothing is being activated")?;
                let state = self.slice_mut(*slice)?;
                ensure(
                    matches!(state.at, At::Activated | At::Untouched),
                    "there was nothing to verify",
                )?;
                state.at = At::Verified;
                self.look_if_settled();
                Ok(())
            }
            EventKind::SliceFailed { slice, step, how, .. } => {
                let rollback = self.plan.kind == Kind::Rollback;
                let looked_back = self.state.direction == Direction::Back && *step == Verb::Look;
                let state = self.slice_mut(*slice)?;
                let stray = match how {
                    Failed::Overtaken => At::Overtaken,
                    Failed::Unreachable => At::Unknown,
                    Failed::NotDone
                    | Failed::Unknown
                    | Failed::Fenced
                    | Failed::Unhealthy
                    | Failed::CheckpointLost => At::Stuck,
                };
                match (step, how) {
                    // Whatever is armed there still, we cannot disarm.
                    (Verb::Confirm, _) => state.armed = false,
                    (Verb::Activate, Failed::Overtaken) | (Verb::Restore | Verb::VerifyOld, _) => {
                        state.at = stray;
                    }
                    (Verb::Prepare, _) if rollback => {
                        state.at = stray;
                        state.prepared = true;
                    }
                    (Verb::Activate | Verb::Verify | Verb::Watch | Verb::Look, _) if rollback => {
                        state.at = stray;
                    }
                    (Verb::Look, _) if looked_back => state.at = stray,
                    _ => {}
                }
                if looked_back {
                    self.state.stage = Stage::Moving(Step::Restoring);
                }
                Ok(())
            }
            EventKind::ExclusionIntended { slice } => {
                self.ensure_step(Step::Activating, "nothing is being activated")?;
                ensure(self.may_exclude(*slice), "the failure budget does not allow it")?;
                self.slice_mut(*slice)?.at = At::ExclusionIntended;
                Ok(())
            }
            EventKind::SliceExcluded { slice, .. } => {
                self.ensure_step(Step::Activating, "nothing is being activated")?;
                let state = self.slice_mut(*slice)?;
                ensure(state.at == At::ExclusionIntended, "it was not to be left out")?;
                state.at = At::Excluded;
                state.armed = false;
                // What was unknown of it is known now: the next failure has its own attempts.
                self.state.tries = 0;
                self.look_if_settled();
                Ok(())
            }
            EventKind::Committed => {
                ensure(
                    self.state.stage == Stage::Moving(Step::Looking),
                    "there was no last look",
                )?;
                ensure(self.all_settled(), "not every slice is verified or left out")?;
                self.state.reach = Reach::Committed;
                self.state.pace = Pace::Going;
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
                ensure(self.disarmed(), "something is armed")?;
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
                ensure(self.disarmed(), "something is armed")?;
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
                self.state.turned_back = true;
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
                ensure(self.state.direction != Direction::Held, "it is held already")?;
                ensure(
                    self.state.reach >= Reach::Activating,
                    "nothing that serves was changed",
                )?;
                self.state.direction = Direction::Held;
                self.state.due = None;
                self.state.tries = 0;
                self.state.pace = Pace::Going;
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
                self.ensure_step(Step::Restoring, "nothing is being put back")?;
                let state = self.slice_mut(*slice)?;
                ensure(state.at == At::RestoreIntended, "it was not to be put back")?;
                state.at = At::Restored;
                state.armed = false;
                Ok(())
            }
            EventKind::SliceBack { slice, .. } => {
                self.ensure_step(Step::Restoring, "nothing is being put back")?;
                let state = self.slice_mut(*slice)?;
                ensure(state.at == At::Restored, "it was not put back")?;
                state.at = At::Back;
                Ok(())
            }
            EventKind::AllBack { due } => {
                self.ensure_step(Step::Restoring, "nothing is being put back")?;
                ensure(
                    self.state.slices.iter().all(|slice| slice.is_back()),
                    "not every slice is back",
                )?;
                self.state.due = Some(*due);
                self.state.stage = Stage::Moving(Step::LookingBack);
                Ok(())
            }
            EventKind::SliceUnknown { slice, .. } => {
                self.slice_mut(*slice)?.at = At::Unknown;
                Ok(())
            }
            EventKind::SliceOvertaken { slice } => {
                self.slice_mut(*slice)?.at = At::Overtaken;
                Ok(())
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
            EventKind::DeadlineMoved { due } => {
                ensure(self.state.due.is_some(), "there is no deadline")?;
                self.state.due = Some(*due);
                Ok(())
            }
            EventKind::Closing { outcome, .. } => {
                ensure(
                    *outcome != Outcome::RolledBack || self.state.stage == Stage::Moving(Step::LookingBack),
                    "there was no last look",
                )?;
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
                let slices = &self.state.slices;
                let holds = match outcome {
                    Outcome::Succeeded => {
                        let finished = |place: &PlaceState| place.hold == Hold::Finished;
                        self.state.reach == Reach::Finishing && self.state.places.iter().all(finished)
                    }
                    Outcome::RolledBack => {
                        self.state.turned_back && slices.iter().all(|slice| slice.is_back())
                    }
                    Outcome::NeedsHuman => self.state.reach >= Reach::Activating,
                    Outcome::Refused | Outcome::Failed | Outcome::Cancelled | Outcome::Superseded => {
                        self.state.reach < Reach::Activating
                    }
                };
                ensure(holds, "it cannot have ended like that")?;
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
        self.state.claimed_for = self.state.direction;
        match reason {
            AttemptReason::UnknownOutcome | AttemptReason::Fenced => {
                self.state.tries = self.state.tries.saturating_add(1);
            }
            AttemptReason::Takeover => self.state.tries = 0,
            AttemptReason::Start | AttemptReason::TurnedBack | AttemptReason::Reachable => {}
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

    pub(super) fn all_settled(&self) -> bool {
        self.state.slices.iter().all(|slice| slice.is_settled())
    }

    /// Nothing is left to move, to verify or to stop: the last look.
    pub(super) fn look_if_settled(&mut self) {
        if self.all_settled() {
            self.state.stage = Stage::Moving(Step::Looking);
        }
    }

    fn ensure_step(&self, step: Step, why: &'static str) -> Applied {
        ensure(self.state.stage == Stage::Moving(step), why)
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

    fn slice_mut(&mut self, slice: SliceIx) -> Result<&mut SliceState, &'static str> {
        self.state
            .slices
            .get_mut(slice.at())
            .ok_or("there is no such slice")
    }

    fn place_mut(&mut self, at: usize) -> Result<&mut PlaceState, &'static str> {
        self.state.places.get_mut(at).ok_or("there is no such place")
    }
}
