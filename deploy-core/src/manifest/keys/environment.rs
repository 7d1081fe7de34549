//! `[environments.E]`: a place releases go.

use super::artifact::SshAddress;
use super::gates::{Allow, Approval, Checklist, Confirm, FreezeKeys};
use super::project::Layer;
use super::service::ServiceKeys;
use crate::id::{EnvName, EvidenceName, GroupName, HostName, ServiceName};
use crate::manifest::leaf::{Command, Glob, Period, RelPath};
use crate::manifest::node::{Node, Value};
use crate::manifest::read::{Cx, FromNode, keys};
use crate::manifest::scope::VarText;
use crate::manifest::template::VarName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

keys! {
    /// An environment.
    pub struct EnvironmentKeys {
        /// The environments that must have verified a release first.
        after: Vec<EnvName> => "['staging']",
        /// The branches whose commits may come here; without them, any.
        branches: Vec<Glob> => "['master', 'release/*']",
        /// Where people reach it: the fact `${url}`.
        url: Option<String> => "'https://shop.example'",
        /// How long a release must have been healthy in each environment of `after`.
        soak: Period = Period::default() => "'10m'",
        /// The evidence that a release needs.
        checks: Vec<EvidenceName> => "['tests', 'image-scan']",
        /// What people tick off.
        checklist: Checklist => "{ rollback-plan = 'Rollback plan ready' }",
        /// Rules of approval; all must hold.
        approvals: BTreeMap<EvidenceName, Approval> => "{ release = { count = 1, from = ['release-managers'] } }",
        /// Windows in which nothing goes forward.
        freeze: BTreeMap<EvidenceName, FreezeKeys> => "{ weekend = { from = 'Fri 16:00', to = 'Mon 08:00' } }",
        /// Who may do what.
        allow: Allow = Allow::default() => "{ deploy = ['developers'] }",
        /// What a person confirms by naming the environment: `true` for all, or some.
        confirm: Confirm => "['rollback']",
        /// The servers.
        hosts: BTreeMap<HostName, HostKeys> => "{ web-1 = { ssh = 'deploy@10.0.0.1', groups = ['web'] } }",
        /// Variables.
        vars: BTreeMap<VarName, VarText> => "{ LOG_LEVEL = 'warn' }",
        /// Where secrets come from.
        secrets: BTreeMap<VarName, SecretRef> => "{ DATABASE_URL = { exec = ['op', 'read', 'op://prod/db'] } }",
        /// A file of `NAME=value` lines; the manifest's own variables of this environment win over it.
        env_file: Option<RelPath> => "'environments/production.env'",
        /// An ssh configuration file for its hosts.
        ssh_config: Option<RelPath> => "'ops/ssh_config'",
        /// A service's keys that hold for every service here.
        defaults: Layer<ServiceKeys> => "{ bake = '10m' }",
        /// What differs for services here.
        services: BTreeMap<ServiceName, Layer<ServiceKeys>> => "{ search = { enabled = false } }",
        /// The smoke tests that run here.
        smoke: Vec<EvidenceName> => "['api']",
        /// Those of them whose failure is only reported.
        may_fail: Vec<EvidenceName> => "['personas']",
        /// Where metrics are asked.
        prometheus: Option<String> => "'http://10.0.0.9:9090'",
        /// A file of feature flags.
        flags: Option<RelPath> => "'flags/production.json'",
    }
}

keys! {
    /// A server, or this machine.
    #[derive(Eq)]
    pub struct HostKeys {
        /// Its ssh destination.
        ssh: Option<SshAddress> => "'deploy@10.0.0.1'",
        /// This machine itself, without ssh.
        local: bool = false => "true",
        /// Its groups; without them it is in all. Its own name is a group of one besides.
        groups: Vec<GroupName> => "['web']",
        /// Variables of this host alone; they win over all others, in its services' paths and probes too.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        vars: BTreeMap<VarName, VarText> => "{ PORT = '8081' }",
        /// Its ssh password, by reference; keys are better.
        password: Option<SecretRef> => "{ env = 'DEPLOY_PASSWORD' }",
    } rules host_rules
}

fn host_rules(host: &HostKeys, node: &Node, cx: &mut Cx<'_>) {
    let span = |key: &str| node.at(&[key]).map_or(node.span, |node| node.span);
    match (&host.ssh, host.local) {
        (Some(_), true) => cx.problem(
            span("local"),
            "a host is this machine or reached by ssh, not both",
            "remove one",
        ),
        (None, false) => cx.problem(
            node.span,
            "a host without an address",
            "add `ssh = \"user@host\"` or `local = true`",
        ),
        (None, true) if host.password.is_some() => {
            cx.problem(
                span("password"),
                "this machine needs no ssh password",
                "remove `password`",
            );
        }
        _ => {}
    }
}

/// Where a secret comes from: a reference, never a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// A variable of the caller's environment.
    Env(String),
    /// A file; relative to the manifest's folder.
    File(String),
    /// A command that prints it; it gets `DEPLOY_ENVIRONMENT` and the other facts known by then.
    Exec(Command),
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Exec(command) => write!(f, "exec {command}"),
        }
    }
}

impl FromNode for SecretRef {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        const FORMS: &str =
            "write `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ exec = [\"program\", \"argument\"] }`";
        let Value::Table(table) = &node.value else {
            // The value may be the secret itself: neither it nor its line is repeated.
            cx.discreet_problem(
                node.span,
                format!(
                    "`{}` is a secret, and the manifest holds only references",
                    cx.last()
                ),
                FORMS,
            );
            return None;
        };
        cx.known_keys(table, &["env", "file", "exec"]);
        let mut entries = table
            .0
            .iter()
            .filter(|(key, _)| matches!(key.as_str(), "env" | "file" | "exec"));
        let (Some((key, entry)), None) = (entries.next(), entries.next()) else {
            cx.discreet_problem(node.span, "a reference is one of `env`, `file` and `exec`", FORMS);
            return None;
        };
        cx.within(key, |cx| match key.as_str() {
            "env" => VarNameAnyCase::from_node(&entry.node, cx).map(|name| Self::Env(name.0)),
            "file" => String::from_node(&entry.node, cx).map(Self::File),
            _ => Command::from_node(&entry.node, cx).map(Self::Exec),
        })
    }
}

/// The caller's environment may have lower-case names too.
struct VarNameAnyCase(String);

impl FromNode for VarNameAnyCase {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.parsed(node, "the name of an environment variable", |text| {
            VarName::new(&text.to_uppercase())
                .map(|_| Self(text.to_owned()))
                .map_err(|error| error.to_string())
        })
    }
}

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let command = generator.subschema_for::<Command>();
        json_schema!({
            "type": "object",
            "properties": {
                "env": {
                    "type": "string",
                    "description": "A variable of the caller's environment.",
                    "x-example": "'DATABASE_URL'",
                },
                "file": {
                    "type": "string",
                    "description": "A file that holds it.",
                    "x-example": "'secrets/database-url'",
                },
                "exec": {
                    "description": "A command that prints it.",
                    "anyOf": [command],
                    "x-example": "['op', 'read', 'op://prod/db']",
                },
            },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        })
    }
}
