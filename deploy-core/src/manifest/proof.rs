//! Services of which nothing proves that they serve, or which version: nobody asks them, or their probes would pass just as well on
//! the release before. Said once for each service; nothing is refused for it.

use super::keys::health::ProbeKind;
use super::keys::target::TargetConfig;
use super::model::{Environment, Service};
use crate::id::{EnvName, ServiceName};
use serde::{Deserialize, Serialize};

/// What nothing proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// That it serves: it has no probe at all, and its platform does not ask either.
    Health,
    /// That it is the release which serves: it has probes, and none of them asks for the version.
    Version,
}

/// A service whose health proves less than it seems to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unproven {
    /// The environment.
    pub environment: EnvName,
    /// The service.
    pub service: ServiceName,
    /// What is not proved.
    pub lacks: Lack,
    /// What to write, and where: a table's head and a line.
    pub add: [String; 2],
}

impl std::fmt::Display for Unproven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [table, line] = &self.add;
        let why = match self.lacks {
            Lack::Health => "no health check: that it serves is what the platform says, and nobody asks it",
            Lack::Version => {
                "no probe has `version`: after a restart that did nothing the release before answers, and it looks like success"
            }
        };
        write!(f, "{}: {why}; add under {table}: {line}", self.service)
    }
}

/// The services of an environment that nobody asks how they are, and those whose process outlives the switch and of which no probe
/// asks for the version. In the order of their names.
pub fn unproven(environment: &Environment) -> Vec<Unproven> {
    environment
        .services
        .values()
        .filter_map(|service| {
            let lacks = lacks(service)?;
            Some(Unproven {
                environment: environment.name.clone(),
                service: service.name.clone(),
                lacks,
                add: to_add(service, lacks),
            })
        })
        .collect()
}

fn lacks(service: &Service) -> Option<Lack> {
    if service.health.is_empty() && !asks_itself(service) {
        return Some(Lack::Health);
    }
    let asked = service.health.values().any(|probe| probe.version.is_some());
    (restarts(service) && !asked).then_some(Lack::Version)
}

/// Platforms with checks of their own count by them; a schema serves nobody, and a team's own program says what it says.
fn asks_itself(service: &Service) -> bool {
    match &service.target {
        TargetConfig::Ssh(_) | TargetConfig::GoldenImage(_) => false,
        TargetConfig::K8s(_)
        | TargetConfig::Fly(_)
        | TargetConfig::Compose(_)
        | TargetConfig::Migrations(_)
        | TargetConfig::Exec(_) => true,
    }
}

/// Files that are served as they lie there are what the symlink says; a process may be another one.
fn restarts(service: &Service) -> bool {
    matches!(&service.target, TargetConfig::Ssh(ssh) if ssh.restart.is_some())
}

/// A line in the first probe that can tell a version, else a probe of its own.
fn to_add(service: &Service, lacks: Lack) -> [String; 2] {
    let probe = r#"http = "http://localhost:PORT/PATH""#;
    let able = service
        .health
        .iter()
        .find(|(_, probe)| matches!(probe.kind, ProbeKind::Http(_) | ProbeKind::Command(_)));
    let line = r#"version = { json = "/version", equals = "${version}" }"#;
    match able {
        _ if lacks == Lack::Health => [
            format!("[services.{}.health.ready]", service.name),
            if restarts(service) {
                format!("{probe} and {line}")
            } else {
                probe.to_owned()
            },
        ],
        Some((probe, _)) => [
            format!("[services.{}.health.{probe}]", service.name),
            line.to_owned(),
        ],
        None => [
            format!("[services.{}.health.version]", service.name),
            format!("{probe} and {line}"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse;
    use std::collections::BTreeMap;

    fn of(service: &str) -> Vec<String> {
        let text = format!(
            "[project]\nname = \"shop\"\n{service}\n\
             [environments.production.hosts]\nweb-1 = {{ local = true }}\n"
        );
        let manifest = parse("deploy.toml", &text).unwrap_or_else(|problems| panic!("{problems}"));
        let environment = manifest
            .resolve(&EnvName::new("production").unwrap(), &BTreeMap::new(), &|_| None)
            .unwrap_or_else(|problems| panic!("{problems}"));
        unproven(&environment).iter().map(ToString::to_string).collect()
    }

    const SSH: &str = "[services.web.ssh]\nsource = \"web/\"\npath = \"/opt/web\"\n";

    #[test]
    fn a_service_that_restarts_and_whose_version_nobody_asks_for_is_named_once() {
        let restart = format!("{SSH}restart = \"systemctl restart web\"\n");
        let probe = "[services.web.health.ready]\nhttp = \"http://localhost:4000/health\"\n";
        let tcp = "[services.web.health.open]\ntcp = \"localhost:4000\"\n";
        let said = of(&format!("{restart}{probe}{tcp}"));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("web: no probe has `version`"), "{said:?}");
        assert!(
            said[0].contains("[services.web.health.ready]: version = {"),
            "{said:?}"
        );
        assert!(of(&format!("{restart}{tcp}"))[0].contains("[services.web.health.version]"));

        let version = "version = { json = \"/version\", equals = \"${version}\" }\n";
        assert_eq!(
            of(&format!("{restart}{tcp}{probe}{version}")),
            Vec::<String>::new()
        );
        // Files that are served as they lie there.
        assert_eq!(of(&format!("{SSH}{probe}")), Vec::<String>::new());
    }
    #[test]
    fn a_service_that_nobody_asks_how_it_is_is_named_once_and_with_what_to_write() {
        let restart = format!("{SSH}restart = \"systemctl restart web\"\n");
        let off = format!(
            "{SSH}[services.web.health.ready]\ntcp = \"localhost:4000\"\n\
             [environments.production.services.web.health.ready]\nenabled = false\n"
        );
        for service in [SSH, &restart, &off] {
            let said = of(service);
            assert_eq!(said.len(), 1, "{said:?}");
            let none = "web: no health check: that it serves is what the platform says, and nobody asks it; \
                        add under [services.web.health.ready]: http = \"http://localhost:PORT/PATH\"";
            assert!(said[0].starts_with(none), "{said:?}");
            assert_eq!(said[0].contains("version = {"), service == restart, "{said:?}");
        }
    }
}
