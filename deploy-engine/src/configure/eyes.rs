//! Probes: from the manifest's to ready ones, with every `${…}` filled in for one slice.

use deploy_core::failure::{Code, Failure};
use deploy_core::health::{Expect, JsonRule, ProbeKind, ProbeSpec, Vantage, VersionAt, VersionCheck};
use deploy_core::manifest::{self, Facts, HealthProbe, JsonExpect, JsonScalar, ProbeFrom, Template, VarName};
use deploy_core::port::target::Secret;
use std::collections::BTreeMap;

/// What is expanded for one slice.
pub struct Filling<'a> {
    /// Its facts.
    pub facts: &'a Facts,
    /// The secrets that probes may mention.
    pub secrets: &'a BTreeMap<String, Secret>,
}

impl Filling<'_> {
    fn text(&self, template: &Template) -> Result<String, Failure> {
        let secret = |name: &VarName| {
            self.secrets
                .get(name.as_str())
                .map(|secret| secret.expose().to_owned())
        };
        template.expand_with(self.facts, secret).map_err(|error| {
            Failure::new(
                Code::VariableUnset,
                format!("`{template}` cannot be filled in: {error}"),
                "deploy config shows where it is set",
            )
        })
    }

    /// A probe, ready to be done.
    pub fn probe(&self, name: &str, probe: &HealthProbe) -> Result<ProbeSpec, Failure> {
        Ok(ProbeSpec {
            name: name.to_owned(),
            kind: match &probe.kind {
                manifest::ProbeKind::Http(url) => ProbeKind::Http { url: self.text(url)? },
                manifest::ProbeKind::Tcp(addr) => ProbeKind::Tcp {
                    addr: self.text(addr)?,
                },
                manifest::ProbeKind::Command(command) => ProbeKind::Command {
                    line: command.clone(),
                    dir: None,
                },
            },
            from: match probe.from {
                ProbeFrom::Host => Vantage::Host,
                ProbeFrom::Here => Vantage::Here,
            },
            expect: self.expect(&probe.expect)?,
            version: probe
                .version
                .as_ref()
                .map(|version| self.version(version))
                .transpose()?
                .flatten(),
            healthy_for: probe.healthy_for,
            timeout: probe.timeout,
            interval: probe.interval,
            deadline: probe.deadline,
        })
    }

    fn expect(&self, expect: &manifest::Expect) -> Result<Expect, Failure> {
        let mut json = BTreeMap::new();
        for (pointer, rule) in &expect.json {
            let rule = match rule {
                JsonExpect::AnyOf(values) => JsonRule::AnyOf(
                    values
                        .iter()
                        .map(|value| self.scalar(value))
                        .collect::<Result<_, _>>()?,
                ),
                JsonExpect::Within(bounds) => JsonRule::Range {
                    min: bounds.min,
                    max: bounds.max,
                },
            };
            json.insert(pointer.0.clone(), rule);
        }
        Ok(Expect {
            status: expect
                .status
                .as_ref()
                .map(|statuses| statuses.0.clone())
                .unwrap_or_default(),
            json,
            body: expect.body.clone(),
            latency: expect.latency.map(manifest::Period::get),
        })
    }

    fn scalar(&self, value: &JsonScalar) -> Result<serde_json::Value, Failure> {
        Ok(match value {
            JsonScalar::Bool(value) => (*value).into(),
            JsonScalar::Number(value) => {
                serde_json::Number::from_f64(*value).map_or(serde_json::Value::Null, Into::into)
            }
            JsonScalar::Text(template) => self.text(template)?.into(),
        })
    }

    fn version(&self, version: &manifest::VersionExpect) -> Result<Option<VersionCheck>, Failure> {
        let at = match (&version.json, &version.header) {
            (Some(pointer), _) => VersionAt::Json(pointer.0.clone()),
            (None, Some(header)) => VersionAt::Header(header.clone()),
            (None, None) => return Ok(None),
        };
        Ok(Some(VersionCheck {
            at,
            equals: self.text(&version.equals)?,
        }))
    }
}
