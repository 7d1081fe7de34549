//! What anyone may ask: of a deployment, through the inbox or, where nobody drives it, by taking it over; and of the line.

use super::deploy::Wires;
use super::{Engine, journal_error};
use crate::api::{AskOutcome, EngineError};
use deploy_core::event::EventKind;
use deploy_core::id::{DeploymentId, EnvName};
use deploy_core::machine::{Ask, Input, Rejected};
use deploy_core::port::journal::{LeaseHolder, LeaseToken, Stream};
use std::time::Duration;

impl Engine {
    /// Asks something of a deployment. Whoever drives it is told; where nobody does, it is done here.
    ///
    /// # Errors
    /// No such deployment, or the state cannot be used.
    pub async fn ask(&self, id: Option<&str>, ask: Ask, wires: Wires) -> Result<AskOutcome, EngineError> {
        let (environment, deployment) = self.open_one(id, None).await?;
        match self.ask_found(environment, &deployment, ask, wires).await {
            Err(error) => Err(self.still_open(&deployment, error).await),
            outcome => outcome,
        }
    }

    async fn ask_found(
        &self,
        environment: EnvName,
        deployment: &DeploymentId,
        ask: Ask,
        wires: Wires,
    ) -> Result<AskOutcome, EngineError> {
        let view = self.deployment_view(deployment).await?;
        if view.ended {
            return Ok(AskOutcome::Rejected(format!(
                "deployment {} has ended: {}",
                deployment.short(),
                view.phase().as_str()
            )));
        }
        if let Some(holder) = self
            .store
            .lease_holder(&environment)
            .await
            .map_err(journal_error)?
        {
            // A holder that is silent is watched for a whole term. What is asked is left for it first where asking twice is asking
            // once, so that it is heard even if we do not wait that long.
            let first = ask == Ask::Cancel;
            if first {
                self.leave(&environment, deployment, ask).await?;
            }
            if let Err(EngineError::Held(_)) = self.probe_lease(&environment).await {
                if !first {
                    self.leave(&environment, deployment, ask).await?;
                }
                return Ok(AskOutcome::Left { holder: holder.who });
            }
        }
        let lease = self
            .lease(&environment, Duration::ZERO, Some(deployment), None)
            .await?;
        let decided = self
            .decide_for(
                &environment,
                deployment,
                Input::Asked { ask, by: None },
                Some(&lease),
            )
            .await;
        self.give_back(&lease).await;
        if let Err(why) = decided? {
            return Ok(AskOutcome::Rejected(format!(
                "it is {}: {why}",
                view.phase().as_str()
            )));
        }
        // What was accepted may need doing: claims to release, slices to put back.
        let moves = matches!(ask, Ask::Cancel) && !self.deployment_view(deployment).await?.ended;
        if moves {
            self.resume_one(&environment, deployment, Duration::ZERO, wires, true)
                .await?;
        }
        Ok(AskOutcome::Done)
    }

    /// Why a deployment would not do what is asked, as it stands now; `None`: it would.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn refuses(
        &self,
        deployment: &DeploymentId,
        ask: Ask,
    ) -> Result<Option<Rejected>, EngineError> {
        let machine = self.machine_of(deployment).await?;
        Ok(machine
            .decide(self.clock.now(), &[Input::Asked { ask, by: None }])
            .err())
    }

    /// Which deployment is meant, and who drives it: what a person should know while an answer takes its time.
    ///
    /// # Errors
    /// No such deployment, or the state cannot be read.
    pub async fn driven_by(
        &self,
        id: Option<&str>,
    ) -> Result<(DeploymentId, Option<LeaseHolder>), EngineError> {
        let (environment, deployment) = self.open_one(id, None).await?;
        let holder = self
            .store
            .lease_holder(&environment)
            .await
            .map_err(journal_error)?;
        Ok((deployment, holder))
    }

    /// The deployment that this process began and did not get to tell of, where there is one. To be asked when nothing is driven here
    /// any more.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn begun_here(&self) -> Result<Option<DeploymentId>, EngineError> {
        for (name, view) in self.views().await?.environments {
            let holder = self.store.lease_holder(&name).await.map_err(journal_error)?;
            if holder.is_none_or(|holder| holder.who != self.identity.who) {
                continue;
            }
            // Writes are done in turn: when this one is refused, all that were under way before it are stored or not.
            let nobodys = LeaseToken {
                environment: name.clone(),
                term: 0,
            };
            let _refused = self.store.renew_lease(&nobodys, "").await;
            let views = self.views().await?;
            let now = views.environment(&name);
            let begun = now
                .unended
                .into_keys()
                .filter(|id| !view.unended.contains_key(id));
            let open = view.unended.values().filter(|view| view.is_active());
            return Ok(begun.chain(open.map(|view| view.id.clone())).max());
        }
        Ok(None)
    }

    /// Whether somebody alive holds the lease: taking it and giving it back is the only way to know.
    async fn probe_lease(&self, environment: &EnvName) -> Result<(), EngineError> {
        let lease = self.lease(environment, Duration::ZERO, None, None).await?;
        self.give_back(&lease).await;
        Ok(())
    }

    /// Leaves a message for whoever drives a deployment.
    pub(super) async fn leave(
        &self,
        environment: &EnvName,
        deployment: &DeploymentId,
        ask: Ask,
    ) -> Result<(), EngineError> {
        self.store
            .send(environment, &self.identity.actor, deployment, ask)
            .await
            .map(drop)
            .map_err(journal_error)
    }

    pub(super) async fn fact(
        &self,
        environment: &EnvName,
        deployment: &DeploymentId,
        kind: EventKind,
    ) -> Result<(), EngineError> {
        let draft = self.draft(Some(deployment.clone()), kind);
        self.append_facts(&Stream::Environment(environment.clone()), vec![draft])
            .await
    }

    /// Stops the line: nothing goes forward here until it is opened again. Rollbacks do.
    pub async fn freeze(&self, environment: &EnvName, reason: String) -> Result<(), EngineError> {
        self.environment(environment).await?;
        let draft = self.draft(None, EventKind::FrozenByHand { reason });
        self.append_facts(&Stream::Environment(environment.clone()), vec![draft])
            .await
    }

    /// Opens the line again, also after a failed verdict stopped automatic promotion.
    pub async fn unfreeze(&self, environment: &EnvName) -> Result<(), EngineError> {
        self.environment(environment).await?;
        let draft = self.draft(None, EventKind::Unfrozen);
        self.append_facts(&Stream::Environment(environment.clone()), vec![draft])
            .await
    }

    /// Bars a release from going forward anywhere. Answers with it, and with the environments that run it now: these are not touched.
    pub async fn yank(
        &self,
        release: &str,
        reason: String,
    ) -> Result<(deploy_core::model::ReleaseRef, Vec<EnvName>), EngineError> {
        let views = self.views().await?;
        let release = self.known_release(&views, release).await?.to_ref();
        let draft = self.draft(None, EventKind::Yanked { release, reason });
        self.append_facts(&Stream::Project, vec![draft]).await?;
        let runs = views
            .environments
            .values()
            .filter(|view| view.current.release() == Some(release))
            .map(|view| view.name.clone());
        Ok((release, runs.collect()))
    }

    /// Lifts that.
    pub async fn unyank(&self, release: &str) -> Result<deploy_core::model::ReleaseRef, EngineError> {
        let release = self.known_release(&self.views().await?, release).await?.to_ref();
        let draft = self.draft(None, EventKind::Unyanked { release });
        self.append_facts(&Stream::Project, vec![draft]).await?;
        Ok(release)
    }
}
