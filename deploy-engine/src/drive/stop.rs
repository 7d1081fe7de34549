//! Taking a slice out of service that failed within its service's failure budget, and seeing that it is out.

use super::calls::{failed, limited};
use super::facts::Facts;
use super::gone;
use super::retry::{Patience, retry};
use super::runner::{Runner, STEP_LIMIT};
use deploy_core::failure::{Code, Failure};
use deploy_core::id::SliceIx;
use deploy_core::machine::{Answer, Effect, Failed, Machine};
use deploy_core::port::target::{HealthSeen, Runs, Stop};
use std::future::Future;
use std::pin::Pin;

impl Runner {
    /// Stops a slice. It counts as stopped only where the platform says that nothing runs there, and no probe hears anybody.
    pub(super) fn stop(
        &self,
        effect: Effect,
        slice: SliceIx,
        machine: &Machine,
        facts: &Facts,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (bound, op, name) = self.on_slice(effect, slice, machine, STEP_LIMIT);
        let settling = self.kept.settle(slice);
        let new = facts.will_be.get(&slice).cloned();
        let old = facts.old(&self.plan, slice).clone();
        let step = Stop {
            slice: name.clone(),
            may_run: new.into_iter().chain([old, Runs::Nothing]).collect(),
        };
        let eyes = bound.eyes.get(&name).cloned();
        Box::pin(async move {
            let verb = retry(Patience::Transient(op.limit), || bound.target.stop(&op, &step));
            match limited(op.limit, verb).await {
                Ok(Runs::Nothing) => settling.done(),
                Ok(Runs::Release { .. }) => return still_there(slice),
                Err(error) => return failed(error),
            }
            let silent = match &eyes {
                Some(eyes) => gone::until_silent(eyes).await,
                None => Ok(()),
            };
            match silent {
                Ok(()) => Answer::Verified {
                    health: HealthSeen::Stopped,
                    note: "stopped, nothing answers there".to_owned(),
                },
                Err(not_well) => Answer::Failed {
                    how: not_well.how,
                    slice: Some(slice),
                    failure: not_well.failure,
                },
            }
        })
    }
}

fn still_there(slice: SliceIx) -> Answer {
    Answer::Failed {
        how: Failed::NotDone,
        slice: Some(slice),
        failure: Failure::new(
            Code::Overtaken,
            "it was stopped, and something is there again",
            "find out who else starts it: deploy status --refresh",
        ),
    }
}
