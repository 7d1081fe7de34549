//! What the end of a drive means: for the project, and for whoever waited for it.

use super::Engine;
use crate::api::{Driven, EngineError};
use crate::drive::{DriveError, Told};
use crate::failpoint;
use crate::store::lease_failure;
use deploy_core::event::EventKind;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{DeploymentId, EnvName};
use deploy_core::machine::barred;
use deploy_core::port::journal::Stream;
use tokio::sync::mpsc;

impl Engine {
    /// What an end means for the project: a failed health verdict bars the release. A kill before it is made good when the environment
    /// is deployed to next.
    pub(super) async fn after_the_end(
        &self,
        id: &DeploymentId,
        tell: &mpsc::Sender<Told>,
    ) -> Result<(), EngineError> {
        failpoint::hit("engine.end.before");
        let view = self.deployment_view(id).await?;
        // Once for each deployment: a bar that was lifted since stays lifted.
        let written = self
            .events_of(id)
            .await?
            .iter()
            .any(|event| matches!(event.kind, EventKind::Yanked { .. }));
        if !written
            && let (Some(release), Some(environment)) = (view.release(), &view.environment)
            && let Some(yanked) = barred(id, release, environment, view.turned_back)
        {
            self.append_facts(&Stream::Project, vec![self.draft(Some(id.clone()), yanked)])
                .await?;
            let barred = self
                .events_of(id)
                .await?
                .into_iter()
                .rev()
                .find(|event| event.kind.belongs_to_project());
            if let Some(event) = barred {
                // A frontend that went away or is full reads it in the journal.
                let _gone = tell.try_send(Told::Event(Box::new(event)));
            }
        }
        failpoint::hit("engine.end.after");
        Ok(())
    }

    /// The end told: what it means for the project, the record of it, and the answer. `resume` of what has ended comes here too, so a
    /// record that a kill prevented is written then.
    pub(super) async fn closed(
        &self,
        deployment: &DeploymentId,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Driven, EngineError> {
        self.after_the_end(deployment, tell).await?;
        let mut driven = self.driven(deployment).await?;
        // The deployment is what it is, whether its record could be written or not.
        if let Err(error) = self.write_record(&self.deployment_view(deployment).await?).await {
            driven.result.warnings.push(error.failure());
        }
        Ok(driven)
    }

    /// Why this process drives the deployment no more. Where somebody else took it over, that is what matters: how it ended, or who
    /// drives it now.
    pub(super) async fn left_open(
        &self,
        environment: &EnvName,
        deployment: &DeploymentId,
        error: DriveError,
    ) -> EngineError {
        let short = deployment.short();
        if let Ok(view) = self.deployment_view(deployment).await
            && view.ended
        {
            return EngineError::Held(Box::new(Failure::new(
                Code::LeaseLost,
                format!(
                    "somebody else took deployment {short} over while this process was away: it is {}",
                    view.phase().as_str()
                ),
                format!("deploy show {short}"),
            )));
        }
        let mut failure = match &error {
            DriveError::Journal(error) => crate::store::journal_failure(error),
            DriveError::Lease(error) => lease_failure(error),
            DriveError::Wiring(failure) => (**failure).clone(),
            DriveError::Corrupt(error) => Failure::new(
                Code::StateCorrupt,
                format!("the journal of {environment} cannot be followed: {error}"),
                "deploy audit verify",
            ),
        };
        if failure.code != Code::StateCorrupt {
            // A lease that we could not give back is no other's.
            let holder = self.store.lease_holder(environment).await.ok().flatten();
            let driven = holder.is_some_and(|holder| holder.who != self.identity.who);
            let verb = if driven { "watch" } else { "resume" };
            failure.next = format!("deploy {verb} {short}");
        }
        EngineError::Open {
            deployment: deployment.clone(),
            failure: Box::new(failure),
        }
    }
}
