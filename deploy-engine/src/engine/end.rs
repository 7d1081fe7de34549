//! What the end of a drive means: for the project, and for whoever waited for it.

use super::Engine;
use crate::api::EngineError;
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
    /// What an end means for the project: a failed health verdict bars the release; the record is written.
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

    /// A drive that ended before its deployment did.
    pub(super) fn open_error(
        &self,
        environment: &EnvName,
        deployment: &DeploymentId,
        error: DriveError,
    ) -> EngineError {
        let next = format!("deploy resume {}", deployment.short());
        let failure = match &error {
            DriveError::Journal(error) => crate::store::journal_failure(error),
            DriveError::Lease(error) => lease_failure(error),
            DriveError::Wiring(failure) => (**failure).clone(),
            DriveError::Corrupt(error) => Failure::new(
                Code::StateCorrupt,
                format!("the journal of {environment} cannot be followed: {error}"),
                "deploy audit verify",
            ),
        };
        let mut failure = failure;
        if failure.code != Code::StateCorrupt {
            failure.next = next;
        }
        EngineError::Open {
            deployment: deployment.clone(),
            failure: Box::new(failure),
        }
    }
}
