//! Holding an environment: its lease, taken and given back.

use super::{Engine, lease_error};
use crate::api::EngineError;
use deploy_core::id::{DeploymentId, EnvName};
use deploy_core::port::journal::{LeaseHolder, LeaseToken, Patience};
use std::time::Duration;

impl Engine {
    /// Takes the lease of an environment, or says who holds it.
    pub(super) async fn lease(
        &self,
        environment: &EnvName,
        wait: Duration,
        deployment: Option<&DeploymentId>,
    ) -> Result<LeaseToken, EngineError> {
        let holder = LeaseHolder {
            who: self.identity.who.clone(),
            since: self.clock.now(),
            deployment: deployment.cloned(),
            step: "starting".to_owned(),
        };
        let patience = if wait.is_zero() {
            Patience::WhileSilent
        } else {
            Patience::For(wait)
        };
        self.store
            .take_lease_waiting(environment, &holder, patience)
            .await
            .map_err(lease_error)
    }

    pub(super) async fn give_back(&self, lease: &LeaseToken) {
        // Whoever comes next takes it from a process that is gone.
        if let Err(error) = self.store.release_lease(lease).await {
            tracing::debug!(%error, "the lease could not be given back");
        }
    }
}
