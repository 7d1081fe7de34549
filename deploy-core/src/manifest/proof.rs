//! Services of which nothing proves the version: their probes would pass just as well on the release before. Said once for each
//! service; nothing is refused for it.

use super::keys::health::ProbeKind;
use super::keys::target::TargetConfig;
use super::model::{Environment, Service};
use crate::id::{EnvName, ServiceName};
use serde::{Deserialize, Serialize};

/// A service whose health says nothing of its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unproven {
    /// The environment.
    pub environment: EnvName,
    /// The service.
    pub service: ServiceName,
    /// What to write, and where: a table's head and a line.
    pub add: [String; 2],
}

impl std::fmt::Display for Unproven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [table, line] = &self.add;
        write!(
            f,
            "{}: no probe has `version`: after a restart that did nothing the release before answers, and it looks like \
             success; add under {table}: {line}",
            self.service
        )
    }
}

/// The services of an environment whose process outlives the switch, and of which no probe asks for the version. In the order of
/// their names.
pub fn unproven(environment: &Environment) -> Vec<Unproven> {
    environment
        .services
        .values()
        .filter(|service| restarts(service))
        .filter(|service| service.health.values().all(|probe| probe.version.is_none()))
        .map(|service| Unproven {
            environment: environment.name.clone(),
            service: service.name.clone(),
            add: to_add(service),
        })
        .collect()
}

/// Files that are served as they lie there are what the symlink says; a process may be another one.
fn restarts(service: &Service) -> bool {
    matches!(&service.target, TargetConfig::Ssh(ssh) if ssh.restart.is_some())
}

/// A line in the first probe that can tell a version, else a probe of its own.
fn to_add(service: &Service) -> [String; 2] {
    let able = service
        .health
        .iter()
        .find(|(_, probe)| matches!(probe.kind, ProbeKind::Http(_) | ProbeKind::Command(_)));
    let line = r#"version = { json = "/version", equals = "${version}" }"#;
    match able {
        Some((probe, _)) => [
            format!("[services.{}.health.{probe}]", service.name),
            line.to_owned(),
        ],
        None => [
            format!("[services.{}.health.version]", service.name),
            format!(r#"http = "http://localhost:PORT/PATH" and {line}"#),
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
}
