//! Holding an environment: its lease, taken and given back.

use super::{Engine, lease_error};
use crate::api::{EngineError, WaitsFor};
use crate::drive::Told;
use deploy_core::id::{DeploymentId, EnvName};
use deploy_core::port::journal::{LeaseError, LeaseHolder, LeaseToken, Patience};
use deploy_core::time::Timestamp;
use deploy_core::view::DeploymentView;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often it is looked who holds a lease that is waited for.
const LOOK: Duration = Duration::from_millis(500);

impl Engine {
    /// Takes the lease of an environment, or says who holds it: at the end of the wait, and, while it lasts, to whoever listens.
    pub(super) async fn lease(
        &self,
        environment: &EnvName,
        wait: Duration,
        deployment: Option<&DeploymentId>,
        tell: Option<&mpsc::Sender<Told>>,
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
        let taken = {
            let mut taking = pin!(self.store.take_lease_waiting(environment, &holder, patience));
            let until = (!wait.is_zero()).then(|| self.clock.now().after(wait));
            let mut telling = pin!(self.tell_who_holds(environment, until, tell));
            tokio::select! {
                biased;
                taken = &mut taking => taken,
                () = &mut telling => taking.await,
            }
        };
        match taken {
            Err(LeaseError::Held { environment, holder }) => {
                let holder = Box::new(self.with_deployment(&environment, *holder).await);
                Err(lease_error(LeaseError::Held { environment, holder }))
            }
            taken => taken.map_err(lease_error),
        }
    }

    /// Tells who holds an environment, until nobody listens any more. Being told is never needed: what cannot be read is not told.
    async fn tell_who_holds(
        &self,
        environment: &EnvName,
        until: Option<Timestamp>,
        tell: Option<&mpsc::Sender<Told>>,
    ) {
        let Some(tell) = tell else { return };
        let mut told = None;
        loop {
            let holder = self.store.lease_holder(environment).await.ok().flatten();
            let others = holder.filter(|holder| holder.who != self.identity.who);
            if let Some(holder) = others
                && told.as_ref() != Some(&holder)
            {
                told = Some(holder.clone());
                let waits = WaitsFor {
                    environment: environment.clone(),
                    holder: self.with_deployment(environment, holder).await,
                    until,
                };
                if tell.send(Told::Waits(Box::new(waits))).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A holder that took the lease before it made its deployment does not name it; the journal does.
    async fn with_deployment(&self, environment: &EnvName, holder: LeaseHolder) -> LeaseHolder {
        if holder.deployment.is_some() {
            return holder;
        }
        let views = self.views().await.ok();
        let view = views.map(|views| views.environment(environment));
        let driven = view.and_then(|view| {
            let active = view.unended.into_values().filter(DeploymentView::is_active);
            active.map(|view| view.id).max()
        });
        LeaseHolder {
            deployment: driven,
            ..holder
        }
    }

    pub(super) async fn give_back(&self, lease: &LeaseToken) {
        // Whoever comes next takes it from a process that is gone.
        if let Err(error) = self.store.release_lease(lease).await {
            tracing::debug!(%error, "the lease could not be given back");
        }
    }
}
