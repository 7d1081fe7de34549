//! Trying what a deployment will need: each host once, all at the same time, and what is found as it comes.

use super::Engine;
use super::status::as_it_lies_there;
use crate::api::{Diagnosis, DiagnosisState, EngineError, Examining};
use crate::configure::registry::{Doctor, Examined};
use crate::drive::Needs;
use deploy_core::id::{EnvName, HostName, ServiceName};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Services that share a host, each with what asks for it.
type OnHost = Vec<(ServiceName, Arc<dyn Doctor>)>;

impl Engine {
    /// Tries what a deployment will need: reach, rights, disk, clock, tools. Changes nothing. `tell` hears first what is looked at,
    /// then what was found, host by host as each answers; the answer is all of it, by host.
    ///
    /// # Cancellation
    /// Dropping the future ends every look.
    ///
    /// # Errors
    /// The manifest or the state cannot be read. A host that is not reached is no error but a finding.
    pub async fn doctor(
        &self,
        name: &EnvName,
        tell: mpsc::Sender<Examining>,
    ) -> Result<Vec<Diagnosis>, EngineError> {
        let environment = self.environment(name).await?;
        let views = self.views().await?;
        let scene = as_it_lies_there(environment.clone(), &views.project);
        let binder = self.binder(&scene);
        let (mut found, mut hosts) = (Vec::new(), BTreeMap::<HostName, OnHost>::new());
        for service in environment.services.values() {
            match binder.target(service, Needs::Everything).await {
                Ok(made) => {
                    let Some(doctor) = made.doctor else { continue };
                    for host in doctor.hosts() {
                        let asked = (service.name.clone(), Arc::clone(&doctor));
                        hosts.entry(host).or_default().push(asked);
                    }
                }
                Err(failure) => found.push(Diagnosis {
                    subject: service.name.to_string(),
                    check: "configuration".to_owned(),
                    state: DiagnosisState::Failed { fix: failure.next },
                    found: failure.message,
                }),
            }
        }
        let names = |on: &OnHost| on.iter().map(|(service, _)| service.clone()).collect();
        let begun = hosts.iter().map(|(host, on)| (host.clone(), names(on)));
        let begun = Examining::Begun {
            hosts: begun.collect(),
        };
        hear(&tell, begun).await;
        if !found.is_empty() {
            let found = found.clone();
            hear(&tell, Examining::Found { host: None, found }).await;
        }
        let mut looks = JoinSet::new();
        for (host, services) in hosts {
            looks.spawn(async move {
                let found = examine(&host, &services).await;
                (host, found)
            });
        }
        let mut by_host = BTreeMap::new();
        while let Some(looked) = looks.join_next().await {
            let (host, found) = looked.map_err(|error| super::defect(&error))?;
            by_host.insert(host.clone(), found.clone());
            let host = Some(host);
            hear(&tell, Examining::Found { host, found }).await;
        }
        found.extend(by_host.into_values().flatten());
        Ok(found)
    }
}

/// One host, for each of its services, over one connection. One that is not reached is not tried again for the next.
async fn examine(host: &HostName, services: &OnHost) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    for (ix, (service, doctor)) in services.iter().enumerate() {
        let examined = doctor.examine(host).await;
        let reached = examined.iter().any(|one| matches!(one, Examined::OfService(_)));
        for examined in examined {
            match examined {
                Examined::OfHost(diagnosis) if ix == 0 || !reached => found.push(diagnosis),
                // It was told with the first service.
                Examined::OfHost(_) => {}
                Examined::OfService(diagnosis) => {
                    let subject = format!("{service} {}", diagnosis.subject);
                    found.push(Diagnosis { subject, ..diagnosis });
                }
            }
        }
        if !reached {
            break;
        }
    }
    found
}

/// Whoever does not listen any more misses nothing: the answer has it all.
async fn hear(tell: &mpsc::Sender<Examining>, told: Examining) {
    let _gone = tell.send(told).await;
}
