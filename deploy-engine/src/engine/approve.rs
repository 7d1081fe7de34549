//! What people say to a deployment that waits: yes to its plan, or no.

use super::Engine;
use crate::api::EngineError;
use deploy_core::event::EventKind;
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::{Approval, GateInput, PlanFacts, Rules, Trigger, Worth, worth};
use deploy_core::id::{DeploymentId, EnvName};
use std::collections::BTreeMap;
use std::time::Duration;

impl Engine {
    /// Says yes to the plan of a waiting deployment. Runs nothing here: the deployment goes on where it is resumed.
    ///
    /// Who is eligible is judged when the quorum is decided, so it is recorded whoever says it; whoever cannot count now is told.
    ///
    /// # Errors
    /// It does not wait, or the state cannot be used; after it was recorded: it counts for no rule, or somebody rejected the
    /// deployment.
    pub async fn approve(&self, id: &str, reason: Option<String>) -> Result<DeploymentId, EngineError> {
        let (environment, deployment) = self.find(id).await?;
        let view = self.deployment_view(&deployment).await?;
        let plan = self.waiting_plan(&view)?;
        let rules = self.rules_in_force(
            &self.environment(&environment).await?,
            &self.views().await?.environment(&environment),
        );
        let approval = Approval {
            by: self.identity.actor.clone(),
            at: self.clock.now(),
            plan,
            rules: rules.digest(),
            reason,
        };
        let given = EventKind::ApprovalGiven {
            approval: approval.clone(),
        };
        self.fact(&environment, &deployment, given).await?;
        match self
            .worth_of(&approval, &rules, &environment, &deployment)
            .await?
        {
            Worth::Counts => Ok(deployment),
            Worth::Vetoed(why) => Err(EngineError::Refused {
                unmet: Vec::new(),
                failure: Box::new(Failure::new(
                    Code::GateUnmet,
                    format!("recorded, but it does not count any more: {why}"),
                    "settle it with whoever rejected it, then ask again",
                )),
            }),
            Worth::CountsForNone(why) => Err(EngineError::NotAllowed(Box::new(Failure::new(
                Code::NotAllowed,
                format!(
                    "recorded, but it does not count as things stand: {}",
                    why.join(", ")
                ),
                format!(
                    "somebody who is asked for says: deploy approve {}",
                    deployment.short()
                ),
            )))),
        }
    }

    async fn worth_of(
        &self,
        approval: &Approval,
        rules: &Rules,
        environment: &EnvName,
        deployment: &DeploymentId,
    ) -> Result<Worth, EngineError> {
        let views = self.views().await?;
        let target = views.environment(environment);
        let Some(request) = target
            .unended
            .get(deployment)
            .and_then(|view| view.request.as_ref())
        else {
            // It ended in this moment: what was said makes no difference, and nobody is to blame.
            return Ok(Worth::Counts);
        };
        let release = self.by_ref(&views, request.release)?;
        let input = GateInput {
            now: approval.at,
            environment,
            deployment: Some(deployment),
            kind: request.kind,
            actor: &request.actor,
            trigger: Trigger::Command,
            confirmed: None,
            plan: Some(PlanFacts {
                digest: approval.plan,
                longest: Duration::ZERO,
            }),
            release: &release,
            project: &views.project,
            environments: &views.environments,
            rules,
            contained_in: &BTreeMap::new(),
            unseen: &BTreeMap::new(),
            not_acting: &[],
        };
        Ok(worth(&input, approval))
    }

    /// Says no: vetoes the deployment, and ends it where nobody drives it.
    ///
    /// # Errors
    /// It does not wait, or the state cannot be used.
    pub async fn reject(&self, id: &str, reason: Option<String>) -> Result<DeploymentId, EngineError> {
        let (environment, deployment) = self.find(id).await?;
        let view = self.deployment_view(&deployment).await?;
        self.waiting_plan(&view)?;
        let by = self.identity.actor.clone();
        self.fact(
            &environment,
            &deployment,
            EventKind::ApprovalRejected { by, reason },
        )
        .await?;
        Ok(deployment)
    }

    fn waiting_plan(
        &self,
        view: &deploy_core::view::DeploymentView,
    ) -> Result<deploy_core::digest::Digest, EngineError> {
        match view.plan_digest.filter(|_| view.is_waiting()) {
            Some(plan) => Ok(plan),
            None => {
                let failure = Failure::new(
                    Code::GateUnmet,
                    format!(
                        "deployment {} does not wait for anybody: it is {}",
                        view.id.short(),
                        view.phase().as_str()
                    ),
                    format!("deploy show {}", view.id.short()),
                );
                Err(EngineError::Failed(Box::new(failure)))
            }
        }
    }
}
