//! A service's keys, as every layer may write them.

use super::health::Probe;
use super::later::Analysis;
use super::strategy::Strategy;
use super::target::{
    ComposeConfig, ExecConfig, FlyConfig, GoldenImageConfig, K8sConfig, MigrationsConfig, SshConfig,
    TargetKind,
};
use crate::id::{ArtifactName, EvidenceName, ServiceName};
use crate::manifest::leaf::{Command, Glob, InnerPath, Period};
use crate::manifest::node::Node;
use crate::manifest::read::{Cx, FromNode, Scalar, choices, keys};
use crate::manifest::scope::VarText;
use crate::manifest::template::VarName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

keys! {
    /// A service: one deployable part.
    pub struct ServiceKeys {
        /// `false` leaves the service out of an environment without changing the release.
        enabled: bool = true => "false",
        /// What it runs on; may be left out where one kind's table stands.
        target: Option<TargetKind> => "'ssh'",
        /// The artifact it runs.
        artifact: Option<ArtifactName> => "'app'",
        /// The services that must be verified before this one is touched.
        needs: Vec<ServiceName> => "['schema']",
        /// Variables of this service alone.
        vars: BTreeMap<VarName, VarText> => "{ WORKERS = '4' }",
        /// The secrets it gets.
        secrets: Vec<VarName> => "['DATABASE_URL']",
        /// How it moves from the old release to the new one.
        strategy: Strategy = Strategy::default() => "{ kind = 'rolling', batch = '25%' }",
        /// Commands at certain moments.
        hooks: BTreeMap<EvidenceName, Hook> => "{ install = { at = 'prepare', command = 'npm ci' } }",
        /// How its health is looked at; all probes must pass.
        health: BTreeMap<EvidenceName, Probe> => "{ ready = { http = 'http://localhost:4000/health' } }",
        /// Comparisons of metrics over time.
        analysis: BTreeMap<EvidenceName, Analysis> => "{ errors = { query = 'rate(errors[1m])', max = 0.01 } }",
        /// What a failure does: go back with the whole release, or hold it for a person.
        on_failure: OnFailure = OnFailure::Rollback => "'hold'",
        /// How long it is watched after the commit point; a failure meanwhile still turns back.
        bake: Period = Period::default() => "'2m'",
        /// Plain servers.
        ssh: Option<SshConfig> => "{ path = '/opt/shop', restart = 'systemctl restart shop' }",
        /// Kubernetes.
        k8s: Option<K8sConfig> => "{ manifests = ['k8s'], workload = 'deployment/web' }",
        /// Fly.io.
        fly: Option<FlyConfig> => "{ app = 'shop-${environment}' }",
        /// Virtual machines made from one image.
        golden_image as "golden-image": Option<GoldenImageConfig> => "{ path = '/var/lib/shop.qcow2' }",
        /// Docker Compose.
        compose: Option<ComposeConfig> => "{ file = 'docker-compose.yml', service = 'web' }",
        /// A database schema.
        migrations: Option<MigrationsConfig> => "{ dir = 'migrations', url = '${DATABASE_URL}' }",
        /// A program of the team's own that speaks our protocol.
        exec: Option<ExecConfig> => "{ command = ['ops/deploy-cdn'] }",
    }
}

keys! {
    /// A command at a certain moment.
    #[derive(Eq)]
    pub struct Hook {
        /// The moment.
        at: HookPoint => "'prepare'",
        /// Runs only if one of these files differs from the previous release; empty: always.
        if_changed: Vec<Glob> => "['package-lock.json']",
        /// What it makes; carried over from the previous release when it is skipped.
        produces: Vec<InnerPath> => "['node_modules']",
        /// What runs: a string for `sh -c`, or argv.
        command: Command => "'npm ci --omit=dev'",
        /// How long it may take.
        timeout: Period = Period::secs(600) => "'5m'",
    } rules hook_rules
}

fn hook_rules(hook: &Hook, node: &Node, cx: &mut Cx<'_>) {
    if !hook.produces.is_empty() && !matches!(hook.at, HookPoint::Build | HookPoint::Prepare) {
        let span = node.at(&["produces"]).map_or(node.span, |node| node.span);
        let message = format!(
            "`produces` with at = \"{}\": the release is complete by then",
            hook.at
        );
        cx.problem(
            span,
            message,
            "`produces` goes with `at = \"build\"` or `at = \"prepare\"`",
        );
    }
}

choices! {
    /// When a hook runs.
    pub enum HookPoint {
        /// While the artifact is built.
        Build = "build",
        /// On the target, before anything that serves changes.
        Prepare = "prepare",
        /// Just before a slice is switched.
        Before = "before",
        /// After a slice was switched.
        After = "after",
        /// When the deployment turned back.
        Failed = "failed",
    }
}

/// What a failure of a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The whole release goes back. Also written `true`.
    Rollback,
    /// The deployment stops where it is and asks for a person. Also written `false`.
    Hold,
}

impl OnFailure {
    /// As written in the manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Hold => "hold",
        }
    }
}

impl FromNode for OnFailure {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        const WANTED: &str = "\"rollback\" or \"hold\"";
        let meant = match cx.scalar(node, WANTED)? {
            Scalar::Bool(true) => Some(Self::Rollback),
            Scalar::Bool(false) => Some(Self::Hold),
            Scalar::Plain(text) | Scalar::Expanded(text) => match text.as_str() {
                "rollback" | "true" => Some(Self::Rollback),
                "hold" | "false" => Some(Self::Hold),
                _ => {
                    cx.problem(
                        node.span,
                        format!("`{text}` is not known here"),
                        format!("write {WANTED}"),
                    );
                    return None;
                }
            },
            Scalar::Int(_) | Scalar::Float(_) => None,
        };
        if meant.is_none() {
            cx.wrong_type(node, WANTED);
        }
        meant
    }
}
impl JsonSchema for OnFailure {
    fn schema_name() -> Cow<'static, str> {
        "OnFailure".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "enum": ["rollback", "hold", true, false] },
            { "type": "string", "pattern": "\\$\\{" },
        ] })
    }
}
