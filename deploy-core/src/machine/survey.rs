//! What follows from what was seen: by the survey that begins every attempt, and by the last look.

use super::decide::{Reaction, closing};
use super::state::{At, Direction, Reach};
use super::{Failed, Machine, Outcome, Rejected, Sight, SliceSight, TurnReason, Verb};
use crate::event::{AttemptReason, EventKind};
use crate::failure::{Code, Failure};
use crate::id::SliceIx;
use crate::plan::Kind;
use crate::time::Timestamp;

impl Machine {
    /// What matters of what was seen.
    fn sights<'a>(&'a self, seen: &'a [SliceSight]) -> impl Iterator<Item = (SliceIx, SliceSight)> + 'a {
        self.plan
            .slice_indices()
            .filter_map(|slice| Some((slice, self.sight(slice, seen)?)))
    }

    pub(super) fn surveyed_now(
        &self,
        now: Timestamp,
        seen: &[SliceSight],
        surveyed: EventKind,
        outdated: bool,
        failure: Option<&Failure>,
    ) -> Reaction {
        if seen.len() != self.state.slices.len() {
            return Err(Rejected::Mismatch);
        }
        let any = |runs: Sight| self.sights(seen).any(|(_, sight)| sight.runs == runs);
        let exhausted = self.state.tries >= self.plan.limits.attempts;
        let rollback = self.plan.kind == Kind::Rollback;
        let human = || closing(Outcome::NeedsHuman, failure.cloned());
        let follows = match (self.state.direction, self.state.reach) {
            (Direction::Back | Direction::Held, _) => None,
            (_, Reach::Nothing | Reach::Prepared) if outdated && exhausted => Some(closing(
                Outcome::Failed,
                Some(Failure::new(
                    Code::Overtaken,
                    "what runs keeps changing while this deployment starts",
                    "find out who else deploys there: deploy status --refresh",
                )),
            )),
            (_, Reach::Nothing | Reach::Prepared) if outdated => return Ok(vec![EventKind::PlanOutdated]),
            (_, Reach::Nothing | Reach::Prepared) if any(Sight::Unreachable) && !rollback => {
                Some(closing(Outcome::Failed, failure.cloned()))
            }
            (_, Reach::Nothing | Reach::Prepared) => None,
            (_, Reach::Activating) if rollback => None,
            (_, Reach::Activating) => self
                .not_clean(seen)
                .map(|(_, reason)| self.turn_back(now, reason, failure.cloned())),
            (_, Reach::Committed | Reach::Baked) if rollback => {
                if any(Sight::Old) || any(Sight::Foreign) || any(Sight::Unreachable) && exhausted {
                    Some(human())
                } else {
                    any(Sight::Unreachable)
                        .then(|| self.attempt_after(AttemptReason::UnknownOutcome, None, failure))
                }
            }
            // One that is off the release turns all back. A foreign change stays, and so does what cannot be reached.
            (_, Reach::Committed | Reach::Baked) if any(Sight::Old) => {
                Some(self.turn_back(now, TurnReason::Reverted, failure.cloned()))
            }
            (_, Reach::Committed | Reach::Baked) if any(Sight::Foreign) => {
                Some(hold(failure, "somebody else changed what runs"))
            }
            (_, Reach::Committed | Reach::Baked) if any(Sight::Unreachable) && exhausted => {
                Some(hold(failure, "what runs cannot be learned"))
            }
            (_, Reach::Committed | Reach::Baked) => any(Sight::Unreachable)
                .then(|| self.attempt_after(AttemptReason::UnknownOutcome, None, failure)),
            (_, Reach::Finishing) => (any(Sight::Old) || any(Sight::Foreign)).then(human),
        };
        Ok([Some(surveyed), follows].into_iter().flatten().collect())
    }

    /// What cannot be proven clean, and why: every touched slice, open intents included, wholly old or new under our claim, and where
    /// it was armed still armed.
    fn not_clean(&self, seen: &[SliceSight]) -> Option<(SliceIx, TurnReason)> {
        self.sights(seen).find_map(|(slice, sight)| {
            let state = self.state.slice(slice);
            let arms = self.plan.service(self.plan.slice(slice).service).abilities.arms;
            let was_on = state.moves && matches!(state.at, At::Activated | At::Verified | At::Confirmed);
            let reason = match sight.runs {
                Sight::Unreachable => TurnReason::NotClean,
                Sight::Foreign => TurnReason::Foreign,
                Sight::Old if was_on => TurnReason::Reverted,
                Sight::New if !state.touched() && state.moves => TurnReason::Foreign,
                Sight::Gone if state.is_left_out() => return None,
                Sight::Gone => TurnReason::Foreign,
                // It is stopped next, or again: nothing has to be armed for that.
                Sight::New if state.is_left_out() => return None,
                Sight::New if arms && state.moves && !sight.armed => TurnReason::NotClean,
                _ if state.at == At::Unknown => TurnReason::NotClean,
                Sight::Old | Sight::New | Sight::Both => return None,
            };
            Some((slice, reason))
        })
    }

    /// The last look of going back: the old release is everywhere only if every slice was seen so, those included that nobody touched.
    pub(super) fn looked_back(&self, seen: &[SliceSight], failure: Option<&Failure>) -> Reaction {
        if seen.len() != self.state.slices.len() {
            return Err(Rejected::Mismatch);
        }
        let off: Vec<_> = self
            .sights(seen)
            .filter_map(|(slice, sight)| {
                let how = match sight.runs {
                    Sight::Unreachable => Failed::Unreachable,
                    Sight::Foreign => Failed::Overtaken,
                    Sight::New if !self.state.slice(slice).touched() => Failed::Overtaken,
                    Sight::New | Sight::Gone => Failed::NotDone,
                    Sight::Old | Sight::Both if !sight.healthy => Failed::Unhealthy,
                    Sight::Old | Sight::Both => return None,
                };
                Some((slice, how))
            })
            .collect();
        if off.is_empty() {
            return Ok(vec![closing(Outcome::RolledBack, None)]);
        }
        // What can be reached again, or put back again, is: the next survey tells.
        let again = |how: &Failed| matches!(how, Failed::Unreachable | Failed::NotDone);
        if let Some((slice, _)) = off.iter().find(|(_, how)| again(how))
            && self.state.tries < self.plan.limits.attempts
        {
            return Ok(vec![self.attempt_after(
                AttemptReason::UnknownOutcome,
                Some(*slice),
                failure,
            )]);
        }
        let failure = failure.cloned().unwrap_or_else(otherwise);
        Ok(named(&off, &failure).collect())
    }

    pub(super) fn looked(&self, now: Timestamp, seen: &[SliceSight], failure: Option<&Failure>) -> Reaction {
        if seen.len() != self.state.slices.len() {
            return Err(Rejected::Mismatch);
        }
        let off: Vec<_> = self
            .sights(seen)
            .filter_map(|(slice, sight)| {
                let how = match sight.runs {
                    Sight::Unreachable => Failed::Unreachable,
                    Sight::Foreign => Failed::Overtaken,
                    Sight::Old => Failed::NotDone,
                    Sight::New | Sight::Both if !sight.healthy => Failed::Unhealthy,
                    // Left out, and something answers there.
                    Sight::Gone if !sight.healthy => Failed::NotDone,
                    Sight::Gone if self.state.slice(slice).at != At::Excluded => Failed::Overtaken,
                    Sight::New | Sight::Both | Sight::Gone => return None,
                };
                Some((slice, how))
            })
            .collect();
        let reason = match off.first() {
            Some((_, Failed::NotDone)) => TurnReason::Reverted,
            Some((_, Failed::Overtaken)) => TurnReason::Foreign,
            Some((_, Failed::Unhealthy)) => TurnReason::Unhealthy,
            Some(_) => TurnReason::NotClean,
            None => match self.not_clean(seen) {
                None => return Ok(vec![EventKind::Committed]),
                Some((_, reason)) => reason,
            },
        };
        let failure = failure.cloned().unwrap_or_else(otherwise);
        let held = off.iter().any(|(slice, _)| self.holds(*slice));
        let named = named(&off, &failure);
        let follows = if self.plan.kind == Kind::Rollback {
            closing(Outcome::NeedsHuman, Some(failure.clone()))
        } else if held {
            EventKind::HeldBack {
                failure: failure.clone(),
            }
        } else {
            self.turn_back(now, reason, Some(failure.clone()))
        };
        Ok(named.chain([follows]).collect())
    }
}

/// Each slice that a last look found off, by name.
fn named<'a>(off: &'a [(SliceIx, Failed)], failure: &'a Failure) -> impl Iterator<Item = EventKind> + 'a {
    off.iter().map(|(slice, how)| EventKind::SliceFailed {
        slice: *slice,
        step: Verb::Look,
        how: *how,
        failure: failure.clone(),
    })
}

/// For a last look that did not say itself what it found.
fn otherwise() -> Failure {
    Failure::new(
        Code::Overtaken,
        "the last look found it otherwise",
        "deploy status --refresh looks at what runs now",
    )
}

fn hold(failure: Option<&Failure>, why: &str) -> EventKind {
    failure.map_or_else(
        || super::advance::held(why),
        |failure| EventKind::HeldBack {
            failure: failure.clone(),
        },
    )
}
