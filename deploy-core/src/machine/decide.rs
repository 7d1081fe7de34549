//! What follows from an input: pure. Each input is decided upon a scratch copy that has already taken the ones before it.

use super::advance::advance;
use super::state::{At, Direction, Pace, Reach, Stage, Step};
use super::{
    Answer, Ask, Decision, Effect, Failed, Guard, Input, Machine, Outcome, Rejected, Sight, SliceSight,
    TurnReason, Verb, Work,
};
use crate::event::{AttemptReason, EventKind};
use crate::failure::{Code, Failure};
use crate::gate::Verdict;
use crate::id::{DeploymentId, SliceIx};
use crate::plan::{Kind, OnFailure};
use crate::time::Timestamp;

type Reaction = Result<Vec<EventKind>, Rejected>;

pub(super) fn decide(machine: &Machine, now: Timestamp, inputs: &[Input]) -> Result<Decision, Rejected> {
    let mut scratch = machine.clone();
    let mut events = Vec::new();
    let mut rejected = Rejected::NoChange;
    for input in inputs {
        match scratch.react(now, input) {
            Err(why) => rejected = why,
            Ok(reaction) => {
                for event in reaction {
                    scratch.take(event, now, &mut events);
                }
            }
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
            EventKind::ActivationBegun { .. } | EventKind::Gated { .. } => Guard::Evidence,
            EventKind::Committed | EventKind::FinishBegun => Guard::Inbox,
            _ => Guard::Nothing,
        })
    })
}

impl Machine {
    /// Takes an event and all that follows from it by itself.
    fn take(&mut self, event: EventKind, now: Timestamp, events: &mut Vec<EventKind>) {
        let mut next = Some(event);
        while let Some(event) = next {
            self.apply_kind(&event)
                .expect("the machine applies what it decides");
            events.push(event);
            next = advance(self, now);
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
                }]),
                _ => Err(Rejected::NoChange),
            },
            Input::Asked { ask, by } => self.asked(now, *ask, by.as_ref()),
            Input::Elapsed => self.elapsed(now),
            Input::Answered { effect, answer } => {
                if effect.attempt != self.state.attempt {
                    return Err(Rejected::Late);
                }
                if !self.outstanding().contains(effect) {
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
                    _ if self.state.pace == wanted => Err(Rejected::NoChange),
                    (Direction::Back | Direction::Held, _) => Err(Rejected::GoingBack),
                    (_, Reach::Finishing) => Err(Rejected::Finishing),
                    (_, Reach::Committed | Reach::Baked) => Err(Rejected::NoChange),
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
                let mut events: Vec<_> = self
                    .plan
                    .slice_indices()
                    .filter(|slice| !self.state.slice(*slice).is_back())
                    .filter(|slice| {
                        !matches!(
                            self.state.slice(*slice).at,
                            At::Overtaken | At::Stuck | At::Unknown
                        )
                    })
                    .map(|slice| EventKind::SliceUnknown {
                        slice,
                        failure: late("it was not back in time"),
                    })
                    .collect();
                events.push(closing(
                    Outcome::NeedsHuman,
                    Some(late("going back took too long")),
                ));
                Ok(events)
            }
            Direction::Held => Ok(vec![closing(Outcome::NeedsHuman, None)]),
            Direction::Forward if step == Step::Baking || self.plan.kind == Kind::Rollback => {
                Ok(vec![closing(
                    Outcome::NeedsHuman,
                    Some(late("health stayed unclear")),
                )])
            }
            Direction::Forward if self.state.reach == Reach::Activating => Ok(vec![self.turn_back(
                now,
                TurnReason::TooLate,
                Some(late("activation took too long")),
            )]),
            Direction::Forward => Err(Rejected::NoChange),
        }
    }

    fn answered(&self, now: Timestamp, effect: Effect, answer: &Answer) -> Reaction {
        match (effect.work, answer) {
            (Work::Judge, Answer::Judged { verdict, replanned }) => {
                Ok(self.judged(now, verdict, replanned.as_deref()))
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
                },
            ) => Ok(vec![EventKind::SlicePrepared {
                slice,
                checkpoint: checkpoint.clone(),
                will_be: will_be.clone(),
                changes: *changes,
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
            (Work::Look, Answer::Seen { seen, failure, .. }) => Ok(self.looked(now, seen, failure.as_ref())),
            (Work::Verify(slice), Answer::Done { note, .. }) => Ok(vec![EventKind::SliceVerified {
                slice,
                note: note.clone(),
            }]),
            (Work::Confirm(slice), Answer::Done { .. }) => Ok(vec![EventKind::SliceConfirmed { slice }]),
            (Work::Bake, Answer::Done { .. }) => Ok(vec![EventKind::Baked]),
            (Work::Finish(place), Answer::Done { warning, .. }) => Ok(vec![EventKind::PlaceFinished {
                place,
                warning: warning.clone(),
            }]),
            (Work::VerifyOld(slice), Answer::Done { note, .. }) => Ok(vec![EventKind::SliceBack {
                slice,
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

    fn surveyed_now(
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
        let sights: Vec<_> = self
            .plan
            .slice_indices()
            .map(|slice| (slice, self.sight(slice, seen)))
            .collect();
        let unreachable = sights.iter().any(|(_, sight)| sight.runs == Sight::Unreachable);
        let exhausted = self.state.tries >= self.plan.limits.attempts;
        let rollback = self.plan.kind == Kind::Rollback;
        if self.state.direction != Direction::Forward {
            return Ok(vec![surveyed]);
        }
        Ok(match self.state.reach {
            Reach::Nothing | Reach::Prepared if outdated && exhausted => vec![
                surveyed,
                closing(
                    Outcome::Failed,
                    Some(Failure::new(
                        Code::Overtaken,
                        "what runs keeps changing while this deployment starts",
                        "find out who else deploys there: deploy status --refresh",
                    )),
                ),
            ],
            Reach::Nothing | Reach::Prepared if outdated => vec![EventKind::PlanOutdated],
            Reach::Nothing | Reach::Prepared if unreachable && !rollback => {
                vec![surveyed, closing(Outcome::Failed, failure.cloned())]
            }
            Reach::Nothing | Reach::Prepared => vec![surveyed],
            Reach::Activating if rollback => vec![surveyed],
            Reach::Activating => match self.not_clean(&sights) {
                Some(reason) => vec![surveyed, self.turn_back(now, reason, failure.cloned())],
                None => vec![surveyed],
            },
            Reach::Committed | Reach::Baked => {
                let off = sights
                    .iter()
                    .any(|(_, sight)| matches!(sight.runs, Sight::Old | Sight::Foreign));
                if off && !rollback {
                    vec![
                        surveyed,
                        self.turn_back(
                            now,
                            self.not_clean(&sights).unwrap_or(TurnReason::Reverted),
                            failure.cloned(),
                        ),
                    ]
                } else if off || (unreachable && exhausted) {
                    vec![surveyed, closing(Outcome::NeedsHuman, failure.cloned())]
                } else if unreachable {
                    vec![surveyed, self.attempt(AttemptReason::UnknownOutcome)]
                } else {
                    vec![surveyed]
                }
            }
            Reach::Finishing => {
                let off = sights
                    .iter()
                    .any(|(_, sight)| matches!(sight.runs, Sight::Old | Sight::Foreign));
                if off {
                    vec![surveyed, closing(Outcome::NeedsHuman, failure.cloned())]
                } else {
                    vec![surveyed]
                }
            }
        })
    }

    /// Why what was seen cannot be proven clean: every touched slice, open intents included, wholly old or new under our claim,
    /// and where it was armed still armed.
    fn not_clean(&self, sights: &[(SliceIx, SliceSight)]) -> Option<TurnReason> {
        sights.iter().find_map(|(slice, sight)| {
            let state = self.state.slice(*slice);
            let arms = self.plan.service(self.plan.slice(*slice).service).abilities.arms;
            let was_on = state.moves && matches!(state.at, At::Activated | At::Verified | At::Confirmed);
            match sight.runs {
                Sight::Unreachable => Some(TurnReason::NotClean),
                Sight::Foreign => Some(TurnReason::Foreign),
                Sight::Old if was_on => Some(TurnReason::Reverted),
                Sight::New if !state.touched() && state.moves => Some(TurnReason::Foreign),
                Sight::New if arms && state.moves && self.state.reach < Reach::Committed && !sight.armed => {
                    Some(TurnReason::NotClean)
                }
                _ if state.at == At::Unknown => Some(TurnReason::NotClean),
                Sight::Old | Sight::New | Sight::Both => None,
            }
        })
    }

    fn looked(&self, now: Timestamp, seen: &[SliceSight], failure: Option<&Failure>) -> Vec<EventKind> {
        let sights: Vec<_> = self
            .plan
            .slice_indices()
            .map(|slice| (slice, self.sight(slice, seen)))
            .collect();
        let rollback = self.plan.kind == Kind::Rollback;
        let off = |(_, sight): &(SliceIx, SliceSight)| !matches!(sight.runs, Sight::New | Sight::Both);
        let reason = self
            .not_clean(&sights)
            .or_else(|| sights.iter().any(off).then_some(TurnReason::Reverted))
            .or_else(|| {
                sights
                    .iter()
                    .any(|(_, sight)| !sight.healthy)
                    .then_some(TurnReason::Unhealthy)
            });
        match reason {
            None => vec![EventKind::Committed],
            Some(_) if rollback => vec![closing(Outcome::NeedsHuman, failure.cloned())],
            Some(reason) => vec![self.turn_back(now, reason, failure.cloned())],
        }
    }

    fn failed(
        &self,
        now: Timestamp,
        work: Work,
        how: Failed,
        slice: Option<SliceIx>,
        failure: &Failure,
    ) -> Reaction {
        let rollback = self.plan.kind == Kind::Rollback;
        let exhausted = self.state.tries >= self.plan.limits.attempts;
        let (step, slice) = match work {
            Work::Prepare(slice) => (Verb::Prepare, Some(slice)),
            Work::Activate(slice) => (Verb::Activate, Some(slice)),
            Work::Verify(slice) => (Verb::Verify, Some(slice)),
            Work::Confirm(slice) => (Verb::Confirm, Some(slice)),
            Work::Restore(slice) => (Verb::Restore, Some(slice)),
            Work::VerifyOld(slice) => (Verb::VerifyOld, Some(slice)),
            Work::Watch => (Verb::Watch, slice),
            Work::KeepArmed => (Verb::Confirm, None),
            Work::Bake => (Verb::Bake, slice),
            Work::Look | Work::Survey => (Verb::Look, None),
            Work::Finish(_) => (Verb::Finish, None),
            Work::Judge | Work::Claim(_) | Work::Release(_) => return Err(Rejected::Mismatch),
        };
        let named = slice.map(|slice| EventKind::SliceFailed {
            slice,
            step,
            how,
            failure: failure.clone(),
        });
        let mut events: Vec<_> = named.into_iter().collect();
        // An unknown outcome leads to an observation under a new claim, never to a blind retry; so does a fenced write.
        let again = match how {
            Failed::Fenced => Some(AttemptReason::Fenced),
            Failed::Unknown => Some(AttemptReason::UnknownOutcome),
            _ if work == Work::KeepArmed => Some(AttemptReason::Fenced),
            _ => None,
        };
        if let Some(reason) = again
            && !exhausted
        {
            // The slice is not marked: what became of it is learned by looking.
            return Ok(vec![self.attempt(reason)]);
        }
        match (self.state.direction, self.state.reach) {
            (Direction::Back, _) => {
                if work == Work::Survey {
                    events.push(closing(Outcome::NeedsHuman, Some(failure.clone())));
                }
            }
            (Direction::Held, _) => {
                if work != Work::KeepArmed && slice.is_none() {
                    events.push(closing(Outcome::NeedsHuman, Some(failure.clone())));
                }
            }
            (Direction::Forward, Reach::Nothing | Reach::Prepared) => {
                if !(rollback && work != Work::Survey) {
                    events.push(closing(Outcome::Failed, Some(failure.clone())));
                }
            }
            (Direction::Forward, Reach::Finishing) => {
                events.push(closing(Outcome::NeedsHuman, Some(failure.clone())))
            }
            (Direction::Forward, _) if rollback => {
                if slice.is_none() || matches!(work, Work::Watch | Work::Confirm(_)) {
                    events.push(closing(Outcome::NeedsHuman, Some(failure.clone())));
                }
            }
            // Unclear health after the commit point: the new release is left, and a human is asked.
            (Direction::Forward, Reach::Committed | Reach::Baked)
                if work == Work::Bake && how == Failed::Unreachable =>
            {
                events.push(closing(Outcome::NeedsHuman, Some(failure.clone())));
            }
            (Direction::Forward, _) => {
                let holds = slice.is_some_and(|slice| {
                    self.plan.service(self.plan.slice(slice).service).on_failure == OnFailure::Hold
                });
                if holds && self.state.reach == Reach::Activating {
                    events.push(EventKind::HeldBack {
                        failure: failure.clone(),
                    });
                } else {
                    events.push(self.turn_back(now, turn_reason(work, how), Some(failure.clone())));
                }
            }
        }
        Ok(events)
    }

    fn turn_back(&self, now: Timestamp, reason: TurnReason, failure: Option<Failure>) -> EventKind {
        EventKind::TurnedBack {
            reason,
            failure,
            due: now.after(self.plan.limits.going_back),
        }
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

fn closing(outcome: Outcome, failure: Option<Failure>) -> EventKind {
    EventKind::Closing {
        outcome,
        failure,
        unmet: Vec::new(),
    }
}
