//! The wiring of a deployment: what the driver asks for, from the configuration that goes with the plan's release.

use super::Engine;
use super::scene::{Configured, Of, Scene};
use crate::api::EngineError;
use crate::configure::bind::{Binder, Secrets};
use crate::drive::{Bound, Epochs, Fate, Needs, Wiring};
use async_trait::async_trait;
use deploy_core::event::Recorded;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{DeploymentId, ServiceName};
use deploy_core::model::Release;
use deploy_core::plan::Plan;
use deploy_core::port::target::{Desired, ProgressSink};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The wiring of one deployment.
pub(super) struct Wired {
    pub(super) engine: Engine,
    pub(super) release: Release,
    pub(super) deployment: DeploymentId,
    /// An artifact that several slices miss is made again once.
    pub(super) making: Semaphore,
}

impl Wired {
    async fn scene(&self, plan: &Plan) -> Result<Scene, Failure> {
        let failure = |error: EngineError| error.failure();
        let views = self.engine.views().await.map_err(failure)?;
        let of = Of::Before(&self.deployment);
        // Planned with it, driven with it: neither the checkout nor this caller's variables change a deployment under way.
        if let Some(environment) = self
            .engine
            .kept(&plan.environment, plan.config)
            .await
            .map_err(failure)?
        {
            let to = Configured {
                release: self.release.clone(),
                environment,
            };
            return Ok(self.engine.scene_of(to, &views, of).await);
        }
        self.engine
            .scene(self.release.clone(), &plan.environment, &views, of)
            .await
            .map_err(failure)
    }
}

/// The binder that knows a service: that of the release, or, for one that was dropped, that of what ran before.
fn binder_of<'a>(engine: &'a Engine, scene: &'a Scene, service: &ServiceName) -> Result<Binder<'a>, Failure> {
    if scene.to.environment.services.contains_key(service) {
        return Ok(engine.binder(scene));
    }
    match &scene.before {
        Some(before) if before.environment.services.contains_key(service) => Ok(Binder {
            environment: &before.environment,
            release: &before.release,
            ..engine.binder(scene)
        }),
        _ => Err(Failure::new(
            Code::UnknownName,
            format!("service {service} is in the plan and in no configuration that is here"),
            "deploy cancel, then plan again",
        )),
    }
}

#[async_trait]
impl Wiring for Wired {
    async fn bind(&self, plan: &Plan, needs: Needs) -> Result<Vec<Bound>, Failure> {
        let scene = self.scene(plan).await?;
        let mut bound = Vec::with_capacity(plan.services.len());
        for (index, service) in plan.service_indices().zip(&plan.services) {
            let slices = plan.slices.iter().filter(|slice| slice.service == index);
            let running = slices
                .map(|slice| (slice.name.clone(), slice.now.clone()))
                .collect();
            bound.push(
                binder_of(&self.engine, &scene, &service.name)?
                    .bind(&service.name, &running, needs)
                    .await?,
            );
        }
        Ok(bound)
    }

    async fn with_secrets(&self, plan: &Plan, service: &ServiceName) -> Result<Arc<Desired>, Failure> {
        let scene = self.scene(plan).await?;
        let binder = binder_of(&self.engine, &scene, service)?;
        let configured = binder.environment.services.get(service).ok_or_else(|| {
            Failure::new(
                Code::UnknownName,
                format!("service {service} is not configured"),
                "deploy config shows what is",
            )
        })?;
        binder.desired(configured, Secrets::Resolve).await.map(Arc::new)
    }

    async fn make_again(
        &self,
        plan: &Plan,
        service: &ServiceName,
        tell: &dyn ProgressSink,
    ) -> Result<(Arc<Desired>, String), Failure> {
        let _one_at_a_time = self.making.acquire().await.ok();
        let commit = self
            .engine
            .make_artifact_again(&self.release, service, tell)
            .await?;
        let desired = self.with_secrets(plan, service).await?;
        let note = format!(
            "its artifact was neither there nor here: made again from {}",
            commit.short()
        );
        Ok((desired, note))
    }

    async fn epochs(&self) -> Epochs {
        let Ok(views) = self.engine.views().await else {
            return Epochs::new();
        };
        let mut epochs = Epochs::new();
        for (place, epoch) in views.environments.values().flat_map(|view| &view.epochs) {
            let known = epochs.entry(place.clone()).or_insert(*epoch);
            *known = (*known).max(*epoch);
        }
        epochs
    }

    async fn fate(&self, deployment: &DeploymentId) -> Fate {
        let Ok(events) = self.engine.store.deployment(deployment).await else {
            return Fate::Open;
        };
        let ended =
            |event: &Recorded| matches!(event.event().kind, deploy_core::event::EventKind::Ended { .. });
        if events.is_empty() {
            Fate::Unknown
        } else if events.iter().any(ended) {
            Fate::Ended
        } else {
            Fate::Open
        }
    }
}
