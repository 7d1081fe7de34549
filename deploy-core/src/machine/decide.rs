//! What follows from an input: pure. Each input is decided upon a scratch copy that has already taken the ones before it.

use super::advance::advance;
use super::state::{At, Direction, Pace, Reach, Stage, Step};
use super::{Answer, Ask, Decision, Effect, Guard, Input, Machine, Outcome, Rejected, TurnReason, Work};
use crate::event::{AttemptReason, EventKind};
use crate::failure::{Code, Failure};
use crate::gate::Verdict;
use crate::id::DeploymentId;
use crate::plan::Kind;
use crate::time::Timestamp;

pub(super) type Reaction = Result<Vec<EventKind>, Rejected>;

pub(super) fn decide(machine: &Machine, now: Timestamp, inputs: &[Input]) -> Result<Decision, Rejected> {
    let mut scratch = machine.clone();
    let mut events = Vec::new();
    let mut rejected = Rejected::NoChange;
    for input in inputs {
        match scratch.react(now, input) {
            Err(why) => rejected = why,
            Ok(reaction) => scratch.take(reaction, now, &mut events),
        }
    }
    if events.is_empty() {
        Err(rejected)
    } else {
        Ok(Decision {
            guard: guard(&events),
            events,
        })
    }
}

fn guard(events: &[EventKind]) -> Guard {
    events.iter().fold(Guard::Nothing, |guard, event| {
        guard.max(match event {
            // Also waiting: evidence that came in while the gates were judged must not be slept through.
            EventKind::ActivationBegun { .. }
            | EventKind::Gated { .. }
            | EventKind::Waiting { .. }
            | EventKind::Closing {
                outcome: Outcome::Refused,
                ..
            } => Guard::Evidence,
            EventKind::Committed | EventKind::FinishBegun => Guard::Inbox,
            _ => Guard::Nothing,
        })
    })
}

impl Machine {
    /// Takes what follows from an input, then all that follows from that by itself.
    fn take(&mut self, reaction: Vec<EventKind>, now: Timestamp, events: &mut Vec<EventKind>) {
        let mut apply = |machine: &mut Self, event: EventKind| {
            machine
                .apply_kind(&event)
                .expect("the machine applies what it decides: the model checker holds this");
            events.push(event);
        };
        for event in reaction {
            apply(self, event);
        }
        while let Some(event) = advance(self, now) {
            apply(self, event);
        }
    }

    fn react(&self, now: Timestamp, input: &Input) -> Reaction {
        if matches!(self.state.stage, Stage::Ended(_)) {
            return Err(Rejected::Over);
        }
        match input {
            Input::Taken { driver } => match self.state.stage {
                Stage::Moving(_) => Ok(vec![EventKind::AttemptBegun {
                    attempt: self.state.attempt.next(),
                    reason: AttemptReason::Takeover,
                    driver: Some(driver.clone()),
                    because: None,
                }]),
                _ => Err(Rejected::NoChange),
            },
            Input::Asked { ask, by } => self.asked(now, *ask, by.as_ref()),
            Input::Elapsed => self.elapsed(now),
            Input::Answered { effect, answer } => {
                if effect.attempt != self.state.attempt {
                    return Err(Rejected::Late);
                }
                if !self.is_outstanding(effect.work) {
                    return Err(Rejected::NotOutstanding);
                }
                self.answered(now, *effect, answer)
            }
        }
    }

    fn asked(&self, now: Timestamp, ask: Ask, by: Option<&DeploymentId>) -> Reaction {
        let stage = self.state.stage;
        let accepted = EventKind::AskAccepted { ask };
        match ask {
            Ask::Cancel => match stage {
                Stage::Closing(_) | Stage::Ended(_) => Err(Rejected::NoChange),
                Stage::Open | Stage::Waiting | Stage::Ready | Stage::StandingDown(_) => {
                    Ok(vec![accepted, closing(Outcome::Cancelled, None)])
                }
                Stage::Moving(_) => match (self.state.direction, self.state.reach) {
                    (Direction::Back | Direction::Held, _) => Err(Rejected::GoingBack),
                    (_, Reach::Finishing) => Err(Rejected::Finishing),
                    (_, Reach::Nothing | Reach::Prepared) => {
                        Ok(vec![accepted, closing(Outcome::Cancelled, None)])
                    }
                    _ if self.plan.kind == Kind::Rollback => Err(Rejected::GoingBack),
                    _ => Ok(vec![accepted, self.turn_back(now, TurnReason::Cancelled, None)]),
                },
            },
            Ask::Abandon => {
                let outcome = if self.state.reach >= Reach::Activating {
                    Outcome::NeedsHuman
                } else {
                    Outcome::Cancelled
                };
                let strays = if outcome == Outcome::NeedsHuman {
                    self.strays()
                } else {
                    Vec::new()
                };
                Ok(vec![
                    accepted,
                    EventKind::Ended {
                        outcome,
                        strays,
                        by: None,
                    },
                ])
            }
            Ask::Pause | Ask::Continue => {
                let wanted = if ask == Ask::Pause {
                    Pace::Paused
                } else {
                    Pace::Going
                };
                match (self.state.direction, self.state.reach) {
                    _ if self.state.pace == wanted || matches!(stage, Stage::Closing(_)) => {
                        Err(Rejected::NoChange)
                    }
                    (Direction::Back | Direction::Held, _) => Err(Rejected::GoingBack),
                    (_, Reach::Finishing) => Err(Rejected::Finishing),
                    (_, Reach::Committed | Reach::Baked) => Err(Rejected::NoChange),
                    // A pause does not eat the time to the commit point.
                    _ if ask == Ask::Continue && self.state.due.is_some() => Ok(vec![
                        accepted,
                        EventKind::DeadlineMoved {
                            due: now.after(self.plan.limits.activation),
                        },
                    ]),
                    _ => Ok(vec![accepted]),
                }
            }
            Ask::Recheck => match stage {
                Stage::Waiting => Ok(vec![accepted]),
                _ => Err(Rejected::NoChange),
            },
            Ask::Supersede => match stage {
                Stage::Open | Stage::Waiting if self.plan.kind != Kind::Rollback => {
                    Ok(vec![EventKind::Ended {
                        outcome: Outcome::Superseded,
                        strays: Vec::new(),
                        by: by.cloned(),
                    }])
                }
                _ => Err(Rejected::NoChange),
            },
        }
    }

    fn elapsed(&self, now: Timestamp) -> Reaction {
        if self.state.due.is_none_or(|due| now < due) {
            return Err(Rejected::NoChange);
        }
        let Stage::Moving(step) = self.state.stage else {
            return Err(Rejected::NoChange);
        };
        let late = |what: &str| {
            Failure::new(
                Code::TimedOut,
                what.to_owned(),
                "deploy status --refresh looks at what runs now",
            )
        };
        match self.state.direction {
            Direction::Back => {
                let failure = late("going back took too long");
                let mut events: Vec<_> = self
                    .plan
                    .slice_indices()
                    .filter(|slice| {
                        let state = self.state.slice(*slice);
                        let settled = matches!(state.at, At::Overtaken | At::Stuck | At::Unknown);
                        !settled && (step == Step::LookingBack || !state.is_back())
                    })
                    .map(|slice| EventKind::SliceUnknown {
                        slice,
                        failure: late("it was not back in time"),
                    })
                    .collect();
                // What may be armed is disarmed first: nothing moves after the end.
                let disarmed = matches!(step, Step::Restoring | Step::LookingBack) && self.disarmed();
                events.push(if disarmed {
                    closing(Outcome::NeedsHuman, Some(failure))
                } else {
                    EventKind::HeldBack { failure }
                });
                Ok(events)
            }
            Direction::Forward if step == Step::Baking || self.plan.kind == Kind::Rollback => {
                Ok(vec![closing(
                    Outcome::NeedsHuman,
                    Some(late("health stayed unclear")),
                )])
            }
            Direction::Forward if self.state.reach == Reach::Activating && self.state.pace == Pace::Going => {
                Ok(vec![self.turn_back(
                    now,
                    TurnReason::TooLate,
                    Some(late("activation took too long")),
                )])
            }
            Direction::Forward | Direction::Held => Err(Rejected::NoChange),
        }
    }

    fn answered(&self, now: Timestamp, effect: Effect, answer: &Answer) -> Reaction {
        match (effect.work, answer) {
            (Work::Judge, Answer::Judged { verdict, replanned }) => {
                Ok(self.judged(now, verdict, replanned.as_deref()))
            }
            // A place whose epoch does not rise does not fence.
            (Work::Claim(place), Answer::Claimed { epoch, .. })
                if self.state.place(place).epoch.is_some_and(|known| known >= *epoch) =>
            {
                Err(Rejected::Mismatch)
            }
            (Work::Claim(place), Answer::Claimed { epoch, adopted }) => Ok(vec![EventKind::Claimed {
                place,
                epoch: *epoch,
                adopted: adopted.clone(),
            }]),
            (Work::Claim(place), Answer::ClaimRefused { refusal, failure }) => {
                let failed = EventKind::ClaimFailed {
                    place,
                    refusal: *refusal,
                    failure: failure.clone(),
                };
                let hopeless = self.state.reach < Reach::Activating && self.plan.kind != Kind::Rollback;
                // Something was touched, or it is a rollback: the rest goes on without this place.
                Ok(if hopeless {
                    vec![failed, closing(Outcome::Failed, Some(failure.clone()))]
                } else {
                    vec![failed]
                })
            }
            (
                Work::Survey,
                Answer::Seen {
                    seen,
                    runs,
                    outdated,
                    failure,
                    ..
                },
            ) => self.surveyed_now(
                now,
                seen,
                EventKind::Surveyed {
                    seen: seen.clone(),
                    runs: runs.clone(),
                },
                *outdated,
                failure.as_ref(),
            ),
            (
                Work::Prepare(slice),
                Answer::Prepared {
                    checkpoint,
                    will_be,
                    changes,
                    note,
                },
            ) => Ok(vec![EventKind::SlicePrepared {
                slice,
                checkpoint: checkpoint.clone(),
                will_be: will_be.clone(),
                changes: *changes,
                note: note.clone(),
            }]),
            (Work::Activate(slice), Answer::Moved { runs, armed }) => Ok(vec![EventKind::SliceActivated {
                slice,
                runs: runs.clone(),
                armed: *armed,
            }]),
            (Work::Restore(slice), Answer::Moved { runs, .. }) => Ok(vec![EventKind::SliceRestored {
                slice,
                runs: runs.clone(),
            }]),
            (Work::Look, Answer::Seen { fresh: false, .. }) => Err(Rejected::Stale),
            (Work::Look, Answer::Seen { seen, failure, .. })
                if self.state.stage == Stage::Moving(Step::LookingBack) =>
            {
                self.looked_back(seen, failure.as_ref())
            }
            (Work::Look, Answer::Seen { seen, failure, .. }) => self.looked(now, seen, failure.as_ref()),
            (Work::Reach, Answer::Done { .. }) => Ok(vec![self.attempt(AttemptReason::Reachable)]),
            (Work::Verify(slice), Answer::Verified { health, note }) => Ok(vec![EventKind::SliceVerified {
                slice,
                health: *health,
                note: note.clone(),
            }]),
            (Work::Stop(slice), Answer::Verified { note, .. }) => Ok(vec![EventKind::SliceExcluded {
                slice,
                note: note.clone(),
            }]),
            (Work::Confirm(slice), Answer::Done { .. }) => Ok(vec![EventKind::SliceConfirmed { slice }]),
            (Work::Bake, Answer::Done { .. }) => Ok(vec![EventKind::Baked]),
            (Work::Finish(place), Answer::Done { warning, .. }) => Ok(vec![EventKind::PlaceFinished {
                place,
                warning: warning.clone(),
            }]),
            (Work::VerifyOld(slice), Answer::Verified { health, note }) => Ok(vec![EventKind::SliceBack {
                slice,
                health: *health,
                note: note.clone(),
            }]),
            (Work::Release(place), Answer::Done { warning, .. }) => Ok(vec![EventKind::PlaceReleased {
                place,
                warning: warning.clone(),
            }]),
            // A claim that cannot be given back is taken by the next deployment, from this ended one.
            (Work::Release(place), Answer::Failed { failure, .. }) => Ok(vec![EventKind::PlaceReleased {
                place,
                warning: Some(failure.clone()),
            }]),
            (work, Answer::Failed { how, slice, failure }) => self.failed(now, work, *how, *slice, failure),
            _ => Err(Rejected::Mismatch),
        }
    }

    fn judged(
        &self,
        now: Timestamp,
        verdict: &Verdict,
        replanned: Option<&crate::plan::Plan>,
    ) -> Vec<EventKind> {
        let mut events: Vec<_> = replanned
            .map(|plan| EventKind::Planned {
                plan: Box::new(plan.clone()),
                digest: plan.digest(),
            })
            .into_iter()
            .collect();
        let plan = replanned.unwrap_or(&self.plan);
        events.push(match verdict {
            Verdict::Waits { unmet } => EventKind::Waiting { unmet: unmet.clone() },
            Verdict::Refuses { unmet } => EventKind::Closing {
                outcome: Outcome::Refused,
                failure: None,
                unmet: unmet.clone(),
            },
            Verdict::Holds if self.state.stage == Stage::Open => EventKind::Gated { plan: plan.digest() },
            Verdict::Holds => EventKind::ActivationBegun {
                due: now.after(self.plan.limits.activation),
            },
        });
        events
    }

    pub(super) fn turn_back(
        &self,
        now: Timestamp,
        reason: TurnReason,
        failure: Option<Failure>,
    ) -> EventKind {
        EventKind::TurnedBack {
            reason,
            failure,
            due: now.after(self.plan.limits.going_back),
        }
    }
}

pub(super) fn closing(outcome: Outcome, failure: Option<Failure>) -> EventKind {
    EventKind::Closing {
        outcome,
        failure,
        unmet: Vec::new(),
    }
}
