//! Binding: targets and probes for every service of a plan, from the configuration that goes with its release.

use super::eyes::Filling;
use super::registry::{Kit, Made, Recipe};
use super::{Caller, facts, secrets};
use crate::drive::{Bound, Eyes};
use crate::source::artifacts::Artifacts;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{HostName, ServiceName, SliceName};
use deploy_core::manifest::{Environment, Facts, HealthProbe, Project, Service, VarName};
use deploy_core::model::{Entry, Release};
use deploy_core::port::target::{Desired, Secret};
use deploy_health::Prober;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What a service's targets and probes are made from.
pub struct Binder<'a> {
    /// The project.
    pub project: &'a Project,
    /// The environment's configuration as of the release.
    pub environment: &'a Environment,
    /// The release.
    pub release: &'a Release,
    /// What ran before, with its configuration, where that is a release.
    pub before: Option<(&'a Release, &'a Environment)>,
    /// The manifest's folder.
    pub folder: &'a Path,
    /// The artifacts that are on this machine.
    pub artifacts: &'a Artifacts,
    /// The caller's environment.
    pub caller: &'a Caller,
    /// The kinds of targets, shared by all services.
    pub kit: &'a Kit,
}

impl Binder<'_> {
    /// The facts of the release in this environment.
    fn facts(&self) -> Facts {
        facts::of_release(self.release, self.environment)
    }

    /// Secrets to reach hosts with.
    async fn passwords(&self) -> Result<BTreeMap<HostName, Secret>, Failure> {
        let mut passwords = BTreeMap::new();
        let facts = facts::of_environment(&self.environment.name);
        for host in self.environment.hosts.values() {
            let Some(reference) = &host.password else { continue };
            // Keys are preferred: a password that is not set is one that is not used.
            if let Ok(value) = secrets::one(reference, self.folder, &facts, self.caller).await {
                passwords.insert(host.name.clone(), Secret::new(value));
            }
        }
        Ok(passwords)
    }

    /// Makes the target of a service.
    pub async fn target(&self, service: &Service) -> Result<Made, Failure> {
        let facts = facts::of_service(self.facts(), service);
        let passwords = self.passwords().await?;
        let recipe = Recipe {
            environment: self.environment,
            service,
            facts: &facts,
            folder: self.folder,
            passwords: &passwords,
        };
        self.kit.make(&recipe).await
    }

    /// What a service shall run. Secrets are in it only where `with_secrets` says so: only preparing needs them.
    pub async fn desired(&self, service: &Service, with_secrets: Secrets) -> Result<Desired, Failure> {
        let facts = facts::of_service(self.facts(), service);
        let entry = self
            .release
            .entries
            .get(&service.name)
            .cloned()
            .unwrap_or(Entry::Absent);
        let local = match &entry {
            Entry::Artifact(artifact) => self.artifacts.tree(artifact.digest()),
            Entry::Absent => None,
        };
        let commands = facts::variables(&facts);
        let mut variables = BTreeMap::new();
        let mut mentioned = service.secrets.clone();
        for template in service.vars.values() {
            for name in template.secrets() {
                if let Some(reference) = self.environment.secrets.get(name) {
                    mentioned.insert(name.clone(), reference.clone());
                }
            }
        }
        let values = match with_secrets {
            Secrets::Resolve => secrets::resolve(&mentioned, self.folder, &commands, self.caller)
                .await
                .map_err(|error| error.failure())?,
            Secrets::LeaveOut => BTreeMap::new(),
        };
        for (name, template) in &service.vars {
            let secret = |name: &VarName| values.get(name.as_str()).map(|secret| secret.expose().to_owned());
            match template.expand_with(&facts, secret) {
                Ok(value) => {
                    variables.insert(name.to_string(), Secret::new(value));
                }
                Err(error) if matches!(with_secrets, Secrets::Resolve) => {
                    return Err(Failure::new(
                        Code::VariableUnset,
                        format!(
                            "the variable {name} of service {} cannot be filled in: {error}",
                            service.name
                        ),
                        "deploy config shows where it is set",
                    ));
                }
                Err(_) => {}
            }
        }
        for name in service.secrets.keys() {
            if let Some(value) = values.get(name.as_str()) {
                variables.insert(name.to_string(), value.clone());
            }
        }
        Ok(Desired {
            release: self.release.to_ref(),
            entry,
            config: service_version(service),
            local,
            facts: commands,
            variables,
        })
    }

    /// How the slices of a service are looked at: as the release has it, and as what was before had it.
    pub async fn eyes(&self, service: &Service, made: &Made) -> Result<BTreeMap<SliceName, Eyes>, Failure> {
        let new_facts = facts::of_service(self.facts(), service);
        let before = self.before.and_then(|(release, environment)| {
            let service = environment.services.get(&service.name)?;
            Some((
                facts::of_service(facts::of_release(release, environment), service),
                environment,
                service,
            ))
        });
        let new_secrets = self.probe_secrets(self.environment, service).await?;
        let mut eyes = BTreeMap::new();
        for spec in &made.slices {
            let facts = facts::on_host(new_facts.clone(), &spec.name);
            let new = probes(
                &service.health,
                &Filling {
                    facts: &facts,
                    secrets: &new_secrets,
                },
            )?;
            let old = match &before {
                Some((facts, environment, service)) => {
                    let facts = facts::on_host(facts.clone(), &spec.name);
                    let secrets = self.probe_secrets(environment, service).await?;
                    probes(
                        &service.health,
                        &Filling {
                            facts: &facts,
                            secrets: &secrets,
                        },
                    )?
                }
                // What was there before is not a release of ours: it is looked at the same way, but for its version.
                None => new
                    .iter()
                    .cloned()
                    .map(|spec| deploy_core::health::ProbeSpec {
                        version: None,
                        ..spec
                    })
                    .collect(),
            };
            let prober = made
                .hosts
                .get(&spec.name)
                .map_or_else(Prober::here, |host| Prober::with_host(Arc::clone(host)));
            let mut environment = facts::variables(&facts);
            for (name, template) in &service.vars {
                // One with a secret in it is for the service alone.
                if let Ok(value) = template.expand(&facts) {
                    environment.entry(name.to_string()).or_insert(value);
                }
            }
            let prober = prober.with_env(environment.into_iter().collect());
            eyes.insert(
                spec.name.clone(),
                Eyes {
                    probe: Arc::new(prober),
                    new,
                    old,
                },
            );
        }
        Ok(eyes)
    }

    /// The secrets that probes mention.
    async fn probe_secrets(
        &self,
        environment: &Environment,
        service: &Service,
    ) -> Result<BTreeMap<String, Secret>, Failure> {
        let mentioned: BTreeSet<_> = service.health.values().flat_map(templates).collect();
        let references: BTreeMap<_, _> = mentioned
            .into_iter()
            .filter_map(|name| Some((name.clone(), environment.secrets.get(&name)?.clone())))
            .collect();
        let facts = facts::of_environment(&environment.name);
        secrets::resolve(&references, self.folder, &facts, self.caller)
            .await
            .map_err(|error| error.failure())
    }

    /// Everything for one service.
    pub async fn bind(&self, name: &ServiceName) -> Result<Bound, Failure> {
        let service = self.environment.services.get(name).ok_or_else(|| {
            Failure::new(
                Code::UnknownName,
                format!(
                    "service {name} is not in the configuration of {}",
                    self.release.number
                ),
                "deploy config shows what is",
            )
        })?;
        let made = self.target(service).await?;
        Ok(Bound {
            name: name.clone(),
            desired: Arc::new(self.desired(service, Secrets::LeaveOut).await?),
            secrets: service.secrets.keys().map(ToString::to_string).collect(),
            eyes: self.eyes(service, &made).await?,
            target: made.target,
            keep: self.project.keep as usize,
        })
    }
}

/// The version of one service's own configuration: what another service's keys, or a gate's, do not change.
fn service_version(service: &Service) -> deploy_core::digest::Digest {
    deploy_core::digest::Digest::of_json(&(
        "deploy.service/1",
        &service.target,
        &service.vars,
        &service.secrets,
        &service.hooks,
    ))
}

/// Whether secrets are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Yes: for preparing.
    Resolve,
    /// No: any machine can go on after preparing, also one that has no secrets.
    LeaveOut,
}

fn probes(
    health: &BTreeMap<deploy_core::id::EvidenceName, HealthProbe>,
    filling: &Filling<'_>,
) -> Result<Vec<deploy_core::health::ProbeSpec>, Failure> {
    health
        .iter()
        .map(|(name, probe)| filling.probe(name.as_str(), probe))
        .collect()
}

fn templates(probe: &HealthProbe) -> Vec<VarName> {
    use deploy_core::manifest::{JsonExpect, JsonScalar, ProbeKind};
    let mut names: Vec<_> = match &probe.kind {
        ProbeKind::Http(template) | ProbeKind::Tcp(template) => template.secrets().cloned().collect(),
        ProbeKind::Command(_) => Vec::new(),
    };
    for rule in probe.expect.json.values() {
        if let JsonExpect::AnyOf(values) = rule {
            for value in values {
                if let JsonScalar::Text(template) = value {
                    names.extend(template.secrets().cloned());
                }
            }
        }
    }
    names
}
