//! What follows by itself: events that need no input beyond the ones before them. Each batch of a decision runs until nothing
//! follows any more, so that one transaction carries it as far as it goes.

use super::state::{At, Direction, Hold, Pace, Reach, Stage, Step};
use super::{Machine, Outcome};
use crate::event::{AttemptReason, EventKind};
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
    let back = matches!(step, Step::Restoring);
    if state.direction == Direction::Back && !back && !machine.attempt_is_back() {
        return Some(machine.attempt(AttemptReason::TurnedBack));
    }
    match step {
        Step::Preparing if state.slices.iter().all(|slice| slice.prepared) => Some(EventKind::AllPrepared),
        Step::Activating => activating(machine),
        Step::Confirming if state.slices.iter().all(|slice| !slice.armed) => {
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
                .all(|place| matches!(place.hold, Hold::Finished | Hold::Lost)) =>
        {
            let lost = state.places.iter().any(|place| place.hold == Hold::Lost);
            Some(if lost {
                closing(Outcome::NeedsHuman)
            } else {
                ended(Outcome::Succeeded)
            })
        }
        Step::Holding if state.slices.iter().all(|slice| !slice.armed) => Some(closing(Outcome::NeedsHuman)),
        Step::Restoring => restoring(machine),
        _ => None,
    }
}

fn activating(machine: &Machine) -> Option<EventKind> {
    let state = &machine.state;
    let ready: Vec<_> = machine
        .plan
        .slice_indices()
        .filter(|slice| {
            let of = state.slice(*slice);
            of.at == At::Untouched && of.moves && of.prepared && machine.may_activate(*slice)
        })
        .collect();
    if !ready.is_empty() && state.pace == Pace::Going {
        return Some(EventKind::BatchIntended { slices: ready });
    }
    // Only a rollback goes on past a slice that failed; when nothing is left that could move, a human has to.
    let running = state
        .slices
        .iter()
        .any(|slice| matches!(slice.at, At::Intended | At::Activated))
        || machine.plan.slice_indices().any(|slice| machine.to_verify(slice));
    let failed = state
        .slices
        .iter()
        .any(|slice| matches!(slice.at, At::Unknown | At::Overtaken | At::Stuck));
    (machine.plan.kind == Kind::Rollback && failed && !running && ready.is_empty())
        .then(|| closing(Outcome::NeedsHuman))
}

fn restoring(machine: &Machine) -> Option<EventKind> {
    let state = &machine.state;
    let ready: Vec<_> = machine
        .plan
        .slice_indices()
        .filter(|slice| state.slice(*slice).at == At::ToRestore && machine.may_restore(*slice))
        .collect();
    if !ready.is_empty() {
        return Some(EventKind::RestoreIntended { slices: ready });
    }
    if state
        .slices
        .iter()
        .any(|slice| matches!(slice.at, At::RestoreIntended | At::Restored))
    {
        return None;
    }
    let back = state.slices.iter().all(|slice| slice.is_back());
    Some(closing(if back {
        Outcome::RolledBack
    } else {
        Outcome::NeedsHuman
    }))
}

fn closing(outcome: Outcome) -> EventKind {
    EventKind::Closing {
        outcome,
        failure: None,
        unmet: Vec::new(),
    }
}

fn ended(outcome: Outcome) -> EventKind {
    EventKind::Ended {
        outcome,
        strays: Vec::new(),
        by: None,
    }
}

impl Machine {
    /// The next attempt, by the same driver.
    pub(super) fn attempt(&self, reason: AttemptReason) -> EventKind {
        EventKind::AttemptBegun {
            attempt: self.state.attempt.next(),
            reason,
            driver: None,
        }
    }

    /// Whether the current attempt began after the deployment turned back: then it is claiming or surveying for that.
    fn attempt_is_back(&self) -> bool {
        matches!(
            self.state.stage,
            Stage::Moving(Step::Claiming | Step::Surveying | Step::Restoring)
        )
    }

    /// The slices that are not where the deployment's end says they should be.
    pub(super) fn strays(&self) -> Vec<crate::id::SliceIx> {
        let forward = self.state.direction == Direction::Forward;
        self.plan
            .slice_indices()
            .filter(|slice| {
                let state = self.state.slice(*slice);
                if forward {
                    !state.is_verified()
                } else {
                    !state.is_back()
                }
            })
            .collect()
    }
}
