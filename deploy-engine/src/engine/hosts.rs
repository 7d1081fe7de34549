//! The hosts of an environment by hand: which are meant, who may ask, and asking several at once.

use super::{Engine, defect, failed, usage};
use crate::api::EngineError;
use crate::api::by_hand::OnHosts;
use crate::configure::registry::server::{Seat, Server};
use crate::drive::Needs;
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::{self, GateKind};
use deploy_core::id::{EnvName, HostName, ServiceName};
use deploy_core::manifest::{Environment, Host};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Hosts that are asked at once: each takes a few processes here while it is.
const AT_ONCE: usize = 64;

/// A host and its name.
pub(super) type Named = (HostName, Arc<dyn Server>);

impl Engine {
    /// The hosts that are meant, as the manifest lies there.
    pub(super) async fn hosts(&self, on: &OnHosts) -> Result<Vec<Named>, EngineError> {
        let environment = self.known_environment(&on.environment).await?;
        let all = match &on.service {
            None => environment.hosts.values().collect(),
            Some(name) => hosts_of(&environment, name)?,
        };
        if let Some(unknown) = on
            .hosts
            .iter()
            .find(|name| !all.iter().any(|host| host.name == **name))
        {
            let of = on
                .service
                .as_ref()
                .map_or_else(|| on.environment.to_string(), ToString::to_string);
            let names = all
                .iter()
                .map(|host| host.name.to_string())
                .collect::<Vec<_>>()
                .join(", ");
            return Err(usage(
                Code::UnknownName,
                format!("{unknown} is no host of {of}"),
                format!("there {} {names}", if all.len() == 1 { "is" } else { "are" }),
            ));
        }
        let meant = all
            .into_iter()
            .filter(|host| on.hosts.is_empty() || on.hosts.contains(&host.name));
        self.servers(&environment, meant).await
    }

    /// These hosts of an environment; connects to none yet.
    pub(super) async fn servers<'h>(
        &self,
        environment: &Environment,
        hosts: impl Iterator<Item = &'h Host>,
    ) -> Result<Vec<Named>, EngineError> {
        let scene = super::status::as_it_lies_there(environment.clone(), &self.project_view().await?);
        let passwords = self
            .binder(&scene)
            .passwords(Needs::Everything)
            .await
            .map_err(failed)?;
        let mut servers = Vec::new();
        for host in hosts {
            let seat = Seat {
                environment,
                host,
                folder: &self.folder,
                passwords: &passwords,
            };
            servers.push((host.name.clone(), self.kit.server(&seat).map_err(failed)?));
        }
        if servers.is_empty() {
            let message = format!("there is no host in {}", environment.name);
            return Err(usage(Code::UnknownName, message, "deploy config lists the hosts"));
        }
        Ok(servers)
    }

    /// An environment that the manifest has.
    pub(super) async fn known_environment(&self, name: &EnvName) -> Result<Environment, EngineError> {
        if !self.manifest.environments().contains(name) {
            let names: Vec<_> = self.environments().iter().map(ToString::to_string).collect();
            return Err(usage(
                Code::UnknownName,
                format!("there is no environment {name}"),
                format!("one of {}", names.join(", ")),
            ));
        }
        self.environment(name).await
    }

    /// Whether the asker may change something on the hosts of an environment by hand: who may deploy there may, and where a
    /// deployment has to be confirmed, this has to be, too. No other gate holds it up: it brings no release.
    pub(super) async fn may_change(
        &self,
        environment: &Environment,
        confirmed: bool,
        command: &str,
    ) -> Result<(), EngineError> {
        let name = &environment.name;
        let rules = self.rules_in_force(environment, &self.views().await?.environment(name));
        let unmet = gate::by_hand(&rules, &self.identity.actor, name, confirmed, command);
        let Some(first) = unmet.first() else {
            return Ok(());
        };
        let code = match first.gate {
            GateKind::Authorization => Code::NotAllowed,
            _ => Code::ConfirmationMissing,
        };
        let failure = Failure::new(code, first.reason.clone(), first.next.clone());
        Err(EngineError::Refused {
            failure: Box::new(failure),
            unmet,
        })
    }
}

fn hosts_of<'e>(environment: &'e Environment, name: &ServiceName) -> Result<Vec<&'e Host>, EngineError> {
    let Some(service) = environment.services.get(name) else {
        let names: Vec<_> = environment.services.keys().map(ToString::to_string).collect();
        return Err(usage(
            Code::UnknownName,
            format!("there is no service {name} in {}", environment.name),
            format!("there are {}", names.join(", ")),
        ));
    };
    let hosts = environment.hosts_of(service);
    if hosts.is_empty() {
        let message = format!("{name} runs on no host of {}", environment.name);
        return Err(usage(
            Code::UnknownName,
            message,
            "deploy config shows what it runs on",
        ));
    }
    Ok(hosts)
}

/// Asks all of them at once, as far as that is bounded; answers by name. Dropping the future drops what is under way.
pub(super) async fn of_each<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    hosts: &[Named],
    ask: impl Fn(HostName, Arc<dyn Server>) -> F,
) -> Result<BTreeMap<HostName, T>, EngineError> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (name, server) in hosts {
        let (name, room) = (name.clone(), Arc::clone(&room));
        let asking = ask(name.clone(), Arc::clone(server));
        tasks.spawn(async move {
            let _place = room.acquire().await.expect("it is never closed");
            (name, asking.await)
        });
    }
    let mut answers = BTreeMap::new();
    while let Some(joined) = tasks.join_next().await {
        answers.extend([joined.map_err(|error| defect(&error))?]);
    }
    Ok(answers)
}
