//! What the end of a drive means: for the project, and for whoever waited for it.

use super::{Engine, journal_error};
use crate::api::{Driven, EngineError};
use crate::drive::{DriveError, Told};
use crate::failpoint;
use crate::store::lease_failure;
use deploy_core::event::EventKind;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{DeploymentId, EnvName};
use deploy_core::machine::barred;
use deploy_core::port::journal::{Append, Condition, JournalError, Stream};
use tokio::sync::mpsc;

impl Engine {
    /// What an end means for the project: a failed health verdict bars the release. A kill before it is made good when the state is
    /// next opened for writing.
    pub(super) async fn after_the_end(
        &self,
        id: &DeploymentId,
        tell: &mpsc::Sender<Told>,
    ) -> Result<(), EngineError> {
        failpoint::hit("engine.end.before");
        if self.bar_if_due(id).await? {
            let events = self.events_of(id).await?;
            let barred = events
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

    /// Makes good what drivers that were killed at the very end left out, in every environment. Where the journal cannot be read, what
    /// is asked for says so.
    pub(super) async fn make_ends_good(&self) -> Result<(), EngineError> {
        let Ok(streams) = self.store.streams().await else {
            return Ok(());
        };
        for stream in streams {
            // The last deployments are enough, and a long journal holds nobody up who only wants to cancel.
            if let Stream::Environment(name) = &stream
                && let Ok(view) = self.recent(name).await
                && let Some(last) = view.last_moved.as_ref().filter(|last| last.ended)
            {
                self.bar_if_due(&last.id).await?;
            }
        }
        Ok(())
    }

    /// Bars the deployment's release if its end asks for that; answers whether it was done just now.
    async fn bar_if_due(&self, id: &DeploymentId) -> Result<bool, EngineError> {
        let view = self.deployment_view(id).await?;
        let due = match (view.release(), &view.environment) {
            (Some(release), Some(environment)) => barred(id, release, environment, view.turned_back),
            _ => None,
        };
        let Some(yanked) = due else {
            return Ok(false);
        };
        loop {
            let expected = self.store.head(&Stream::Project).await.map_err(journal_error)?;
            // Once for each deployment: a bar that was lifted since stays lifted.
            let events = self.events_of(id).await?;
            if events
                .iter()
                .any(|event| matches!(event.kind, EventKind::Yanked { .. }))
            {
                return Ok(false);
            }
            let append = Append {
                stream: Stream::Project,
                expected,
                lease: None,
                condition: Condition::default(),
                events: vec![self.draft(Some(id.clone()), yanked.clone())],
                answers: Vec::new(),
            };
            match self.store.append(append).await {
                Ok(_) => return Ok(true),
                // Somebody wrote in between: it may have been this.
                Err(JournalError::Moved { .. }) => {}
                Err(error) => return Err(journal_error(error)),
            }
        }
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
            failure.next = match failure.code {
                Code::StateFull if !driven => room_first(deployment),
                _ => format!("deploy {verb} {short}"),
            };
        }
        EngineError::Open {
            deployment: deployment.clone(),
            failure: Box::new(failure),
        }
    }

    /// What to say of a state that has no room, where the deployment that was meant is under way: it is open, whatever could not be
    /// written now.
    pub(super) async fn still_open(&self, deployment: &DeploymentId, error: EngineError) -> EngineError {
        let full = matches!(&error, EngineError::Failed(failure) if failure.code == Code::StateFull);
        let view = if full {
            self.deployment_view(deployment).await.ok()
        } else {
            None
        };
        match (view, error) {
            (Some(view), EngineError::Failed(mut failure)) if view.is_active() => {
                failure.next = room_first(deployment);
                EngineError::Open {
                    deployment: deployment.clone(),
                    failure,
                }
            }
            (_, error) => error,
        }
    }

    /// The same where the state could not even be opened for writing, and this is one that only reads it.
    ///
    /// # Errors
    /// Always: the deployment that is left open, where there is the one that was meant, else what was given.
    pub async fn left_without_room(
        &self,
        id: Option<&str>,
        environment: Option<&EnvName>,
        error: EngineError,
    ) -> EngineError {
        match self.open_one(id, environment).await {
            Ok((_, deployment)) => self.still_open(&deployment, error).await,
            Err(_) => error,
        }
    }
}

/// What lets a deployment go on that its state had no room for.
fn room_first(deployment: &DeploymentId) -> String {
    let short = deployment.short();
    format!("free space where the state lies, then deploy resume {short}")
}
