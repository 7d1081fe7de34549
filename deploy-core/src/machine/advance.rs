//! What follows by itself: events that need no input beyond the ones before them. Each batch of a decision runs until nothing
//! follows any more, so that one transaction carries it as far as it goes.

use super::state::{At, Direction, Hold, Pace, Reach, SliceState, Stage, Step};
use super::{Machine, Outcome};
use crate::event::{AttemptReason, EventKind};
use crate::failure::{Code, Failure};
use crate::id::SliceIx;
use crate::plan::Kind;
use crate::time::Timestamp;
use std::time::Duration;

pub(super) fn advance(machine: &Machine, now: Timestamp) -> Option<EventKind> {
    let state = &machine.state;
    match state.stage {
        Stage::Ready => Some(machine.attempt(AttemptReason::Start)),
        Stage::Closing(outcome) => state
            .places
            .iter()
            .all(|place| place.hold != Hold::Held)
            .then(|| {
                let strays = if outcome == Outcome::NeedsHuman {
                    machine.strays()
                } else {
                    Vec::new()
                };
                EventKind::Ended {
                    outcome,
                    strays,
                    by: None,
                }
            }),
        Stage::Moving(step) => moving(machine, step, now),
        Stage::Open | Stage::Waiting | Stage::StandingDown(_) | Stage::Ended(_) => None,
    }
}

fn moving(machine: &Machine, step: Step, now: Timestamp) -> Option<EventKind> {
    let state = &machine.state;
    // A new direction needs new claims before anything else: what is under way for the old one is fenced off.
    if state.direction != state.claimed_for {
        return Some(machine.attempt(AttemptReason::TurnedBack));
    }
    match step {
        Step::Preparing if state.slices.iter().all(|slice| slice.prepared) => Some(EventKind::AllPrepared),
        Step::Activating => activating(machine),
        Step::Confirming if machine.disarmed() => {
            let bake = machine
                .plan
                .services
                .iter()
                .map(|service| service.bake)
                .max()
                .unwrap_or_default();
            if state.reach == Reach::Committed && bake > Duration::ZERO && machine.plan.kind != Kind::Rollback
            {
                Some(EventKind::BakeBegun {
                    until: now.after(bake),
                })
            } else {
                Some(EventKind::FinishBegun)
            }
        }
        Step::Baking if state.reach == Reach::Baked => Some(EventKind::FinishBegun),
        Step::Finishing
            if state
                .places
                .iter()
                .all(|place| matches!(place.hold, Hold::Finished | Hold::Lost | Hold::Taken)) =>
        {
            let lost = state.places.iter().any(|place| place.hold != Hold::Finished);
            Some(if lost {
                closing(Outcome::NeedsHuman)
            } else {
                // What was left out is named, though it is no failure.
                EventKind::Ended {
                    outcome: Outcome::Succeeded,
                    strays: machine.strays(),
                    by: None,
                }
            })
        }
        Step::Holding if machine.disarmed() => Some(closing(Outcome::NeedsHuman)),
        Step::Restoring => restoring(machine, now),
        _ => None,
    }
}

fn activating(machine: &Machine) -> Option<EventKind> {
    let state = &machine.state;
    if state.pace == Pace::Going {
        let ready: Vec<_> = machine
            .plan
            .slice_indices()
            .filter(|slice| machine.to_activate(*slice))
            .collect();
        if !ready.is_empty() {
            return Some(EventKind::BatchIntended { slices: ready });
        }
    }
    // Only a rollback goes on past a slice that failed; when nothing is left that could move, a human has to.
    let failed = machine.plan.kind == Kind::Rollback
        && state
            .slices
            .iter()
            .any(|slice| matches!(slice.at, At::Unknown | At::Overtaken | At::Stuck));
    let busy = |slice: SliceIx| {
        state.slice(slice).at == At::Intended || machine.to_verify(slice) || machine.to_activate(slice)
    };
    (failed && !machine.plan.slice_indices().any(busy)).then(|| closing(Outcome::NeedsHuman))
}

fn restoring(machine: &Machine, now: Timestamp) -> Option<EventKind> {
    let state = &machine.state;
    let ready: Vec<_> = machine
        .plan
        .slice_indices()
        .filter(|slice| state.slice(*slice).at == At::ToRestore && machine.may_restore(*slice))
        .collect();
    if !ready.is_empty() {
        return Some(EventKind::RestoreIntended { slices: ready });
    }
    let running = |slice: &SliceState| matches!(slice.at, At::RestoreIntended | At::Restored);
    if state.slices.iter().any(running) || machine.awaits() {
        return None;
    }
    Some(if state.slices.iter().all(|slice| slice.is_back()) {
        EventKind::AllBack {
            due: now.after(machine.plan.limits.going_back),
        }
    } else if machine.disarmed() {
        closing(Outcome::NeedsHuman)
    } else {
        // What is armed still is needed by what is not off the release: it stays, disarmed, or it would move after the end.
        held("what is left cannot be put back safely")
    })
}

/// Everything stays as it is, for a human.
pub(super) fn held(why: &str) -> EventKind {
    EventKind::HeldBack {
        failure: Failure::new(
            Code::NeedsHuman,
            why,
            "deploy status --refresh looks at what runs now",
        ),
    }
}

fn closing(outcome: Outcome) -> EventKind {
    EventKind::Closing {
        outcome,
        failure: None,
        unmet: Vec::new(),
    }
}

impl Machine {
    /// The next attempt, by the same driver.
    pub(super) fn attempt(&self, reason: AttemptReason) -> EventKind {
        EventKind::AttemptBegun {
            attempt: self.state.attempt.next(),
            reason,
            driver: None,
            because: None,
        }
    }

    /// The next attempt, for what went wrong in this one: of a slice, where it was about one.
    pub(super) fn attempt_after(
        &self,
        reason: AttemptReason,
        slice: Option<SliceIx>,
        failure: Option<&Failure>,
    ) -> EventKind {
        let named = |failure: &Failure| match slice.map(|slice| self.plan.slice(slice)) {
            Some(planned) => {
                let service = &self.plan.service(planned.service).name;
                failure.clone().on(service, Some(&planned.name))
            }
            None => failure.clone(),
        };
        EventKind::AttemptBegun {
            attempt: self.state.attempt.next(),
            reason,
            driver: None,
            because: failure.map(named),
        }
    }

    /// Whether nothing is armed where we could disarm it.
    pub(super) fn disarmed(&self) -> bool {
        !self.plan.slice_indices().any(|slice| self.to_disarm(slice))
    }

    /// The slices that are not where the deployment's end says they should be.
    pub(super) fn strays(&self) -> Vec<SliceIx> {
        let state = &self.state;
        let forward = match state.direction {
            Direction::Forward => true,
            Direction::Back => false,
            Direction::Held => state.reach >= Reach::Committed && !state.turned_back,
        };
        self.plan
            .slice_indices()
            .filter(|slice| {
                let state = state.slice(*slice);
                if forward {
                    !state.is_verified()
                } else {
                    !state.is_back()
                }
            })
            .collect()
    }
}
