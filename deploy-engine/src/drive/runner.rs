//! Effects to port calls and their answers back. Every call has a time limit; what runs out of it is `unknown`. Nothing here
//! decides what a failure means: it is told in kind, and the machine decides.

use super::armed::{Armed, Kept, Loss, needed_by};
use super::bake::Watched;
use super::calls::{PATIENCE_GOING_BACK, SHORT_LIMIT, claim, done, failed, limited};
use super::facts::Facts;
use super::look::Scope;
use super::masks::Masks;
use super::ports;
use super::retry::{Patience, retry};
use super::verify::Side;
use super::wiring::{Bound, Epochs, Needs, Wiring};
use super::{Answered, Drive, DriveError, Judge, Moment, Progress, Told, before};
use crate::clock::Clock;
use crate::failpoint;
use deploy_core::digest::Digest;
use deploy_core::failure::Code;
use deploy_core::id::{DeploymentId, PlaceIx, SliceIx, StoreId};
use deploy_core::machine::state::{Direction, Reach, Stage, Then};
use deploy_core::machine::{Answer, Effect, Failed, Machine, Refusal, Work};
use deploy_core::plan::{Change, Plan};
use deploy_core::port::target::{
    Cause, Checkpoint, Claim, ClaimRequest, Cleanup, HealthSeen, HolderNote, Move, Op, ProgressSink, Runs,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// The longest rest between two attempts at what cannot be reached is this power of two, in seconds.
const LONGEST_REST: u32 = 5;

/// The longest one call on a target may take where no configuration says more: an upload over a slow line.
pub(super) const STEP_LIMIT: Duration = Duration::from_secs(600);

type Task = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// Runs effects of one deployment.
pub(super) struct Runner {
    pub(super) plan: Arc<Plan>,
    pub(super) bound: Arc<Vec<Bound>>,
    wiring: Arc<dyn Wiring>,
    judge: Arc<dyn Judge>,
    clock: Arc<dyn Clock>,
    store: StoreId,
    deployment: DeploymentId,
    who: String,
    known: Epochs,
    tell: mpsc::Sender<Told>,
    /// Values of secrets that a service was given: no answer may quote them.
    masks: Masks,
    /// How often it was waited for what could not be reached.
    rests: AtomicU32,
    /// What goes back by itself unless it is renewed.
    pub(super) kept: Kept,
}

impl Runner {
    /// Binds the machine's plan.
    pub(super) async fn new(drive: &Drive, machine: &Machine) -> Result<Self, DriveError> {
        let plan = Arc::new(machine.plan().clone());
        // Nothing is bound before it moves: a waiting deployment whose sources are not there can still be cancelled.
        let bound = drive
            .wiring
            .bind(&plan, Needs::of(machine))
            .await
            .map_err(|failure| DriveError::Wiring(Box::new(failure)))?;
        let masks = Masks::default();
        // What another process prepared is not prepared again, so that nothing else would bring its secrets here.
        if machine
            .state()
            .slices
            .iter()
            .any(|slice| slice.moves && slice.prepared)
        {
            masks.learn_again(&*drive.wiring, &plan, &bound).await;
        }
        Ok(Self {
            plan,
            bound: Arc::new(bound),
            wiring: Arc::clone(&drive.wiring),
            judge: Arc::clone(&drive.judge),
            clock: Arc::clone(&drive.clock),
            store: drive.journal.store().clone(),
            deployment: drive.deployment.clone(),
            who: drive.who.who.clone(),
            known: drive.wiring.epochs().await,
            tell: drive.tell.clone(),
            masks,
            rests: AtomicU32::new(0),
            kept: Kept::new(machine.plan()),
        })
    }

    /// The future that does an effect. It owns all it needs; dropping it drops the call.
    pub(super) fn run(&self, effect: Effect, moment: Moment, machine: &Machine, facts: &Facts) -> Task {
        let work = effect.work;
        let task: Task = if work == Work::Judge {
            self.judge(moment)
        } else {
            let answer = self.answer(effect, machine, facts);
            Box::pin(async move {
                Answered {
                    answer: answer.await,
                    read: Vec::new(),
                }
            })
        };
        let masks = self.masks.clone();
        Box::pin(async move {
            failpoint::hit(before(work));
            let Answered { answer, read } = task.await;
            Answered {
                answer: masks.answer(answer),
                read,
            }
        })
    }

    fn judge(&self, moment: Moment) -> Task {
        let (judge, plan) = (Arc::clone(&self.judge), Arc::clone(&self.plan));
        Box::pin(async move {
            match judge.judge(&plan, moment).await {
                Ok(judged) => Answered {
                    answer: Answer::Judged {
                        verdict: judged.verdict,
                        replanned: judged.replanned,
                    },
                    read: judged.read,
                },
                Err(failure) => {
                    let how = match failure.code {
                        Code::Unreachable | Code::HostKey => Failed::Unreachable,
                        _ => Failed::NotDone,
                    };
                    let answer = Answer::Failed {
                        how,
                        slice: None,
                        failure: *failure,
                    };
                    Answered {
                        answer,
                        read: Vec::new(),
                    }
                }
            }
        })
    }

    fn answer(
        &self,
        effect: Effect,
        machine: &Machine,
        facts: &Facts,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        match effect.work {
            Work::Judge => Box::pin(std::future::pending()),
            Work::Claim(place) => self.claim(place, machine, facts),
            Work::Survey => {
                let scope = self.scope(machine, facts);
                Box::pin(async move { scope.look(false).await })
            }
            Work::Look if machine.state().direction == Direction::Back => self.look_back(machine, facts),
            Work::Look => {
                let scope = self.scope(machine, facts);
                Box::pin(async move { scope.look(true).await })
            }
            Work::Prepare(slice) => self.prepare(effect, slice, machine, facts),
            Work::Activate(slice) => self.activate(effect, slice, machine, facts),
            Work::Verify(slice) => self.verify(effect, slice, Side::New, machine, facts),
            Work::VerifyOld(slice) => self.verify(effect, slice, Side::Old, machine, facts),
            Work::Stop(slice) => self.stop(effect, slice, machine, facts),
            Work::Restore(slice) => self.restore(effect, slice, machine, facts),
            Work::Confirm(slice) => {
                let (bound, op, name) = self.on_slice(effect, slice, machine, SHORT_LIMIT);
                let settling = self.kept.settle(slice);
                Box::pin(async move {
                    let verb = retry(Patience::Transient(op.limit), || bound.target.confirm(&op, &name));
                    let confirmed = limited(op.limit, verb).await;
                    if confirmed.is_ok() {
                        settling.done();
                    }
                    done(confirmed)
                })
            }
            Work::KeepArmed => self.keep_armed(effect, machine),
            Work::Watch => {
                let slices = super::covers(Work::Watch, machine);
                let watched = self.watched(slices, facts);
                Box::pin(async move { watched.until_unwell().await })
            }
            Work::Bake => {
                let left_out = |slice: &SliceIx| machine.state().slice(*slice).is_left_out();
                let watched = self.watched(
                    self.plan
                        .slice_indices()
                        .filter(|slice| !left_out(slice))
                        .collect(),
                    facts,
                );
                let left = facts
                    .bakes_until
                    .map_or(Duration::ZERO, |until| until.since(self.clock.now()));
                let limit = left + self.plan.limits.bake;
                Box::pin(async move { watched.bake(left, limit).await })
            }
            Work::Reach => {
                let scope = self.scope(machine, facts);
                // A place that answers looks and takes no writes (a full disk) is reached again and again: each time a little later.
                let rests = self.rests.fetch_add(1, Ordering::Relaxed);
                let rest = Duration::from_secs((1 << rests.min(LONGEST_REST)) - 1);
                Box::pin(async move {
                    tokio::time::sleep(rest).await;
                    scope.until_reachable().await
                })
            }
            Work::Finish(place) => self.finish(effect, place, machine, None),
            Work::Release(place) => {
                let only = match machine.state().stage {
                    Stage::StandingDown(Then::Waiting) => Cleanup::Wait,
                    _ => Cleanup::ReleaseOnly,
                };
                self.finish(effect, place, machine, Some(only))
            }
        }
    }

    fn watched(&self, slices: Vec<SliceIx>, facts: &Facts) -> Watched {
        Watched {
            facts: facts.clone(),
            plan: Arc::clone(&self.plan),
            bound: Arc::clone(&self.bound),
            slices,
        }
    }

    pub(super) fn scope(&self, machine: &Machine, facts: &Facts) -> Scope {
        let state = machine.state();
        let patience = if state.direction == Direction::Back {
            Patience::Unreachable(PATIENCE_GOING_BACK)
        } else {
            Patience::Transient(SHORT_LIMIT)
        };
        Scope {
            plan: Arc::clone(&self.plan),
            bound: Arc::clone(&self.bound),
            facts: facts.clone(),
            claims: Scope::claims(machine, |place| self.claim_of(place, machine)),
            untouched: state.reach < Reach::Activating,
            to_spare: self.kept.to_spare(),
            patience,
            clock: Arc::clone(&self.clock),
        }
    }

    fn claim_of(&self, place: PlaceIx, machine: &Machine) -> Option<Claim> {
        let epoch = machine.state().place(place).epoch?;
        Some(Claim {
            store: self.store.clone(),
            deployment: self.deployment.clone(),
            epoch,
        })
    }

    pub(super) fn op(&self, effect: Effect, place: PlaceIx, machine: &Machine, limit: Duration) -> Op {
        let claim = self.claim_of(place, machine).unwrap_or_else(|| {
            // No write is outstanding in a place that was never claimed; epoch 0 equals no claim.
            Claim {
                store: self.store.clone(),
                deployment: self.deployment.clone(),
                epoch: deploy_core::id::Epoch::default(),
            }
        });
        Op {
            key: Digest::of_json(&("deploy.op/1", &self.deployment, effect)),
            claim,
            attempt: effect.attempt,
            limit,
            progress: Arc::new(Sink {
                effect,
                tell: self.tell.clone(),
            }),
        }
    }

    pub(super) fn on_slice(
        &self,
        effect: Effect,
        slice: SliceIx,
        machine: &Machine,
        limit: Duration,
    ) -> (Bound, Op, deploy_core::id::SliceName) {
        let planned = self.plan.slice(slice);
        let bound = self.bound[planned.service.at()].clone();
        (
            bound,
            self.op(effect, planned.place, machine, limit),
            planned.name.clone(),
        )
    }

    fn claim(
        &self,
        place: PlaceIx,
        machine: &Machine,
        facts: &Facts,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let id = self.plan.places[place.at()].clone();
        let target = self
            .plan
            .slices
            .iter()
            .find(|slice| slice.place == place)
            .map(|slice| Arc::clone(&self.bound[slice.service.at()].target));
        let known = machine
            .state()
            .place(place)
            .epoch
            .max(self.known.get(&id).copied())
            .unwrap_or_default();
        let request = ClaimRequest {
            store: self.store.clone(),
            deployment: self.deployment.clone(),
            known,
            may_take: vec![self.deployment.clone()],
            adopt: machine.may_adopt(facts.adopt),
            note: HolderNote {
                who: self.who.clone(),
                since: Some(self.clock.now()),
                step: format!("{} → {}", self.plan.release.number, self.plan.environment),
            },
        };
        let patience = if machine.state().direction == Direction::Back {
            Patience::Unreachable(PATIENCE_GOING_BACK)
        } else {
            Patience::Transient(SHORT_LIMIT)
        };
        let wiring = Arc::clone(&self.wiring);
        Box::pin(async move {
            let Some(target) = target else {
                return Answer::Claimed {
                    epoch: known.next(),
                    adopted: None,
                };
            };
            match claim(&*target, &id, request, &*wiring, patience).await {
                Ok((claim, adopted)) => Answer::Claimed {
                    epoch: claim.epoch,
                    adopted,
                },
                Err(error) => {
                    let refusal = match error.cause {
                        Cause::Held | Cause::Fenced => Refusal::Held,
                        Cause::Unreachable => Refusal::Unreachable,
                        _ => Refusal::Broken,
                    };
                    Answer::ClaimRefused {
                        refusal,
                        failure: *error.failure,
                    }
                }
            }
        })
    }

    fn step(&self, slice: SliceIx, facts: &Facts, arm: Option<Duration>) -> Move {
        let planned = self.plan.slice(slice);
        Move {
            slice: planned.name.clone(),
            to: Arc::clone(&self.bound[planned.service.at()].desired),
            expect: facts.runs.get(&slice).unwrap_or(&planned.now).clone(),
            arm,
            checkpoint: facts.checkpoint(&self.plan, slice).cloned(),
        }
    }

    fn prepare(
        &self,
        effect: Effect,
        slice: SliceIx,
        machine: &Machine,
        facts: &Facts,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (bound, op, _) = self.on_slice(effect, slice, machine, STEP_LIMIT);
        let mut step = self.step(slice, facts, None);
        let health_before = self.health_before(slice);
        let (wiring, plan, name) = (
            Arc::clone(&self.wiring),
            Arc::clone(&self.plan),
            bound.name.clone(),
        );
        let masks = self.masks.clone();
        let keeps = self.plan.service(self.plan.slice(slice).service).change == Change::Keep;
        Box::pin(async move {
            match wiring.with_secrets(&plan, &name).await {
                Ok(desired) => {
                    masks.learn(&desired);
                    step.to = desired;
                }
                Err(failure) => {
                    return Answer::Failed {
                        how: Failed::NotDone,
                        slice: Some(slice),
                        failure,
                    };
                }
            }
            let verb = retry(Patience::Transient(op.limit), || bound.target.prepare(&op, &step));
            let mut prepared = limited(op.limit, verb).await;
            let mut note = None;
            if let Err(error) = &prepared
                && error.failure.code == Code::ArtifactMissing
            {
                match wiring.make_again(&plan, &name, &*op.progress).await {
                    Ok((desired, told)) => {
                        step.to = desired;
                        note = Some(told);
                        let verb = retry(Patience::Transient(op.limit), || bound.target.prepare(&op, &step));
                        prepared = limited(op.limit, verb).await;
                    }
                    Err(failure) => {
                        return Answer::Failed {
                            how: Failed::NotDone,
                            slice: Some(slice),
                            failure,
                        };
                    }
                }
            }
            match prepared {
                Ok(prepared) => {
                    let changes = !keeps && !prepared.checkpoint.was.is_same(&prepared.will_be);
                    let health = match (&step.checkpoint, &prepared.checkpoint.was) {
                        (Some(known), _) => known.health,
                        (None, Runs::Nothing) => HealthSeen::Stopped,
                        (None, Runs::Release { .. }) => health_before.await,
                    };
                    let checkpoint = Checkpoint {
                        health,
                        ..prepared.checkpoint
                    };
                    Answer::Prepared {
                        checkpoint,
                        will_be: prepared.will_be,
                        changes,
                        note,
                    }
                }
                Err(error) => failed(error),
            }
        })
    }

    fn activate(
        &self,
        effect: Effect,
        slice: SliceIx,
        machine: &Machine,
        facts: &Facts,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (bound, op, _) = self.on_slice(effect, slice, machine, STEP_LIMIT);
        let arm = self.kept.span(&self.plan, slice);
        let step = self.step(slice, facts, arm);
        let kept = self.kept.clone();
        let eyes = self.eyes(slice);
        Box::pin(async move {
            if let Err(answer) = ports::stand(&*bound.target, &op, &step, slice, eyes.as_ref()).await {
                return answer;
            }
            let verb = retry(Patience::Transient(op.limit), || {
                bound.target.activate(&op, &step)
            });
            match limited(op.limit, verb).await {
                Ok(runs) => {
                    if arm.is_some() {
                        kept.is_set(slice);
                    }
                    Answer::Moved {
                        runs,
                        armed: arm.is_some(),
                    }
                }
                Err(error) => failed(error),
            }
        })
    }

    fn keep_armed(&self, effect: Effect, machine: &Machine) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let all_armed: Vec<_> = self
            .plan
            .slice_indices()
            .filter(|slice| machine.state().slice(*slice).armed)
            .collect();
        let loss = if machine.hears_of_reverts() {
            Loss::Told
        } else {
            Loss::Unheard
        };
        let armed: Vec<_> = super::covers(effect.work, machine)
            .into_iter()
            .filter_map(|slice| {
                let span = self.kept.span(&self.plan, slice)?;
                let (bound, op, name) = self.on_slice(effect, slice, machine, SHORT_LIMIT);
                Some(Armed {
                    slice,
                    bound,
                    op,
                    name,
                    span,
                    needs: needed_by(&self.plan, slice, &all_armed),
                })
            })
            .collect();
        Box::pin(self.kept.clone().keep(armed, loss))
    }
}

/// Progress of one effect; dropped where nobody keeps up.
#[derive(Debug)]
struct Sink {
    effect: Effect,
    tell: mpsc::Sender<Told>,
}

impl ProgressSink for Sink {
    fn step(&self, done: u64, total: u64, note: &str) {
        let progress = Progress {
            effect: self.effect,
            note: note.to_owned(),
            done,
            total,
        };
        let _full = self.tell.try_send(Told::Progress(progress));
    }
    fn line(&self, text: &str) {
        self.step(0, 0, &deploy_core::failure::printable(text, 300));
    }
}
