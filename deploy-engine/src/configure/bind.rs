//! Binding: targets and probes for every service of a plan, from the configuration that goes with its release.

use super::registry::{Kit, Made, Recipe};
use super::secrets::NoValue;
use super::sight::{ProbeSecrets, Seat, templates};
use super::{Caller, facts, secrets};
use crate::drive::{Bound, Eyes, Needs, Untold};
use crate::source::artifacts::Artifacts;
use deploy_core::digest::Digest;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{HostName, ServiceName, SliceName};
use deploy_core::manifest::{Environment, Facts, Project, Service, TargetConfig, VarName};
use deploy_core::model::{Entry, Release};
use deploy_core::port::target::{Desired, Runs, Secret};
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
    /// As what each slice may have been started that runs now, where that is known.
    pub started: &'a Started,
    /// The manifest's folder.
    pub folder: &'a Path,
    /// The artifacts that are on this machine.
    pub artifacts: &'a Artifacts,
    /// The caller's environment.
    pub caller: &'a Caller,
    /// The kinds of targets, shared by all services.
    pub kit: &'a Kit,
}

/// As what slices may have been started, by service and slice, the likeliest first.
pub type Started = BTreeMap<(ServiceName, SliceName), Vec<StartedAs>>;

/// As what a slice may have been started.
#[derive(Debug, Clone)]
pub struct StartedAs {
    /// The release, called what it was called then.
    pub release: Release,
    /// What was seen to run then, if anybody looked.
    pub runs: Option<Runs>,
}

/// What runs, by slice, where that is known.
pub type Running = BTreeMap<SliceName, Runs>;

impl Binder<'_> {
    /// As which release what runs in a slice was started; `None` where nobody knows.
    pub fn started_as(
        &self,
        service: &ServiceName,
        slice: &SliceName,
        runs: Option<&Runs>,
    ) -> Option<&Release> {
        let started = self.started.get(&(service.clone(), slice.clone()))?;
        let fits = |started: &&StartedAs| match (&started.runs, runs) {
            (Some(then), Some(now)) => then.is_same(now),
            (None, _) | (_, None) => true,
        };
        started.iter().find(fits).map(|started| &started.release)
    }

    /// Whether a slice was ever started, as far as is known.
    fn was_started(&self, service: &ServiceName, slice: &SliceName) -> bool {
        self.started
            .get(&(service.clone(), slice.clone()))
            .is_some_and(|started| !started.is_empty())
    }

    /// The facts of the release in this environment.
    fn facts(&self) -> Facts {
        facts::of_release(self.release, self.environment)
    }

    /// Secrets to reach hosts with.
    ///
    /// # Errors
    /// One is set and cannot be had, and is needed: a deployment that goes back tries its keys.
    pub async fn passwords(&self, needs: Needs) -> Result<BTreeMap<HostName, Secret>, Failure> {
        let mut passwords = BTreeMap::new();
        let facts = facts::of_environment(&self.environment.name);
        for host in self.environment.hosts.values() {
            let Some(reference) = &host.password else { continue };
            match secrets::one(reference, self.folder, &facts, self.caller).await {
                Ok(value) => {
                    passwords.insert(host.name.clone(), Secret::new(value));
                }
                // Keys are preferred: a password that is not set is one that is not used.
                Err(NoValue::NotSet(_)) => {}
                Err(NoValue::Failed(why)) if needs == Needs::Everything => {
                    let host = &host.name;
                    let message = format!("the password of host {host} ({reference}) has no value: {why}");
                    let next =
                        "mend what the reference asks, or take `password` out where a key opens the host";
                    return Err(Failure::new(Code::VariableUnset, message, next));
                }
                Err(NoValue::Failed(why)) => {
                    tracing::warn!(host = %host.name, %reference, why, "its password has no value");
                }
            }
        }
        Ok(passwords)
    }

    /// Makes the target of a service.
    ///
    /// # Errors
    /// As [`Self::passwords`], and what its kind finds wrong.
    pub async fn target(&self, service: &Service, needs: Needs) -> Result<Made, Failure> {
        let facts = facts::of_service(self.facts(), service);
        let passwords = self.passwords(needs).await?;
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
            Entry::Absent | Entry::NotMade => None,
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
        let hidden = service.secrets.keys().map(ToString::to_string);
        let made_of_secrets = service
            .vars
            .iter()
            .filter(|(_, template)| template.secrets().next().is_some())
            .map(|(name, _)| name.to_string());
        let hidden = hidden.chain(made_of_secrets).collect();
        Ok(Desired {
            release: self.release.to_ref(),
            entry,
            config: service_version(service),
            local,
            facts: commands,
            variables,
            secrets: hidden,
        })
    }

    /// How the slices of a service are looked at: as the release has it, and as what was before had it.
    ///
    /// # Errors
    /// A secret that a probe mentions has no value, or a probe cannot be filled in.
    pub async fn eyes(
        &self,
        service: &Service,
        made: &Made,
        running: &Running,
    ) -> Result<BTreeMap<SliceName, Eyes>, Failure> {
        self.eyes_with(service, made, running, Needs::Everything).await
    }

    async fn eyes_with(
        &self,
        service: &Service,
        made: &Made,
        running: &Running,
        needs: Needs,
    ) -> Result<BTreeMap<SliceName, Eyes>, Failure> {
        let new_facts = facts::of_service(self.facts(), service);
        let before = self.before.and_then(|(release, environment)| {
            let service = environment.services.get(&service.name)?;
            Some((
                facts::of_service(facts::of_release(release, environment), service),
                environment,
                service,
            ))
        });
        let new_secrets = self.probe_secrets(self.environment, service, needs).await?;
        let old_secrets = match &before {
            Some((_, environment, service)) => self.probe_secrets(environment, service, needs).await?,
            None => ProbeSecrets::default(),
        };
        let mut eyes = BTreeMap::new();
        for spec in &made.slices {
            let seat = Seat {
                made,
                slice: &spec.name,
                needs,
            };
            let started = self.started_as(&service.name, &spec.name, running.get(&spec.name));
            let new = seat.sight(service, new_facts.clone(), &new_secrets)?;
            let kept = match started {
                Some(started)
                    if (started.number, &started.version) != (self.release.number, &self.release.version) =>
                {
                    let facts = facts::of_service(facts::of_release(started, self.environment), service);
                    // What cannot be told of it, cannot of the new.
                    let kept = seat.sight(service, facts, &new_secrets)?;
                    Some((kept.probe, kept.specs))
                }
                // It was started as something that nobody knows any more: no version of it is wrong.
                None if self.was_started(&service.name, &spec.name) => {
                    let kept = new.without_version();
                    Some((kept.probe, kept.specs))
                }
                _ => None,
            };
            let old = match &before {
                Some((facts, environment, service)) => {
                    let facts = match started {
                        Some(started) => facts::of_service(facts::of_release(started, environment), service),
                        None => facts.clone(),
                    };
                    seat.sight(service, facts, &old_secrets)?
                }
                // What was there before is not a release of ours: it is looked at the same way, but for its version.
                None => new.without_version(),
            };
            let untold = |new: bool, why: Vec<String>| why.into_iter().map(move |why| Untold { new, why });
            let untold = untold(true, new.untold)
                .chain(untold(false, old.untold))
                .collect();
            eyes.insert(
                spec.name.clone(),
                Eyes {
                    probe: new.probe,
                    new: new.specs,
                    kept,
                    old_probe: old.probe,
                    old: old.specs,
                    ports: new.ports,
                    untold,
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
        needs: Needs,
    ) -> Result<ProbeSecrets, Failure> {
        let of_hosts = service.by_host.values().flat_map(|own| own.health.values());
        let mentioned: BTreeSet<_> = service
            .health
            .values()
            .chain(of_hosts)
            .flat_map(templates)
            .collect();
        let references: BTreeMap<_, _> = mentioned
            .into_iter()
            .filter_map(|name| Some((name.clone(), environment.secrets.get(&name)?.clone())))
            .collect();
        let facts = facts::of_environment(&environment.name);
        let mut found = ProbeSecrets::default();
        for (name, reference) in references {
            let one = BTreeMap::from([(name.clone(), reference)]);
            match secrets::resolve(&one, self.folder, &facts, self.caller).await {
                Ok(values) => found.values.extend(values),
                Err(error) if needs == Needs::Everything => return Err(error.failure()),
                Err(error) => {
                    found.missing.insert(name, error);
                }
            }
        }
        Ok(found)
    }

    /// Everything for one service.
    ///
    /// # Errors
    /// It is not configured, or something that it may ask for is missing.
    pub async fn bind(&self, name: &ServiceName, running: &Running, needs: Needs) -> Result<Bound, Failure> {
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
        let made = self.target(service, needs).await?;
        Ok(Bound {
            name: name.clone(),
            desired: Arc::new(self.desired(service, Secrets::LeaveOut).await?),
            eyes: self.eyes_with(service, &made, running, needs).await?,
            target: made.target,
            keep: self.project.keep as usize,
        })
    }
}

/// The version of one service's own configuration: what another service's keys, or a gate's, do not change.
fn service_version(service: &Service) -> Digest {
    let mut target = service.target.clone();
    if let TargetConfig::Ssh(config) = &mut target {
        // Where somebody reads what it writes, and how files come to a host, changes nothing of what runs.
        config.logs = None;
        config.links = false;
        // What ends it neither.
        config.stop = None;
    }
    let own = (
        "deploy.service/1",
        &target,
        &service.vars,
        &service.secrets,
        &service.hooks,
    );
    // What listens where is what runs; how slices follow each other is not.
    match (service.strategy.ports, &service.strategy.proxy) {
        (None, _) => Digest::of_json(&own),
        (ports, proxy) => Digest::of_json(&(own, ports, proxy)),
    }
}

/// Whether secrets are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Yes: for preparing.
    Resolve,
    /// No: any machine can go on after preparing, also one that has no secrets.
    LeaveOut,
}
