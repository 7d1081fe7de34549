//! The ssh target's own words from the manifest's. No rule lives here.

mod beside;
mod server;

use super::server::{Seat, Server};
use super::{Examined, Made, Maker, Recipe};
use crate::api::{Diagnosis, DiagnosisState};
use crate::failpoint;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{HostName, SliceName};
use deploy_core::manifest::{
    self, Environment, Fact, Facts, HookPoint, HostAddress, Service, StrategyKind, TargetConfig, TargetKind,
    Template,
};
use deploy_core::port::target::Secret;
use deploy_target_ssh::{
    Address, Check, CheckState, Connections, Failpoint, Hook, HostBinding, HostScript, SshAddress,
    SshBinding, SshTarget,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The longest a restart may take, or a stop.
const RESTART_LIMIT: Duration = Duration::from_secs(120);

/// Servers by ssh, and this machine; its targets share their connections.
#[derive(Default)]
pub(super) struct Ssh {
    connections: Connections,
}

#[async_trait::async_trait]
impl Maker for Ssh {
    fn kind(&self) -> TargetKind {
        TargetKind::Ssh
    }

    fn strategies(&self) -> BTreeSet<StrategyKind> {
        StrategyKind::of(TargetKind::Ssh).iter().copied().collect()
    }

    fn greet(&self, environment: &manifest::Environment, folder: &Path) -> Vec<super::Greeting> {
        let ours = environment
            .services
            .values()
            .filter(|service| service.kind() == TargetKind::Ssh);
        let hosts = ours.flat_map(|service| environment.hosts_of(service));
        // A password is resolved where it is needed.
        let addresses: BTreeSet<_> = hosts
            .filter(|host| host.password.is_none())
            .filter_map(|host| match address(host, environment, folder, None) {
                Address::Ssh(address) => Some(address),
                Address::Local => None,
            })
            .collect();
        let greet = |address| Box::pin(self.connections.greet(address)) as super::Greeting;
        addresses.iter().map(greet).collect()
    }

    async fn make(&self, recipe: &Recipe<'_>) -> Result<Made, Failure> {
        make(recipe, &self.connections).await
    }

    fn server(&self, seat: &Seat<'_>) -> Option<Result<Arc<dyn Server>, Failure>> {
        Some(server::make(seat, &self.connections))
    }
}

async fn make(recipe: &Recipe<'_>, connections: &Connections) -> Result<Made, Failure> {
    let TargetConfig::Ssh(config) = &recipe.service.target else {
        return Err(Failure::new(
            Code::Defect,
            "an ssh target was asked for without its table",
            "please report it",
        ));
    };
    let mut hosts_of = Vec::new();
    for host in recipe.environment.hosts_of(recipe.service) {
        let there = recipe.service.on(host.name.as_str());
        let TargetConfig::Ssh(own) = there.target else {
            continue;
        };
        hosts_of.push(HostBinding {
            name: host.name.clone(),
            address: address(
                host,
                recipe.environment,
                recipe.folder,
                recipe.passwords.get(&host.name),
            ),
            path: path(recipe.service, &own.path, recipe.facts, recipe.folder, host)?,
            variables: own_variables(recipe, host)?,
        });
    }
    let binding = SshBinding {
        service: recipe.service.name.clone(),
        environment: recipe.environment.name.clone(),
        hosts: hosts_of.clone(),
        restart: config
            .restart
            .as_ref()
            .map(|command| script(command, RESTART_LIMIT)),
        stop: config.stop.as_ref().map(|command| script(command, RESTART_LIMIT)),
        links: config.links,
        shared: config
            .shared
            .iter()
            .map(|path| path.as_str().to_owned())
            .collect(),
        hooks: recipe.service.hooks.iter().filter_map(hook).collect(),
        beside: beside::of(recipe.service),
        failpoint: Some(Failpoint(Arc::new(failpoint::hit))),
    };
    let target = Arc::new(SshTarget::new(binding, connections).map_err(|failure| *failure)?);
    let slices = deploy_core::port::target::Target::slices(&*target)
        .await
        .map_err(|error| *error.failure)?;
    let exec = |slice: &SliceName| {
        let host = hosts_of
            .iter()
            .find(|host| host.name.as_str() == slice.as_str())?;
        Some((slice.clone(), connections.host_exec(&host.address)))
    };
    let hosts = slices
        .iter()
        .filter_map(|slice| exec(&slice.name))
        .collect::<BTreeMap<_, _>>();
    let told = Arc::clone(&target);
    Ok(Made {
        serving: Some(Arc::new(move |slice: &SliceName| told.serving_port(slice))),
        doctor: Some(Arc::clone(&target) as _),
        target,
        slices,
        hosts,
    })
}

/// The variables that are others on this host.
fn own_variables(recipe: &Recipe<'_>, host: &manifest::Host) -> Result<BTreeMap<String, String>, Failure> {
    let own = recipe.service.own_to(host.name.as_str());
    own.map(|(name, template)| {
        let what = format!("the variable {name}");
        let value = text(&what, recipe.service, template, recipe.facts, host)?;
        Ok((name.to_string(), value))
    })
    .collect()
}

fn address(
    host: &manifest::Host,
    environment: &Environment,
    folder: &Path,
    password: Option<&Secret>,
) -> Address {
    match &host.address {
        HostAddress::Local => Address::Local,
        HostAddress::Ssh(address) => Address::Ssh(SshAddress {
            destination: address.to_string(),
            config_file: environment
                .ssh_config
                .as_ref()
                .map(|path| folder.join(path.as_str())),
            password: password.cloned(),
        }),
    }
}

/// Where the service is on a host: it may be elsewhere on each.
fn path(
    service: &Service,
    path: &Template,
    facts: &Facts,
    folder: &Path,
    host: &manifest::Host,
) -> Result<String, Failure> {
    Ok(absolute(folder, &text("the path", service, path, facts, host)?))
}

/// What a text of a service means on a host.
fn text(
    what: &str,
    service: &Service,
    template: &Template,
    facts: &Facts,
    host: &manifest::Host,
) -> Result<String, Failure> {
    let mut facts = facts.clone();
    facts.insert(Fact::Host, host.name.to_string());
    template.expand(&facts).map_err(|error| {
        Failure::new(
            Code::VariableUnset,
            format!(
                "{what} of service {} on {} cannot be filled in: {error}",
                service.name, host.name
            ),
            "deploy config shows where it is set",
        )
    })
}

/// Relative paths in the manifest are relative to its folder.
fn absolute(folder: &Path, path: &str) -> String {
    folder
        .join(path)
        .components()
        .collect::<std::path::PathBuf>()
        .display()
        .to_string()
}

fn script(command: &manifest::Command, limit: Duration) -> HostScript {
    HostScript {
        command: command.clone(),
        limit,
    }
}

fn hook(hook: &manifest::NamedHook) -> Option<Hook> {
    let at = match hook.at {
        // Runs where the artifact is built, not on a host.
        HookPoint::Build => return None,
        HookPoint::Prepare => deploy_target_ssh::HookPoint::Prepare,
        HookPoint::Before => deploy_target_ssh::HookPoint::Before,
        HookPoint::After => deploy_target_ssh::HookPoint::After,
        HookPoint::Failed => deploy_target_ssh::HookPoint::Failed,
    };
    Some(Hook {
        name: hook.name.to_string(),
        at,
        if_changed: hook
            .if_changed
            .iter()
            .map(|glob| glob.as_str().to_owned())
            .collect(),
        produces: hook
            .produces
            .iter()
            .map(|path| path.as_str().to_owned())
            .collect(),
        script: script(&hook.command, hook.timeout),
    })
}

#[async_trait::async_trait]
impl super::Doctor for SshTarget {
    fn hosts(&self) -> Vec<HostName> {
        self.host_names().cloned().collect()
    }

    async fn examine(&self, host: &HostName) -> Vec<Examined> {
        self.doctor_of(host).await.into_iter().map(examined).collect()
    }
}

fn examined(check: Check) -> Examined {
    let of_host = check.is_of_host();
    let state = match check.state {
        CheckState::Well => DiagnosisState::Ok,
        CheckState::Warning { fix } => DiagnosisState::Warning { fix },
        CheckState::Bad { fix } => DiagnosisState::Failed { fix },
    };
    let diagnosis = Diagnosis {
        subject: check.host.to_string(),
        check: check.name.to_owned(),
        state,
        found: check.detail,
    };
    if of_host {
        Examined::OfHost(diagnosis)
    } else {
        Examined::OfService(diagnosis)
    }
}
