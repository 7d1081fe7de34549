//! Binding: targets and probes for every service of a plan, from the configuration that goes with its release.

use super::eyes::Filling;
use super::registry::{Kit, Made, Recipe};
use super::{Caller, facts, secrets};
use crate::drive::{Bound, Eyes, Needs, Ports, Untold};
use crate::source::artifacts::Artifacts;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{HostName, ServiceName, SliceName};
use deploy_core::manifest::{Environment, Fact, Facts, HealthProbe, Project, Service, TargetConfig, VarName};
use deploy_core::model::{Entry, Release};
use deploy_core::port::probe::Probe;
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
    pub async fn passwords(&self) -> Result<BTreeMap<HostName, Secret>, Failure> {
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
    pub async fn eyes(&self, service: &Service, made: &Made) -> Result<BTreeMap<SliceName, Eyes>, Failure> {
        self.eyes_with(service, made, Needs::Everything).await
    }

    async fn eyes_with(
        &self,
        service: &Service,
        made: &Made,
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
            let on_port = |facts: &Facts, port: Option<u16>| {
                let mut facts = facts::on_host(facts.clone(), &spec.name);
                facts.extend(port.map(|port| (Fact::Port, port.to_string())));
                facts
            };
            let facts = on_port(&new_facts, None);
            let mut untold = Vec::new();
            let mut cannot = |new: bool, why: Vec<String>| {
                untold.extend(why.into_iter().map(|why| Untold { new, why }));
            };
            let (new, why) = new_secrets.probes(service, &facts, needs)?;
            let new_untold = why.clone();
            cannot(true, why);
            let old = match &before {
                Some((facts, _, service)) => {
                    let facts = on_port(facts, None);
                    let (old, why) = old_secrets.probes(service, &facts, needs)?;
                    cannot(false, why);
                    old
                }
                // What was there before is not a release of ours: it is looked at the same way, but for its version.
                None => {
                    cannot(false, new_untold);
                    new.iter()
                        .cloned()
                        .map(|spec| deploy_core::health::ProbeSpec {
                            version: None,
                            ..spec
                        })
                        .collect()
                }
            };
            let prober = |facts: &Facts| {
                let host = made.hosts.get(&spec.name);
                let prober = host.map_or_else(Prober::here, |host| Prober::with_host(Arc::clone(host)));
                let mut environment = facts::variables(facts);
                for (name, template) in &service.vars {
                    // One with a secret in it is for the service alone.
                    if let Ok(value) = template.expand(facts) {
                        environment.entry(name.to_string()).or_insert(value);
                    }
                }
                Arc::new(prober.with_env(environment.into_iter().collect()))
            };
            let ports = match (service.strategy.ports, &made.serving) {
                (Some((first, second)), Some(serving)) => {
                    let at = |port: u16| {
                        let facts = on_port(&new_facts, Some(port));
                        let (mut specs, _) = new_secrets.probes(service, &facts, needs)?;
                        if let Some((old_facts, _, service)) = &before {
                            let facts = on_port(old_facts, Some(port));
                            specs.extend(old_secrets.probes(service, &facts, needs)?.0);
                        }
                        Ok::<_, Failure>((port, prober(&facts) as Arc<dyn Probe>, specs))
                    };
                    let (serving, name) = (Arc::clone(serving), spec.name.clone());
                    let serving = Box::new(move || serving(&name));
                    Some(Arc::new(Ports::new(serving, [at(first)?, at(second)?])))
                }
                _ => None,
            };
            let probe: Arc<dyn Probe> = match &ports {
                Some(ports) => Arc::clone(ports) as _,
                None => prober(&facts),
            };
            eyes.insert(
                spec.name.clone(),
                Eyes {
                    probe,
                    new,
                    old,
                    ports,
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
        let mentioned: BTreeSet<_> = service.health.values().flat_map(templates).collect();
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
    pub async fn bind(&self, name: &ServiceName, needs: Needs) -> Result<Bound, Failure> {
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
            eyes: self.eyes_with(service, &made, needs).await?,
            target: made.target,
            keep: self.project.keep as usize,
        })
    }
}

/// The version of one service's own configuration: what another service's keys, or a gate's, do not change.
fn service_version(service: &Service) -> deploy_core::digest::Digest {
    let mut target = service.target.clone();
    if let TargetConfig::Ssh(config) = &mut target {
        // Where somebody reads what it writes, and how files come to a host, changes nothing of what runs.
        config.logs = None;
        config.links = false;
    }
    deploy_core::digest::Digest::of_json(&(
        "deploy.service/1",
        &target,
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

/// The secrets that the probes of a service mention.
#[derive(Default)]
struct ProbeSecrets {
    values: BTreeMap<String, Secret>,
    missing: BTreeMap<VarName, secrets::NoSecret>,
}

impl ProbeSecrets {
    /// The probes of a slice, and why the others cannot be done: each named, with the secret that it would need.
    fn probes(
        &self,
        service: &Service,
        facts: &Facts,
        needs: Needs,
    ) -> Result<(Vec<deploy_core::health::ProbeSpec>, Vec<String>), Failure> {
        let filling = Filling {
            facts,
            secrets: &self.values,
        };
        let (mut specs, mut untold) = (Vec::new(), Vec::new());
        for (name, probe) in &service.health {
            let missing = templates(probe)
                .into_iter()
                .find_map(|name| self.missing.get(&name));
            match (missing, filling.probe(name.as_str(), probe)) {
                (Some(missing), _) => untold.push(format!("{name}: {missing}")),
                (None, Ok(spec)) => specs.push(spec),
                (None, Err(failure)) if needs == Needs::Nothing => untold.push(format!("{name}: {failure}")),
                (None, Err(failure)) => return Err(failure),
            }
        }
        Ok((specs, untold))
    }
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
