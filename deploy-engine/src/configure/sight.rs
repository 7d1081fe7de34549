//! One way to look at a slice: who looks, and at what. As a release has it, from where the slice is, with what may be told to a probe,
//! and at the port that serves where two take turns.

use super::eyes::Filling;
use super::registry::Made;
use super::{facts, secrets};
use crate::drive::{Needs, Ports};
use deploy_core::failure::Failure;
use deploy_core::health::ProbeSpec;
use deploy_core::id::SliceName;
use deploy_core::manifest::{Fact, Facts, HealthProbe, Service, There, VarName};
use deploy_core::port::probe::Probe;
use deploy_core::port::target::Secret;
use deploy_health::Prober;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a slice is looked at from.
pub(super) struct Seat<'a> {
    pub(super) made: &'a Made,
    pub(super) slice: &'a SliceName,
    pub(super) needs: Needs,
}

/// One way to look at a slice.
pub(super) struct Sight {
    /// Who looks; at the port that serves, where two take turns.
    pub(super) probe: Arc<dyn Probe>,
    /// Who looks at either of two ports.
    pub(super) ports: Option<Arc<Ports>>,
    /// What is looked at.
    pub(super) specs: Vec<ProbeSpec>,
    /// Why the others cannot be done.
    pub(super) untold: Vec<String>,
}

impl Sight {
    /// The same, at what does not know its version.
    pub(super) fn without_version(&self) -> Self {
        let specs = self.specs.iter().cloned();
        Self {
            probe: Arc::clone(&self.probe),
            ports: self.ports.clone(),
            specs: specs
                .map(|spec| ProbeSpec {
                    version: None,
                    ..spec
                })
                .collect(),
            untold: self.untold.clone(),
        }
    }
}

impl Seat<'_> {
    /// A service with these facts.
    ///
    /// # Errors
    /// A probe cannot be filled in.
    pub(super) fn sight(
        &self,
        service: &Service,
        facts: Facts,
        secrets: &ProbeSecrets,
    ) -> Result<Sight, Failure> {
        let there = service.on(self.slice.as_str());
        let facts = facts::on_host(facts, self.slice);
        let (specs, untold) = secrets.probes(there, &facts, self.needs)?;
        let ports = match (service.strategy.ports, &self.made.serving) {
            (Some((first, second)), Some(serving)) => {
                let at = |port: u16| {
                    let mut facts = facts.clone();
                    facts.insert(Fact::Port, port.to_string());
                    let (specs, _as_above) = secrets.probes(there, &facts, self.needs)?;
                    Ok::<_, Failure>((port, self.prober(there, &facts), specs))
                };
                let (serving, slice) = (Arc::clone(serving), self.slice.clone());
                let serving = Box::new(move || serving(&slice));
                Some(Arc::new(Ports::new(serving, [at(first)?, at(second)?])))
            }
            _ => None,
        };
        let probe = match &ports {
            Some(ports) => Arc::clone(ports) as _,
            None => self.prober(there, &facts),
        };
        Ok(Sight {
            probe,
            ports,
            specs,
            untold,
        })
    }

    fn prober(&self, there: There<'_>, facts: &Facts) -> Arc<dyn Probe> {
        let host = self.made.hosts.get(self.slice);
        let prober = host.map_or_else(Prober::here, |host| Prober::with_host(Arc::clone(host)));
        Arc::new(prober.with_env(environment_of(there, facts)))
    }
}

/// What a command that looks gets: the facts, and variables without a secret in them, which are for the service alone.
fn environment_of(there: There<'_>, facts: &Facts) -> Vec<(String, String)> {
    let mut environment = facts::variables(facts);
    for (name, template) in there.vars {
        if let Ok(value) = template.expand(facts) {
            environment.entry(name.to_string()).or_insert(value);
        }
    }
    environment.into_iter().collect()
}

/// The secrets that the probes of a service mention.
#[derive(Default)]
pub(super) struct ProbeSecrets {
    pub(super) values: BTreeMap<String, Secret>,
    pub(super) missing: BTreeMap<VarName, secrets::NoSecret>,
}

impl ProbeSecrets {
    /// The probes of a slice, and why the others cannot be done: each named, with the secret that it would need.
    fn probes(
        &self,
        there: There<'_>,
        facts: &Facts,
        needs: Needs,
    ) -> Result<(Vec<ProbeSpec>, Vec<String>), Failure> {
        let filling = Filling {
            facts,
            secrets: &self.values,
        };
        let (mut specs, mut untold) = (Vec::new(), Vec::new());
        for (name, probe) in there.health {
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

/// The secrets that a probe mentions.
pub(super) fn templates(probe: &HealthProbe) -> Vec<VarName> {
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
