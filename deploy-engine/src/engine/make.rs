//! Making a deployment: planned under the lease, written with its request; what waited is superseded.

use super::plan::Shape;
use super::scene::Of;
use super::{Engine, failed, journal_error};
use crate::api::{DeployAsk, EngineError};
use deploy_core::event::{EventKind, Request};
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{DeploymentId, EnvName};
use deploy_core::machine::{Ask, Input, Machine, Rejected};
use deploy_core::model::Release;
use deploy_core::plan::Kind;
use deploy_core::port::journal::{Append, Condition, LeaseToken, Stream};
use deploy_core::view::EnvironmentView;
use tokio::sync::mpsc;

impl Engine {
    pub(super) async fn make_deployment(
        &self,
        ask: &DeployAsk,
        release: &Release,
        shape: &Shape,
        lease: &LeaseToken,
    ) -> Result<(DeploymentId, Request), EngineError> {
        let views = self.views().await?;
        let view = views.environment(&ask.environment);
        // What the last end meant may not have been written, if its driver was killed just then.
        if let Some(last) = view.last_moved.as_ref().filter(|last| last.ended) {
            let (tell, _nobody) = mpsc::channel(1);
            self.after_the_end(&last.id, &tell).await?;
        }
        if let Some(open) = view.active() {
            let back = if self.deployment_view(&open.id).await?.can_be_cancelled() {
                format!(", deploy cancel {} goes back", open.id.short())
            } else {
                String::new()
            };
            let next = format!("deploy resume {} goes on{back}", open.id.short());
            let failure = Failure::new(
                Code::Open,
                format!(
                    "deployment {} of {} is not finished",
                    open.id.short(),
                    ask.environment
                ),
                next,
            );
            return Err(EngineError::Open {
                deployment: open.id.clone(),
                failure: Box::new(failure),
            });
        }
        self.keeps_apart(ask.kind, &ask.environment).await?;
        let scene = self
            .scene(release.clone(), &ask.environment, &views, Of::Now)
            .await?;
        let plan = self.make_plan(&scene, &views, shape).await?;
        if let Some(only) = ask.only.filter(|only| *only != plan.digest()) {
            return Err(failed(Failure::new(
                Code::Overtaken,
                format!(
                    "the plan is not {} any more: something changed since it was made",
                    only.short()
                ),
                "deploy plan again, look at it, then apply it",
            )));
        }
        self.keep(&scene.to.environment).await?;
        let deployment = DeploymentId::new(ulid::Ulid::new().to_string()).expect("a ULID is one");
        self.supersede(&view, &deployment, lease, ask.kind).await?;
        let request = self.request(ask, release, shape, &deployment).await?;
        let drafts = [
            EventKind::Requested {
                request: request.clone(),
            },
            EventKind::Planned {
                digest: plan.digest(),
                plan: Box::new(plan),
            },
        ]
        .map(|kind| self.draft(Some(deployment.clone()), kind));
        let stream = Stream::Environment(ask.environment.clone());
        let append = Append {
            expected: self.store.head(&stream).await.map_err(journal_error)?,
            stream,
            lease: Some(lease.clone()),
            condition: Condition::default(),
            events: drafts.to_vec(),
            answers: Vec::new(),
        };
        self.store.append(append).await.map_err(journal_error)?;
        Ok((deployment, request))
    }

    /// A newer deployment supersedes older waiting ones, never a rollback.
    async fn supersede(
        &self,
        view: &EnvironmentView,
        by: &DeploymentId,
        lease: &LeaseToken,
        kind: Kind,
    ) -> Result<(), EngineError> {
        if kind == Kind::Rollback {
            return Ok(());
        }
        for waits in view.waiting() {
            let asked = Input::Asked {
                ask: Ask::Supersede,
                by: Some(by.clone()),
            };
            // What does not wait any more is not superseded.
            let _moved_on = self.decide_for(&view.name, &waits.id, asked, Some(lease)).await?;
        }
        Ok(())
    }

    /// The machine of a deployment, as its journal says.
    pub(super) async fn machine_of(&self, deployment: &DeploymentId) -> Result<Machine, EngineError> {
        let recorded = self.store.deployment(deployment).await.map_err(journal_error)?;
        let drives = recorded.iter().filter(|recorded| recorded.event().kind.drives());
        Machine::load(drives).map_err(|error| {
            failed(Failure::new(
                Code::StateCorrupt,
                error.to_string(),
                "deploy audit verify",
            ))
        })
    }

    /// Decides one input for a deployment that nobody drives, and stores what follows; or says why the machine does not take it.
    pub(super) async fn decide_for(
        &self,
        environment: &EnvName,
        deployment: &DeploymentId,
        input: Input,
        lease: Option<&LeaseToken>,
    ) -> Result<Result<(), Rejected>, EngineError> {
        let machine = self.machine_of(deployment).await?;
        let decision = match machine.decide(self.clock.now(), &[input]) {
            Ok(decision) => decision,
            Err(why) => return Ok(Err(why)),
        };
        let stream = Stream::Environment(environment.clone());
        let events = decision
            .events
            .into_iter()
            .map(|kind| self.draft(Some(deployment.clone()), kind))
            .collect();
        let append = Append {
            expected: self.store.head(&stream).await.map_err(journal_error)?,
            stream,
            lease: lease.cloned(),
            condition: Condition::default(),
            events,
            answers: Vec::new(),
        };
        self.store.append(append).await.map_err(journal_error)?;
        Ok(Ok(()))
    }
}
