//! Effects of going back and of the end: putting back, looking at what was put back, cleaning up.

use super::calls::{PATIENCE_GOING_BACK, SHORT_LIMIT, failed, limited, platform_says, with_edits};
use super::facts::Facts;
use super::health;
use super::retry::{Patience, retry};
use super::runner::{Runner, STEP_LIMIT};
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{PlaceIx, SliceIx};
use deploy_core::machine::{Answer, Effect, Failed, Machine};
use deploy_core::plan::Change;
use deploy_core::port::target::{Cleanup, HealthSeen, Restore};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

impl Runner {
    pub(super) fn verify_old(
        &self,
        effect: Effect,
        slice: SliceIx,
        machine: &Machine,
        facts: &Facts,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (bound, op, name) = self.on_slice(effect, slice, machine, SHORT_LIMIT);
        let wanted = facts.old(&self.plan, slice).clone();
        let was_healthy = facts
            .checkpoint(&self.plan, slice)
            .is_some_and(|checkpoint| checkpoint.health == HealthSeen::Healthy);
        let eyes = self.eyes(slice).filter(|_| was_healthy);
        let sink = Arc::clone(&op.progress);
        Box::pin(async move {
            let inside = match platform_says(&*bound.target, &op, &name, &wanted).await {
                Ok(inside) => inside,
                Err(answer) => return answer,
            };
            let Some(eyes) = eyes else {
                return Answer::Done {
                    note: with_edits("as it was".to_owned(), &inside),
                    warning: None,
                };
            };
            match health::settle(&eyes, &eyes.old, None, &mut |line| sink.step(0, 0, &line)).await {
                Ok(note) => Answer::Done {
                    note: with_edits(note, &inside),
                    warning: None,
                },
                Err(not_well) => Answer::Failed {
                    how: not_well.how,
                    slice: Some(slice),
                    failure: not_well.failure,
                },
            }
        })
    }

    pub(super) fn restore(
        &self,
        effect: Effect,
        slice: SliceIx,
        machine: &Machine,
        facts: &Facts,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (bound, op, name) = self.on_slice(effect, slice, machine, STEP_LIMIT);
        let checkpoint = facts.checkpoint(&self.plan, slice).cloned();
        let ours: Vec<_> = facts.will_be.get(&slice).into_iter().cloned().collect();
        Box::pin(async move {
            let Some(checkpoint) = checkpoint else {
                let failure = Failure::new(
                    Code::CheckpointLost,
                    format!("slice {name} has no checkpoint in the journal"),
                    "deploy a known release forward",
                );
                return Answer::Failed {
                    how: Failed::CheckpointLost,
                    slice: Some(slice),
                    failure,
                };
            };
            let step = Restore {
                slice: name,
                checkpoint,
                ours,
            };
            let verb = retry(Patience::Unreachable(PATIENCE_GOING_BACK), || {
                bound.target.restore(&op, &step)
            });
            match limited(op.limit, verb).await {
                Ok(runs) => Answer::Moved { runs, armed: false },
                Err(error) => failed(error),
            }
        })
    }

    pub(super) fn finish(
        &self,
        effect: Effect,
        place: PlaceIx,
        machine: &Machine,
        release_only: bool,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let id = self.plan.places[place.at()].clone();
        let op = self.op(effect, place, machine, STEP_LIMIT);
        let in_place = |service: deploy_core::id::ServiceIx| {
            self.plan
                .slices
                .iter()
                .any(|slice| slice.service == service && slice.place == place)
        };
        let services: Vec<_> = self
            .plan
            .service_indices()
            .filter(|service| in_place(*service))
            .map(|service| {
                let bound = self.bound[service.at()].clone();
                let cleanup = match self.plan.service(service).change {
                    _ if release_only => Cleanup::ReleaseOnly,
                    Change::Remove => Cleanup::Remove,
                    Change::Move | Change::Keep => Cleanup::Prune { keep: bound.keep },
                };
                (bound, cleanup)
            })
            .collect();
        Box::pin(async move {
            for (bound, cleanup) in services {
                let verb = retry(Patience::Transient(op.limit), || {
                    bound.target.finish(&op, &id, &cleanup)
                });
                if let Err(error) = limited(op.limit, verb).await {
                    return failed(error);
                }
            }
            Answer::Done {
                note: String::new(),
                warning: None,
            }
        })
    }
}
