//! Effects of going back and of the end: putting back, cleaning up.

use super::calls::{PATIENCE_GOING_BACK, failed, limited};
use super::facts::Facts;
use super::retry::{Patience, retry};
use super::runner::{Runner, STEP_LIMIT};
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{PlaceIx, SliceIx};
use deploy_core::machine::{Answer, Effect, Failed, Machine};
use deploy_core::plan::Change;
use deploy_core::port::target::{Cleanup, Restore, Runs};
use std::future::Future;
use std::pin::Pin;

impl Runner {
    pub(super) fn restore(
        &self,
        effect: Effect,
        slice: SliceIx,
        machine: &Machine,
        facts: &Facts,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (bound, op, name) = self.on_slice(effect, slice, machine, STEP_LIMIT);
        let checkpoint = facts.checkpoint(&self.plan, slice).cloned();
        let settling = self.kept.settle(slice);
        // Where it was stopped, nothing may run.
        let stopped = facts.stopping.contains(&slice).then_some(Runs::Nothing);
        let ours: Vec<_> = facts
            .will_be
            .get(&slice)
            .cloned()
            .into_iter()
            .chain(stopped)
            .collect();
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
                Ok(runs) => {
                    settling.done();
                    Answer::Moved { runs, armed: false }
                }
                Err(error) => failed(error),
            }
        })
    }

    pub(super) fn finish(
        &self,
        effect: Effect,
        place: PlaceIx,
        machine: &Machine,
        only: Option<Cleanup>,
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
                let all = match self.plan.service(service).change {
                    Change::Remove => Cleanup::Remove,
                    Change::Move | Change::Keep => Cleanup::Prune { keep: bound.keep },
                };
                let cleanup = only.clone().unwrap_or(all);
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
            Answer::Done { warning: None }
        })
    }
}
