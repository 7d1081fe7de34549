//! The facts of a release in an environment: as `${…}` expands them, and as commands get them.

use deploy_core::id::{EnvName, SliceName};
use deploy_core::manifest::{Environment, Fact, Facts, Service};
use deploy_core::model::Release;
use std::collections::BTreeMap;

/// The facts that hold for a whole deployment.
pub fn of_release(release: &Release, environment: &Environment) -> Facts {
    let mut facts = Facts::new();
    facts.insert(Fact::Environment, environment.name.to_string());
    facts.insert(Fact::Release, release.number.to_string());
    if let Some(url) = &environment.url {
        facts.insert(Fact::Url, url.clone());
    }
    if let Some(source) = release.sources.first() {
        facts.insert(Fact::Commit, source.commit.to_string());
        facts.insert(Fact::Tag, source.commit.tag().to_owned());
        let version = release
            .version
            .clone()
            .unwrap_or_else(|| source.commit.tag().to_owned());
        facts.insert(Fact::Version, version);
        if let Some(branch) = &source.branch {
            facts.insert(Fact::Branch, branch.clone());
        }
    }
    facts
}

/// The same, for a service. With two ports, this is the first: which one a host serves at is known there alone.
#[must_use]
pub fn of_service(mut facts: Facts, service: &Service) -> Facts {
    facts.insert(Fact::Service, service.name.to_string());
    if let Some((port, _)) = service.strategy.ports {
        facts.insert(Fact::Port, port.to_string());
    }
    facts
}

/// The same, for a slice on a host.
#[must_use]
pub fn on_host(mut facts: Facts, host: &SliceName) -> Facts {
    facts.insert(Fact::Host, host.to_string());
    facts
}

/// As commands get them: `DEPLOY_COMMIT`.
pub fn variables(facts: &Facts) -> BTreeMap<String, String> {
    facts
        .iter()
        .map(|(fact, value)| (fact.variable(), value.clone()))
        .collect()
}

/// What a command gets where no release is known yet.
pub fn of_environment(name: &EnvName) -> BTreeMap<String, String> {
    BTreeMap::from([(Fact::Environment.variable(), name.to_string())])
}
