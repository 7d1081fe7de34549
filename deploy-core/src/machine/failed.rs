//! What follows from an effect that failed.

use super::decide::{Reaction, closing};
use super::state::{Direction, Reach, Stage, Step};
use super::{Failed, Machine, Outcome, Rejected, TurnReason, Verb, Work};
use crate::event::{AttemptReason, EventKind};
use crate::failure::Failure;
use crate::id::SliceIx;
use crate::plan::{Kind, OnFailure};
use crate::time::Timestamp;

impl Machine {
    pub(super) fn failed(
        &self,
        now: Timestamp,
        work: Work,
        how: Failed,
        slice: Option<SliceIx>,
        failure: &Failure,
    ) -> Reaction {
        let (step, slice) = match work {
            Work::Prepare(slice) => (Verb::Prepare, Some(slice)),
            Work::Activate(slice) => (Verb::Activate, Some(slice)),
            Work::Verify(slice) => (Verb::Verify, Some(slice)),
            Work::Stop(slice) => (Verb::Stop, Some(slice)),
            Work::Confirm(slice) => (Verb::Confirm, Some(slice)),
            Work::Restore(slice) => (Verb::Restore, Some(slice)),
            Work::VerifyOld(slice) => (Verb::VerifyOld, Some(slice)),
            Work::Watch => (Verb::Watch, slice),
            Work::KeepArmed => (Verb::Confirm, slice),
            Work::Bake => (Verb::Bake, slice),
            Work::Look | Work::Survey => (Verb::Look, None),
            Work::Finish(_) => (Verb::Finish, None),
            // What cannot be looked at cannot be planned.
            Work::Judge => return Ok(vec![closing(Outcome::Failed, Some(failure.clone()))]),
            Work::Claim(_) | Work::Release(_) | Work::Reach => return Err(Rejected::Mismatch),
        };
        if work == Work::KeepArmed && !self.hears_of_reverts() {
            return Err(Rejected::NoChange);
        }
        if let Some(reason) = self.observes_again(work, how)
            && (self.state.tries < self.plan.limits.attempts || self.must_see(work))
        {
            // The slice is not marked: what became of it is learned by looking.
            return Ok(vec![self.attempt_after(reason, slice, Some(failure))]);
        }
        let named = slice.map(|slice| EventKind::SliceFailed {
            slice,
            step,
            how,
            failure: failure.clone(),
        });
        let follows = match self.state.direction {
            // The rest goes on. Where nobody is named, nobody is marked: the next look tells.
            Direction::Back | Direction::Held => (work == Work::KeepArmed && slice.is_none())
                .then(|| self.attempt_after(AttemptReason::UnknownOutcome, slice, Some(failure))),
            Direction::Forward => self.failed_forward(now, work, how, slice, failure),
        };
        Ok(named.into_iter().chain(follows).collect())
    }

    /// Whether it says anything new that a revert is not armed any more: before the survey nothing is known, and the survey tells.
    pub fn hears_of_reverts(&self) -> bool {
        !matches!(self.state.stage, Stage::Moving(Step::Claiming | Step::Surveying))
    }

    /// Whether an observation may not be given up: going back, a look at everything fails only because somebody moved in between, and
    /// without it nothing can be put back or disarmed, and no end be told.
    fn must_see(&self, work: Work) -> bool {
        matches!(work, Work::Survey | Work::Look) && self.state.direction != Direction::Forward
    }

    /// An unknown outcome leads to an observation under a new claim, never to a blind retry; so does a fenced write, a revert that is
    /// not armed any more, and, past the commit point, what cannot be reached.
    fn observes_again(&self, work: Work, how: Failed) -> Option<AttemptReason> {
        match (work, how) {
            (_, Failed::Fenced) | (Work::KeepArmed, Failed::NotDone) => Some(AttemptReason::Fenced),
            (_, Failed::Unknown) | (Work::Survey | Work::KeepArmed | Work::Look, _) => {
                Some(AttemptReason::UnknownOutcome)
            }
            (Work::Confirm(_), Failed::Unreachable) => Some(AttemptReason::UnknownOutcome),
            (Work::Confirm(_), _) if self.state.direction == Direction::Held => {
                Some(AttemptReason::UnknownOutcome)
            }
            _ => None,
        }
    }

    fn failed_forward(
        &self,
        now: Timestamp,
        work: Work,
        how: Failed,
        slice: Option<SliceIx>,
        failure: &Failure,
    ) -> Option<EventKind> {
        let rollback = self.plan.kind == Kind::Rollback;
        let human = || closing(Outcome::NeedsHuman, Some(failure.clone()));
        let held = || EventKind::HeldBack {
            failure: failure.clone(),
        };
        match self.state.reach {
            // A rollback goes on without the slice.
            _ if rollback && slice.is_some() && self.state.reach <= Reach::Activating => None,
            Reach::Nothing | Reach::Prepared => Some(closing(Outcome::Failed, Some(failure.clone()))),
            Reach::Finishing => Some(human()),
            _ if rollback => Some(human()),
            // Unclear health: the new release is left, and a human is asked.
            Reach::Committed | Reach::Baked if work == Work::Bake && how == Failed::Unreachable => {
                Some(human())
            }
            // A foreign change stays, and so does what cannot be reached: only what is seen off the release turns back now.
            Reach::Committed | Reach::Baked
                if matches!(
                    how,
                    Failed::Overtaken | Failed::Unreachable | Failed::Unknown | Failed::Fenced
                ) =>
            {
                Some(held())
            }
            Reach::Activating if let Some(slice) = self.leaves_out(work, how) => {
                Some(EventKind::ExclusionIntended { slice })
            }
            Reach::Activating if slice.is_some_and(|slice| self.holds(slice)) => Some(held()),
            Reach::Activating | Reach::Committed | Reach::Baked => {
                Some(self.turn_back(now, turn_reason(work, how), Some(failure.clone())))
            }
        }
    }

    /// Whether a failure of this slice holds the deployment.
    pub(super) fn holds(&self, slice: SliceIx) -> bool {
        self.plan.service(self.plan.slice(slice).service).on_failure == OnFailure::Hold
    }
}

fn turn_reason(work: Work, how: Failed) -> TurnReason {
    match how {
        Failed::Unhealthy => TurnReason::Unhealthy,
        Failed::Overtaken => TurnReason::Foreign,
        Failed::Fenced => TurnReason::Reverted,
        Failed::Unknown => TurnReason::NotClean,
        Failed::NotDone | Failed::Unreachable | Failed::CheckpointLost => {
            if matches!(work, Work::Confirm(_) | Work::KeepArmed) {
                TurnReason::Reverted
            } else {
                TurnReason::Failed
            }
        }
    }
}
