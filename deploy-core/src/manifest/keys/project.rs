//! `[project]`, the root of the file and what holds for all environments.

use super::artifact::{ArtifactKeys, Check};
use super::environment::{EnvironmentKeys, SecretRef};
use super::later::{Load, Notify, Server, SmokeSuite};
use super::service::ServiceKeys;
use crate::id::{Actor, ArtifactName, EnvName, EvidenceName, GroupName, ProjectName, ServiceName};
use crate::manifest::leaf::{Glob, RelPath};
use crate::manifest::node::{Node, Span};
use crate::manifest::read::{Cx, FromNode, keys};
use crate::manifest::scope::VarText;
use crate::manifest::template::VarName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

keys! {
    /// The manifest: `deploy.toml`.
    pub struct Root {
        /// The project: its name and what holds for all of it.
        project: ProjectKeys => "{ name = 'shop' }",
        /// Groups of people and CI identities, for approvals and `allow`.
        groups: BTreeMap<GroupName, Vec<Actor>> => "{ release-managers = ['alice@shop.example'] }",
        /// Variables of all environments; an environment's and a service's own win.
        vars: BTreeMap<VarName, VarText> => "{ LOG_LEVEL = 'info' }",
        /// Where the secrets of all environments come from: references, never values.
        secrets: BTreeMap<VarName, SecretRef> => "{ DATABASE_URL = { env = 'DATABASE_URL' } }",
        /// What produces evidence for a commit: tests, scans. `deploy attest` brings it from elsewhere.
        checks: BTreeMap<EvidenceName, Check> => "{ tests = { command = 'npm test' } }",
        /// What is built or pulled, once for all environments.
        artifacts: BTreeMap<ArtifactName, ArtifactKeys> => "{ app = { build = 'npm run build', output = 'dist' } }",
        /// A service's keys that hold for every service, unless it says otherwise.
        defaults: Layer<ServiceKeys> => "{ bake = '2m' }",
        /// The deployable parts.
        services: BTreeMap<ServiceName, Layer<ServiceKeys>> => "{ web = { ssh = { path = '/opt/shop' } } }",
        /// Scripted request sequences that environments name in `smoke`.
        smoke: BTreeMap<EvidenceName, SmokeSuite> => "{ api = { command = 'scripts/smoke.sh' } }",
        /// Load that is put on an environment.
        load: BTreeMap<EvidenceName, Load> => "{ home = { get = '${url}/', rate = 20, for = '30s' } }",
        /// Who is told about deployments.
        notify: BTreeMap<EvidenceName, Notify> => "{ team = { slack = { env = 'SLACK_WEBHOOK_URL' } } }",
        /// How `deploy serve` listens and whom it trusts.
        server: Option<Server> => "{ listen = '127.0.0.1:8080' }",
        /// The places releases go.
        environments: BTreeMap<EnvName, EnvironmentKeys> => "{ staging = { after = ['development'] } }",
    }
}

keys! {
    /// What holds for the project as a whole.
    pub struct ProjectKeys {
        /// The project's name.
        name: ProjectName => "'shop'",
        /// How many releases are kept on a target.
        keep: u32 = 5 => "5",
        /// Where a file `<timestamp>-<sha>.json` of each deployment is written: a folder here, or on hosts.
        records: Option<Records> => "'deployments'",
        /// Files that hooks, smoke tests or targets call; they are part of the release.
        scripts: Vec<Glob> => "['scripts/**']",
        /// Where the state is, for teams: a PostgreSQL URL. Without it, an SQLite file beside the manifest.
        state: Option<StateUrl> => "'${DEPLOY_STATE}'",
    } rules project_rules
}

fn project_rules(project: &ProjectKeys, node: &Node, cx: &mut Cx<'_>) {
    if project.keep == 0 {
        let span = node.at(&["keep"]).map_or(node.span, |node| node.span);
        cx.problem(span, "`keep` is 0: there would be no way back", "write 2 or more");
    }
}

/// Where the record of each deployment is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Records {
    /// A folder beside the manifest.
    Here(RelPath),
    /// A folder on the hosts of a group.
    OnHosts(HostRecords),
}

keys! {
    /// A folder on hosts.
    #[derive(Eq)]
    pub struct HostRecords {
        /// The host group.
        hosts: GroupName => "'server'",
        /// The folder on each of them.
        path: String => "'/opt/shop/deployments'",
    }
}

impl FromNode for Records {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if node.as_table().is_some() {
            return HostRecords::from_node(node, cx).map(Self::OnHosts);
        }
        RelPath::from_node(node, cx).map(Self::Here)
    }
}
impl JsonSchema for Records {
    fn schema_name() -> Cow<'static, str> {
        "Records".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let hosts = generator.subschema_for::<HostRecords>();
        json_schema!({ "anyOf": [{ "type": "string" }, hosts] })
    }
}

/// The state's URL as it stands in the manifest: expanded only when a state is opened, because most commands that read a
/// manifest open none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateUrl(pub(crate) String);

impl FromNode for StateUrl {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Some(text) = node.as_str() else {
            cx.wrong_type(node, "a URL, as in `postgres://…`");
            return None;
        };
        match crate::manifest::template::parse(text) {
            Ok(_) => Some(Self(text.to_owned())),
            Err(refused) => {
                cx.discreet_problem(node.span, refused.message, refused.help);
                None
            }
        }
    }
}
crate::manifest::leaf::schema!(StateUrl, { "type": "string" });

/// A layer that is merged with others before it means something: checked key by key, its values kept only in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Layer<T> {
    /// The keys that stand in it.
    pub keys: Vec<String>,
    #[serde(skip)]
    of: PhantomData<T>,
}

impl<T: FromNode> FromNode for Layer<T> {
    fn from_node(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        // Values are judged once more after the merge, with variables; here only what stands in this layer.
        let (partial, scope) = (std::mem::replace(&mut cx.partial, true), cx.scope.take());
        T::from_node(node, cx);
        (cx.partial, cx.scope) = (partial, scope);
        let keys = node
            .as_table()
            .map(|table| table.0.keys().cloned().collect())
            .unwrap_or_default();
        Some(Self {
            keys,
            of: PhantomData,
        })
    }
    fn absent(_: &str, _: Span, _: &mut Cx<'_>) -> Option<Self> {
        Some(Self {
            keys: Vec::new(),
            of: PhantomData,
        })
    }
}
impl<T: JsonSchema> JsonSchema for Layer<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
    fn inline_schema() -> bool {
        T::inline_schema()
    }
}
