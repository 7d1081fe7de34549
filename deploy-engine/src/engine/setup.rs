//! Preparing the hosts of an environment, so that a first deployment works there.

use super::Engine;
use super::hosts::of_each;
use crate::api::EngineError;
use crate::api::by_hand::{HostSetup, OnHosts, SetupAsk, SetupState};
use deploy_core::event::EventKind;
use deploy_core::id::HostName;
use deploy_core::port::journal::Stream;
use std::collections::BTreeMap;

impl Engine {
    /// Prepares every host of an environment for the services that run there. What was done is in the journal; that nothing was to do
    /// is not.
    ///
    /// # Errors
    /// No such environment, or the asker may not. What goes wrong on a host is told of that host.
    pub async fn set_up(&self, ask: &SetupAsk) -> Result<Vec<HostSetup>, EngineError> {
        let environment = self.known_environment(&ask.environment).await?;
        if !ask.dry_run {
            let again = format!("deploy setup -e {}", ask.environment);
            self.may_change(&environment, ask.confirmed, &again).await?;
        }
        let on = OnHosts {
            environment: ask.environment.clone(),
            service: None,
            hosts: Vec::new(),
        };
        let (dry_run, install) = (ask.dry_run, ask.install);
        let answers = of_each(&self.hosts(&on).await?, |_, server| async move {
            server.set_up(dry_run, install).await
        })
        .await?;
        let mut done: BTreeMap<HostName, Vec<String>> = BTreeMap::new();
        let mut told = Vec::new();
        for (host, answer) in answers {
            let (steps, failure) = match answer {
                Ok(steps) => (steps, None),
                Err(failure) => (Vec::new(), Some(failure)),
            };
            let did: Vec<_> = steps
                .iter()
                .filter(|step| step.state == SetupState::Done)
                .map(|step| step.what.clone())
                .collect();
            if !did.is_empty() {
                done.insert(host.clone(), did);
            }
            told.push(HostSetup { host, steps, failure });
        }
        if !done.is_empty() {
            let stream = Stream::Environment(ask.environment.clone());
            let prepared = self.draft(None, EventKind::HostsPrepared { done });
            self.append_facts(&stream, vec![prepared]).await?;
        }
        Ok(told)
    }
}
