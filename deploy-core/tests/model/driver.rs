//! A process is a driver as the crate's contract describes it: decide, append, apply, start what is outstanding.

use crate::config::{Config, runs};
use crate::invariants::{self, Invariant, Violation, broken};
use crate::mutants::{self, Mutant};
use crate::target::{self, Call};
use crate::trace;
use crate::world::{Ans, Cargo, PLACE_OF, Proc, SLICES, World};
use deploy_core::digest::Digest;
use deploy_core::event::{Event, EventKind, Recorded, SCHEMA};
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::{GateKind, Opens, Unmet, Verdict};
use deploy_core::id::{Actor, Seq};
use deploy_core::machine::state::Hold;
use deploy_core::machine::{Answer, Decision, Failed, Guard, Input, Machine, Rejected, Sight, Work};
use deploy_core::port::target::{Checkpoint, HealthSeen};
use deploy_core::time::Timestamp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::steps::msg;

impl World {
    pub(crate) fn deliver(&mut self, config: &Config, call: &Call, answer: Ans) -> Result<(), Violation> {
        let Some((side, knows)) = self.knows(call.from) else {
            return Ok(());
        };
        let mut effect = msg(call, Cargo::Request).effect();
        if config.mutant == Some(Mutant::LateAnswers) {
            effect.attempt = knows.state().attempt;
        }
        let base = self.side(side).base;
        let plan = |base| (*config.plan(side, base)).clone();
        let (answer, evidence) = match answer {
            Ans::Holds {
                base: judged,
                evidence,
            }
            | Ans::Waits {
                base: judged,
                evidence,
            } => {
                let verdict = if matches!(answer, Ans::Holds { .. }) {
                    Verdict::Holds
                } else {
                    Verdict::Waits { unmet: vec![unmet()] }
                };
                let replanned = (judged != base).then(|| Box::new(plan(judged)));
                (Answer::Judged { verdict, replanned }, Some(evidence))
            }
            Ans::Refuses => (
                Answer::Judged {
                    verdict: Verdict::Refuses { unmet: vec![unmet()] },
                    replanned: None,
                },
                None,
            ),
            Ans::Claimed(epoch) => (Answer::Claimed { epoch, adopted: None }, None),
            Ans::Refused(refusal) => (
                Answer::ClaimRefused {
                    refusal,
                    failure: failure(),
                },
                None,
            ),
            Ans::Seen {
                seen,
                outdated,
                fresh,
            } => (
                Answer::Seen {
                    seen: seen.to_vec(),
                    runs: Vec::new(),
                    outdated,
                    fresh,
                    failure: None,
                },
                None,
            ),
            Ans::Prepared { changes } => (
                Answer::Prepared {
                    checkpoint: checkpoint(),
                    will_be: runs(1),
                    changes,
                    note: None,
                },
                None,
            ),
            Ans::Moved { armed } => (Answer::Moved { runs: runs(1), armed }, None),
            Ans::Done => (well(call.work), None),
            Ans::Failed { how, slice } => (
                Answer::Failed {
                    how,
                    slice,
                    failure: failure(),
                },
                None,
            ),
        };
        let input = Input::Answered { effect, answer };
        self.feed_input(config, call.from, &input, evidence)?;
        Ok(())
    }

    /// One turn of a driver: decide, append, apply. Whether anything was stored.
    pub(crate) fn feed_input(
        &mut self,
        config: &Config,
        proc: u8,
        input: &Input,
        evidence: Option<u8>,
    ) -> Result<bool, Violation> {
        let (side, knows) = self.knows(proc).expect("it runs");
        let knows = Arc::clone(knows);
        let asleep = matches!(self.procs[usize::from(proc)], Proc::Stale { .. });
        let Ok(mut decision) = decide(&knows, input)? else {
            return Ok(false);
        };
        mutants::alter(config.mutant, &mut decision.events);
        if asleep && config.mutant != Some(Mutant::StaleAppends) {
            self.tell(|| "the journal takes nothing: the lease is another's".to_owned());
            // The journal refuses: the lease is another's. Its writer stops.
            self.stop(proc);
            return Ok(true);
        }
        let heard = self.side(side).inbox.is_empty() || config.mutant == Some(Mutant::CommitUnheard);
        let unchanged = evidence.is_none_or(|evidence| evidence == self.side(side).evidence);
        let stored = match decision.guard {
            Guard::Nothing => true,
            Guard::Inbox => heard,
            Guard::Evidence => heard && unchanged,
        };
        if !stored {
            self.tell(|| "the journal takes nothing: a request or evidence came in".to_owned());
            return Ok(false);
        }
        self.append(config, side, &decision, asleep)?;
        self.observed(side, input);
        Ok(true)
    }

    /// What the journal takes of a decision; `asleep`: its writer has lost the lease.
    pub(crate) fn append(
        &mut self,
        config: &Config,
        side: u8,
        decision: &Decision,
        asleep: bool,
    ) -> Result<(), Violation> {
        let first = Arc::clone(&self.side(side).machine);
        for kind in &decision.events {
            let before = Arc::clone(&self.side(side).machine);
            if let EventKind::BatchIntended { slices } = kind {
                for slice in slices {
                    self.side_mut(side).intended |= 1 << slice.at();
                }
            }
            if let EventKind::RestoreIntended { slices } = kind {
                for slice in slices {
                    self.side_mut(side).restoring |= 1 << slice.at();
                }
            }
            if let EventKind::ExclusionIntended { slice } = kind {
                self.side_mut(side).stopping |= 1 << slice.at();
            }
            if let EventKind::Planned { plan, .. } = kind {
                let base = config.base_of(side, plan);
                let of = self.side_mut(side);
                of.base = base;
                // Nothing was touched: what was prepared for the old plan counts no more.
                of.in_journal = 0;
            }
            if let EventKind::SlicePrepared { slice, .. } = kind {
                let unit = before.plan().slice(*slice).unit.at();
                self.side_mut(side).in_journal |= 1 << unit;
            }
            let mut after = (*before).clone();
            let recorded = Recorded::stored(event(kind.clone()), nothing());
            if let Err(corrupt) = after.apply(&recorded) {
                let which = if asleep {
                    Invariant::OneJournalWriter
                } else {
                    Invariant::EveryPrefixFolds
                };
                return broken(which, format!("{kind:?}: {corrupt}"));
            }
            self.tell(|| trace::event(kind));
            invariants::on_event(self, config, side, &before, &after, kind)?;
            self.side_mut(side).machine = Arc::new(after);
        }
        let last = Arc::clone(&self.side(side).machine);
        invariants::on_survey(&first, &last, &decision.events)?;
        invariants::on_exclusion(&decision.events)?;
        if asleep {
            return broken(Invariant::OneJournalWriter, format!("{:?}", decision.events));
        }
        if last.ended().is_some() {
            self.over(side);
        }
        Ok(())
    }

    fn over(&mut self, side: u8) {
        for proc in 0..2u8 {
            if matches!(self.procs[usize::from(proc)], Proc::Driving { side: of } if of == side) {
                self.stop(proc);
            }
        }
        let of = self.side_mut(side);
        of.holder = None;
        of.inbox.clear();
    }

    /// What a side has now been told, it has seen.
    fn observed(&mut self, side: u8, input: &Input) {
        let Input::Answered { effect, answer } = input else {
            return;
        };
        let base = self.side(side).base;
        let now: [Sight; SLICES] = std::array::from_fn(|slice| target::sight(self, side, base, slice));
        let machine = Arc::clone(&self.side(side).machine);
        // Only what it relies on: where it has no claim, it has seen nothing.
        let mut saw = |slice: usize| {
            if machine.state().places[PLACE_OF[slice]].hold == Hold::Held {
                self.slices[slice].unseen &= !(1 << side);
            }
        };
        match (answer, effect.work) {
            (Answer::Seen { seen, .. }, _) => {
                for (slice, sight) in seen.iter().enumerate() {
                    if matches!(sight.runs, Sight::Foreign | Sight::Old) && now[slice] == sight.runs {
                        saw(slice);
                    }
                }
            }
            (
                Answer::Failed {
                    how: Failed::Overtaken,
                    ..
                },
                Work::Prepare(slice)
                | Work::Activate(slice)
                | Work::Verify(slice)
                | Work::Stop(slice)
                | Work::Restore(slice)
                | Work::VerifyOld(slice),
            ) => saw(slice.at()),
            (
                Answer::Failed {
                    how: Failed::Overtaken | Failed::NotDone,
                    slice: Some(slice),
                    ..
                },
                _,
            ) => saw(slice.at()),
            _ => {}
        }
    }
}

pub(crate) type Decided = Result<Decision, Rejected>;

fn decide(machine: &Machine, input: &Input) -> Result<Decided, Violation> {
    // Every limit is zero, so that any timer may elapse at any point and no time is part of a state.
    unless_it_panics(input, || {
        machine.decide(Timestamp(0), std::slice::from_ref(input))
    })
}

pub(crate) fn unless_it_panics(
    input: &Input,
    decide: impl FnOnce() -> Decided,
) -> Result<Decided, Violation> {
    catch_unwind(AssertUnwindSafe(decide)).or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        broken(Invariant::NeverPanics, format!("{input:?}: {text}"))
    })
}

fn event(kind: EventKind) -> Event {
    Event {
        seq: Seq(1),
        at: Timestamp(0),
        environment: None,
        deployment: None,
        actor: Actor::new("a").expect("a name"),
        schema: SCHEMA,
        kind,
    }
}

fn failure() -> Failure {
    Failure::new(Code::RemoteFailed, "", "")
}

fn unmet() -> Unmet {
    Unmet {
        gate: GateKind::Approval,
        reason: String::new(),
        earliest: None,
        opens: Opens::ByPeople,
        next: String::new(),
    }
}

fn well(work: Work) -> Answer {
    match work {
        Work::Verify(_) | Work::VerifyOld(_) | Work::Stop(_) => Answer::Verified {
            health: HealthSeen::Healthy,
            note: String::new(),
        },
        _ => Answer::Done { warning: None },
    }
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        reference: String::new(),
        digest: nothing(),
        was: runs(0),
        health: HealthSeen::Healthy,
    }
}

fn nothing() -> Digest {
    static NOTHING: std::sync::LazyLock<Digest> = std::sync::LazyLock::new(|| Digest::of(""));
    *NOTHING
}
